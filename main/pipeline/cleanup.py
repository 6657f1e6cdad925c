"""Clean up: what every destination has proven is removed, after the retention time; a line in the ledger remains.

The receipts decide, never the clock alone. Off until SENDIT_CLEANUP is set.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, Min, OuterRef, QuerySet, Sum
from django.utils import timezone

from main import certificates, states
from main.claims import Claim, locked
from main.destinations import STRENGTH
from main.errors import Permanent, Quarantine, Transient
from main.failpoints import reach
from main.history import record_each
from main.identity import unseal
from main.models import (
    Batch,
    Delivery,
    FileOutcome,
    Image,
    LedgerEntry,
    Release,
    Series,
    SeriesIdentifiers,
    Study,
    Subject,
)
from main.models.delivery import Proof
from main.models.imaging import Status
from main.pipeline.commitment import remember_passed
from main.pipeline.next_stage import let_go
from main.pipeline.register import original
from main.pipeline.source import SOURCE
from main.pipeline.take import is_key
from main.projects import project
from main.storage import remove_empty_folders, remove_file


def cleanup(held: Claim[Series]) -> None:
    """Remove originals, releases and rows of the claimed series whose every image is proven.

    Raises
    ------
    Permanent
        A delivery is not proven although its image says SENT: nothing is removed.
    """
    if not settings.SENDIT_CLEANUP:
        with transaction.atomic():
            held.finish(attempts=0)
        return
    remove_proven(held)


def remove_proven(held: Claim[Series]) -> None:
    """Remove what `cleanup` removes, whether it is on or not.

    Raises
    ------
    Permanent
        As `cleanup`.
    Transient
        The project is not configured any more: without its key there is no certificate, so nothing is removed.
    """
    _require_receipts(held.rows)
    _require_project(held.rows)
    with transaction.atomic():
        held.progress()
        states.move(held.rows, Image.objects.all(), Status.DONE)
    reach("cleanup:marked")
    for study in sorted({series.study_id for series in held.rows}):
        certificates.keep([series.pk for series in held.rows if series.study_id == study])
    through = Image.objects.filter(series__in=held.rows, status__in=[Status.DONE, Status.EXCLUDED])
    for image in through.select_related("batch").iterator(500):
        remove_file(original(image))
    for release in Release.objects.filter(image__in=through).iterator(500):
        remove_file(release.path)
    for series in held.rows:
        remove_empty_folders(settings.RELEASES_DIR / str(series.pk))
    reach("cleanup:removed")
    with transaction.atomic():
        batches = lock_parents(held.rows, through)
        held.hold()
        _write_ledger(held.rows, through)
        remember_passed(through.filter(status=Status.DONE, batch__quiet__isnull=False))
        through.delete()
        if staying := _with_images(held.rows):
            states.refresh(staying)
            let_go(held, staying)
        gone = [series for series in held.rows if series not in staying]
        remove_series(gone)
    for series in gone:
        shutil.rmtree(settings.RELEASES_DIR / str(series.pk), ignore_errors=True)
    reach("cleanup:committed")
    for batch in batches:
        remove_finished_folder(batch)


def _require_project(rows: Sequence[Series]) -> None:
    """What is removed gets its certificate first, under the key of its project."""
    try:
        for name in sorted({series.project for series in rows}):
            project(name)
    except Quarantine as unknown:
        raise Transient(unknown.code, unknown.sentence) from None


def removable() -> dict[str, int]:
    """What a cleanup would remove now: series, images and bytes."""
    now = timezone.now()
    due = Series.objects.filter(stage="cleanup", status=Status.SENT)
    if settings.SENDIT_CLEANUP:
        due = due.filter(due_at__lte=now)
    found = due.values_list("images", "bytes")
    return {"series": len(found), "images": sum(one[0] for one in found), "bytes": sum(one[1] for one in found)}


def remove_finished_folders() -> int:
    """Remove the folders of drops of which nothing is left, after the retention time; returns how many."""
    if not settings.SENDIT_CLEANUP:
        return 0
    edge = timezone.now() - timedelta(hours=settings.SENDIT_RETENTION_HOURS)
    keys = [entry.name for entry in os.scandir(settings.DROPS_DIR)]
    finished = Batch.objects.filter(key__in=[key for key in keys if is_key(key)], stage="", registered_at__lte=edge)
    return sum(remove_finished_folder(batch) for batch in finished)


def remove_finished_folder(batch: Batch) -> bool:
    """Remove what is left of a drop's folder once nothing in it is waiting, on its way, or held for a person."""
    busy = (
        batch.stage == "register"
        or Image.objects.filter(batch=batch).exists()
        or FileOutcome.objects.filter(batch=batch, held=True).exists()
    )
    if busy:
        return False
    for token in FileOutcome.objects.filter(batch=batch).values_list("sealed_path", flat=True):
        if token:
            remove_file(batch.folder / unseal(token))
    remove_file(batch.folder / SOURCE)
    remove_empty_folders(batch.folder)
    if batch.folder.exists():
        return False
    with transaction.atomic():
        Batch.objects.filter(pk=batch.pk).update(sealed_name="")
        FileOutcome.objects.filter(batch=batch).update(sealed_path="")
    return True


