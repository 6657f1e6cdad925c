"""The rows of registration: subjects, studies, series and images of a chunk of headers, in a constant number of statements.

Called by `register` inside its transaction; decides what is a duplicate, a conflict or another patient's study.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from django.db.models import Sum
from django.utils import timezone

from main import identity, states
from main.history import record
from main.models import Batch, FileOutcome, Image, Series, Study, Subject
from main.pipeline.difference import differing_keywords

if TYPE_CHECKING:
    from main.pipeline.register import Header, Unregistered

_Outcome = FileOutcome.Outcome


def accounted_paths(batch: Batch) -> set[str]:
    """Relative paths of the files of `batch` that have their outcome."""
    sealed = Image.objects.filter(batch=batch).values_list("sealed", flat=True).iterator()
    paths = {identity.unseal_values(token)["path"] for token in sealed}
    others = FileOutcome.objects.filter(batch=batch).values_list("sealed_path", flat=True).iterator()
    return paths | {identity.unseal(token) for token in others}


def totals(batch: Batch) -> tuple[int, int]:
    """Number and bytes of all files of `batch` that have an outcome."""
    files = size = 0
    for model in (Image, FileOutcome):
        found = model.objects.filter(batch=batch)
        files += found.count()
        size += found.aggregate(total=Sum("size"))["total"] or 0
    return files, size


def write(batch: Batch, headers: Sequence[Header], others: Sequence[Unregistered]) -> set[int]:
    """Write the rows of one chunk; returns the ids of the series that have new images."""
    now = timezone.now()
    subjects = _subjects(headers)
    studies, strangers = _studies(headers, subjects)
    fitting = [header for header in headers if header.path not in strangers]
    series = _series(fitting, studies)
    new, known = _images(batch, fitting, studies, series)
    outcomes = [*others, *(_another_patient(header) for header in headers if header.path in strangers), *known]
    FileOutcome.objects.bulk_create(
        FileOutcome(
            batch=batch,
            outcome=item.outcome,
            held=item.held,
            code=item.code,
            sentence=item.sentence,
            detail=item.detail,
            sealed_path=identity.seal(item.path),
            size=item.size,
            at=now,
        )
        for item in outcomes
    )
    for one, count in new.items():
        record("new-images", batch_id=batch.pk, series_id=one.pk, count=count, to_status="NEW")
        states.refresh(one)
        # A series in a worker's hands stays there: who lets go of it sees the new images (main/pipeline/next_stage.py).
        Series.objects.filter(pk=one.pk, token=None).update(stage="identify", due_at=now)
    if held := sum(item.held for item in outcomes):
        record("held-files", batch_id=batch.pk, count=held)
    return {one.pk for one in new}


def _subjects(headers: Sequence[Header]) -> dict[str, Subject]:
    """Subject of each patient key."""
    wanted = {_patient(header): header for header in headers}
    now = timezone.now()
    indexes = {identity.blind_index("patient", key): key for key in wanted}
    Subject.objects.bulk_create(
        (
            Subject(
                key_index=index,
                sealed=identity.seal({"patient_id": wanted[key].patient_id, "issuer": wanted[key].issuer}),
                added_at=now,
            )
            for index, key in indexes.items()
        ),
        ignore_conflicts=True,
    )
    return {indexes[found.key_index]: found for found in Subject.objects.filter(key_index__in=indexes)}


def _patient(header: Header) -> str:
    return identity.patient_key(header.issuer, header.patient_id, header.study_instance_uid)


def _studies(headers: Sequence[Header], subjects: dict[str, Subject]) -> tuple[dict[str, Study], set[str]]:
    """Study of each Study Instance UID, and the paths of files whose study belongs to another patient."""
    wanted: dict[str, Header] = {}
    for header in headers:
        wanted.setdefault(header.study_instance_uid, header)
    indexes = {identity.blind_index("study", uid): uid for uid in wanted}
    now = timezone.now()
    Study.objects.bulk_create(
        (
            Study(subject=subjects[_patient(wanted[uid])], uid_index=index, sealed_uid=identity.seal(uid), added_at=now)
            for index, uid in indexes.items()
        ),
        ignore_conflicts=True,
    )
    studies = {indexes[found.uid_index]: found for found in Study.objects.filter(uid_index__in=indexes)}
    strangers = {
        header.path
        for header in headers
        if studies[header.study_instance_uid].subject_id != subjects[_patient(header)].pk
    }
    return studies, strangers


def _series(headers: Sequence[Header], studies: dict[str, Study]) -> dict[tuple[int, str], Series]:
    """Series of each (study, Series Instance UID)."""
    wanted: dict[tuple[int, str], Header] = {}
    for header in headers:
        wanted.setdefault((studies[header.study_instance_uid].pk, header.series_instance_uid), header)
    indexes = {uid: identity.blind_index("series", uid) for _, uid in wanted}
    now = timezone.now()
    Series.objects.bulk_create(
        (
            Series(
                study_id=study,
                uid_index=indexes[uid],
                sealed_uid=identity.seal(uid),
                modality=header.modality,
                added_at=now,
                changed_at=now,
            )
            for (study, uid), header in wanted.items()
        ),
        ignore_conflicts=True,
    )
    found = Series.objects.filter(study__in={study for study, _ in wanted}, uid_index__in=set(indexes.values()))
    by_index = {(one.study_id, one.uid_index): one for one in found}
    return {(study, uid): by_index[study, indexes[uid]] for study, uid in wanted}


def _images(
    batch: Batch, headers: Sequence[Header], studies: dict[str, Study], series: dict[tuple[int, str], Series]
) -> tuple[dict[Series, int], list[Unregistered]]:
    """Create the images that are new; the others are duplicates or conflicts. Returns new images by series, and the others."""
    place = {
        header.path: series[studies[header.study_instance_uid].pk, header.series_instance_uid] for header in headers
    }
    index = {header.path: identity.blind_index("instance", header.sop_instance_uid) for header in headers}
    known: dict[tuple[int, str], Image] = {
        (image.series_id, image.uid_index): image
        for image in Image.objects.filter(
            series__in=set(place.values()), uid_index__in=set(index.values())
        ).select_related("batch")
    }
    fresh: dict[tuple[int, str], Header] = {}
    others: list[Unregistered] = []
    for header in headers:
        key = (place[header.path].pk, index[header.path])
        if key in known:
            image = known[key]
            others.append(_again(batch, header, image.batch.folder / str(identity.unseal_values(image.sealed)["path"])))
        elif key in fresh:
            others.append(_again(batch, header, batch.folder / fresh[key].path))
        else:
            fresh[key] = header
    Image.objects.bulk_create(
        (
            Image(
                series=place[header.path],
                batch=batch,
                uid_index=index[header.path],
                sealed=identity.seal({"path": header.path, "uid": header.sop_instance_uid}),
                sop_class_uid=header.sop_class_uid,
                size=header.size,
            )
            for header in fresh.values()
        ),
        batch_size=2000,
    )
    new: dict[Series, int] = {}
    for header in fresh.values():
        new[place[header.path]] = new.get(place[header.path], 0) + 1
    return new, others


def _again(batch: Batch, header: Header, first: Path) -> Unregistered:
    """A second file with a SOP Instance UID that is known: the same content (duplicate), or another (conflict)."""
    from main.pipeline.register import Unregistered

    second = batch.folder / header.path
    if not os.path.exists(first):
        sentence = "Another file with this SOP Instance UID was registered before and its original is no longer here to compare."
        return Unregistered(header.path, header.size, _Outcome.CONFLICT, True, "conflict", sentence, {})
    differing = differing_keywords(first, second)
    if not differing:
        sentence = "The same image with the same content is registered already; this copy is dropped at cleanup."
        return Unregistered(header.path, header.size, _Outcome.DUPLICATE, False, "duplicate", sentence, {})
    sentence = (
        f"Another image with this SOP Instance UID and other content is registered already; {len(differing)} elements differ. "
        "The first one stays, this one is kept here."
    )
    return Unregistered(
        header.path, header.size, _Outcome.CONFLICT, True, "conflict", sentence, {"differing": differing[:100]}
    )


def _another_patient(header: Header) -> Unregistered:
    from main.pipeline.register import Unregistered

    sentence = (
        "The study of this image is registered for another patient. Images of two patients are never merged: correct the "
        "Patient ID or the Study Instance UID at the source and send again."
    )
    return Unregistered(header.path, header.size, _Outcome.CONFLICT, True, "study-of-another-patient", sentence, {})
