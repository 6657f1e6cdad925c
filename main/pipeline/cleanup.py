"""Clean up: what every destination has proven is removed, after the retention time; a line in the ledger remains.

The receipts decide, never the clock alone. Off until SENDIT_CLEANUP is set.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, Min, OuterRef, QuerySet
from django.utils import timezone

from main import states
from main.claims import Claim
from main.destinations import STRENGTH
from main.errors import Permanent
from main.failpoints import reach
from main.history import record
from main.identity import unseal
from main.models import Batch, Delivery, FileOutcome, Image, LedgerEntry, Release, Series, Study, Subject
from main.models.delivery import Proof
from main.models.imaging import Status
from main.pipeline.next_stage import let_go
from main.pipeline.register import original
from main.pipeline.take import is_key
from main.storage import remove_empty_folders, remove_file


def cleanup(held: Claim[Series]) -> None:
    """Remove originals, releases and rows of a claimed series whose every image is proven.

    Raises
    ------
    Permanent
        A delivery is not proven although its image says SENT: nothing is removed.
    """
    series = held.row
    if not settings.SENDIT_CLEANUP:
        with transaction.atomic():
            held.finish(attempts=0)
        return
    _require_receipts(series)
    with transaction.atomic():
        held.progress()
        states.move(series, Image.objects.all(), Status.DONE)
    reach("cleanup:marked")
    through = Image.objects.filter(series=series, status__in=[Status.DONE, Status.EXCLUDED])
    for image in through.select_related("batch").iterator(500):
        remove_file(original(image))
    for release in Release.objects.filter(image__in=through).iterator(500):
        remove_file(release.path)
    remove_empty_folders(settings.RELEASES_DIR / str(series.pk))
    reach("cleanup:removed")
    with transaction.atomic():
        held.hold()
        batches = _remove_rows(series)
        if Image.objects.filter(series=series).exists():
            states.refresh(series)
            let_go(held)
        else:
            _remove_series(series)
            shutil.rmtree(settings.RELEASES_DIR / str(series.pk), ignore_errors=True)
    reach("cleanup:committed")
    for batch in Batch.objects.filter(pk__in=batches):
        remove_finished_folder(batch)


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
    remove_empty_folders(batch.folder)
    if batch.folder.exists():
        return False
    with transaction.atomic():
        Batch.objects.filter(pk=batch.pk).update(sealed_name="")
        FileOutcome.objects.filter(batch=batch).update(sealed_path="")
    return True


def _require_receipts(series: Series) -> None:
    images = Image.objects.filter(series=series, status__in=[Status.SENT, Status.DONE])
    proven = Delivery.objects.filter(release__image=OuterRef("pk"), state=Delivery.State.PROVEN)
    missing = images.exclude(Exists(proven)).count()
    missing += Delivery.objects.filter(release__image__in=images).exclude(state=Delivery.State.PROVEN).count()
    if missing:
        raise Permanent(
            "no-receipt", f"{missing} images have no proven receipt at every destination: nothing is removed."
        )


def _remove_rows(series: Series) -> set[int]:
    """Write the ledger, add to the batches' counts, delete the rows of images that are through; returns the batches."""
    through = Image.objects.filter(series=series, status__in=[Status.DONE, Status.EXCLUDED])
    done = through.filter(status=Status.DONE)
    releases = Release.objects.filter(image__in=done)
    first = releases.order_by("pk").first()
    known = getattr(series, "identifiers", None)
    now = timezone.now()
    entry = LedgerEntry.objects.create(
        series_id=series.pk,
        study_instance_uid=first.study_instance_uid if first else "",
        series_instance_uid=first.series_instance_uid if first else "",
        patient_id=known.values.get("PatientID", "") if known else "",
        modality=series.modality,
        images=done.count(),
        excluded=through.filter(status=Status.EXCLUDED).count(),
        bytes=series.bytes,
        recipes=sorted(releases.values_list("recipe", flat=True).distinct()),
        destinations=_proofs(releases),
        received_at=through.aggregate(at=Min("batch__received_at"))["at"] or series.added_at,
        proven_at=series.proven_at or now,
        cleaned_at=now,
    )
    by_batch = Counter({row["batch"]: row["n"] for row in through.values("batch").annotate(n=Count("id")).order_by()})
    for batch, count in sorted(by_batch.items()):
        Batch.objects.filter(pk=batch).update(cleaned=F("cleaned") + count)
    record("cleaned", series_id=series.pk, count=entry.images + entry.excluded, to_status=Status.DONE)
    through.delete()
    return set(by_batch)


def _proofs(releases: QuerySet[Release]) -> dict[str, str]:
    """The weakest proof at each destination."""
    found: dict[str, str] = {}
    rows = Delivery.objects.filter(release__in=releases).values_list("destination__name", "proof").distinct()
    for name, proof in rows:
        if name not in found or STRENGTH[Proof(proof)] < STRENGTH[Proof(found[name])]:
            found[name] = proof
    return found


def _remove_series(series: Series) -> None:
    study, subject = series.study_id, series.study.subject_id
    Series.objects.filter(pk=series.pk).delete()
    if not Series.objects.filter(study=study).exists():
        Study.objects.filter(pk=study).delete()
        if not Study.objects.filter(subject=subject).exists():
            Subject.objects.filter(pk=subject).delete()