def _require_receipts(rows: Sequence[Series]) -> None:
    images = Image.objects.filter(series__in=rows, status__in=[Status.SENT, Status.DONE])
    proven = Delivery.objects.filter(release__image=OuterRef("pk"), state=Delivery.State.PROVEN)
    missing = images.exclude(Exists(proven)).count()
    missing += Delivery.objects.filter(release__image__in=images).exclude(state=Delivery.State.PROVEN).count()
    if missing:
        raise Permanent(
            "no-receipt", f"{missing} images have no proven receipt at every destination: nothing is removed."
        )


def _write_ledger(rows: Sequence[Series], through: QuerySet[Image]) -> None:
    """A line in the ledger for each series, an event, and what is gone in the count of each drop."""
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for found in through.values("series", "status").annotate(n=Count("id"), size=Sum("size")).order_by():
        counts[found["series"]].update({found["status"]: found["n"], "images": found["n"], "bytes": found["size"]})
    received = dict(through.values_list("series").annotate(at=Min("batch__received_at")).order_by())
    releases = Release.objects.filter(image__in=through.filter(status=Status.DONE))
    first = releases.values("image__series").annotate(first=Min("pk")).values("first")
    released = {one.image.series_id: one for one in Release.objects.filter(pk__in=first).select_related("image")}
    recipes = _by_series(releases.values_list("image__series", "recipe").distinct())
    pseudonyms = dict(SeriesIdentifiers.objects.filter(series__in=rows).values_list("series", "patient_id"))
    proofs = _proofs(releases)
    now = timezone.now()
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            series_id=series.pk,
            project=series.project,
            study_instance_uid=released[series.pk].study_instance_uid if series.pk in released else "",
            series_instance_uid=released[series.pk].series_instance_uid if series.pk in released else "",
            patient_id=pseudonyms.get(series.pk, ""),
            modality=series.modality,
            images=counts[series.pk][Status.DONE],
            excluded=counts[series.pk][Status.EXCLUDED],
            bytes=counts[series.pk]["bytes"],
            recipes=sorted(recipes[series.pk]),
            destinations=proofs[series.pk],
            received_at=received.get(series.pk, series.added_at),
            proven_at=series.proven_at or now,
            cleaned_at=now,
        )
        for series in rows
    )
    record_each("cleaned", {series.pk: counts[series.pk]["images"] for series in rows}, to_status=Status.DONE)
    by_batch = dict(through.values_list("batch").annotate(n=Count("id")).order_by())
    for count in sorted(set(by_batch.values())):
        alike = [batch for batch, number in by_batch.items() if number == count]
        Batch.objects.filter(pk__in=alike).update(cleaned=F("cleaned") + count)


def _by_series(pairs: Iterable[tuple[int, str]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for series, value in pairs:
        found[series].append(value)
    return found


def _proofs(releases: QuerySet[Release]) -> dict[int, dict[str, str]]:
    """The weakest proof at each destination, of each series."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    rows = Delivery.objects.filter(release__in=releases).values_list("series", "destination__name", "proof").distinct()
    for series, name, proof in rows:
        weakest = found[series].setdefault(name, proof)
        found[series][name] = min(weakest, proof, key=lambda one: STRENGTH[Proof(one)])
    return found


def _with_images(rows: Sequence[Series]) -> list[Series]:
    kept = set(Image.objects.filter(series__in=rows).values_list("series", flat=True).distinct())
    return [series for series in rows if series.pk in kept]


def lock_parents(rows: Sequence[Series], images: QuerySet[Image]) -> list[Batch]:
    """Lock what is above series and images of them that are to go, before them; returns the drops of the images."""
    batches = locked(Batch.objects.filter(pk__in=set(images.values_list("batch", flat=True).distinct())))
    studies = Study.objects.filter(pk__in={series.study_id for series in rows})
    locked(Subject.objects.filter(pk__in=set(studies.values_list("subject", flat=True))).only("pk"))
    locked(studies.only("pk"))
    return batches


def remove_series(rows: Sequence[Series]) -> None:
    """Remove series without images, and the studies and subjects of which nothing else is left."""
    studies = Study.objects.filter(pk__in={series.study_id for series in rows})
    subjects = list(studies.values_list("subject", flat=True))
    keys = list(studies.values_list("pk", flat=True))
    Series.objects.filter(pk__in=[series.pk for series in rows]).delete()
    Study.objects.filter(pk__in=keys, series=None).delete()
    Subject.objects.filter(pk__in=subjects, studies=None).delete()
