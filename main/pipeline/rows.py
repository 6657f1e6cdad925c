"""The rows of registration: subjects, studies, series and images of a chunk of headers, in a constant number of statements.

Called by `register` inside its transaction; decides what is a duplicate, a conflict or another patient's study.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from django.db.models import Model, QuerySet, Sum
from django.utils import timezone

from main import identity, states
from main.claims import locked
from main.history import record, record_each
from main.models import Batch, FileOutcome, Image, Series, Study, Subject
from main.models.imaging import Status
from main.pipeline.completion import news
from main.pipeline.difference import differing_keywords

if TYPE_CHECKING:
    from main.pipeline.register import Header, Unregistered

_Outcome = FileOutcome.Outcome

# A study by its project and its Study Instance UID.
StudyKey = tuple[str, str]

M = TypeVar("M", bound=Model)
K = TypeVar("K", bound=Hashable)


def accounted_paths(batch: Batch) -> set[str]:
    """Relative paths of the files of `batch` that have their outcome."""
    sealed = Image.objects.filter(batch=batch).values_list("sealed", flat=True).iterator()
    paths = {identity.unseal_values(token)["path"] for token in sealed}
    others = FileOutcome.objects.filter(batch=batch).values_list("sealed_path", flat=True).iterator()
    return paths | {identity.unseal(token) for token in others if token}


def totals(batch: Batch) -> tuple[int, int]:
    """Number and bytes of all files of `batch` that have an outcome; of those cleaned up only the number is known."""
    files, size = batch.cleaned, 0
    for model in (Image, FileOutcome):
        found = model.objects.filter(batch=batch)
        files += found.count()
        size += found.aggregate(total=Sum("size"))["total"] or 0
    return files, size


class Comparisons:
    """Which elements of two files differ, each pair read once: files are compared before the transaction, not in it."""

    def __init__(self, batch: Batch, headers: Sequence[Header]) -> None:
        self._found: dict[tuple[Path, Path], list[str]] = {}
        self._compare_known(batch, headers)
        first: dict[tuple[str, str], Header] = {}
        for header in headers:
            before = first.setdefault((header.project, header.sop_instance_uid), header)
            if before is not header:
                self.of(batch.folder / before.path, batch.folder / header.path)

    def _compare_known(self, batch: Batch, headers: Sequence[Header]) -> None:
        indexes = {identity.blind_index("instance", header.sop_instance_uid): header for header in headers}
        known = Image.objects.filter(uid_index__in=indexes, series__project__in={header.project for header in headers})
        for image in known.select_related("batch"):
            if (first := _file_of(image)).exists():
                self.of(first, batch.folder / indexes[image.uid_index].path)

    def of(self, first: Path, second: Path) -> list[str]:
        """Keywords of the elements in which the two differ."""
        if (first, second) not in self._found:
            self._found[first, second] = differing_keywords(first, second)
        return self._found[first, second]


def _file_of(image: Image) -> Path:
    return image.batch.folder / str(identity.unseal_values(image.sealed)["path"])


def write(
    batch: Batch, headers: Sequence[Header], others: Sequence[Unregistered], comparisons: Comparisons
) -> tuple[bool, int]:
    """Write the rows of one chunk; returns whether there are new images, and how many files must wait.

    Rows of one kind are always written in the order of their indexes, so that two registrations never wait for each other;
    then they are locked, so that no cleanup removes them before their new images are seen.
    """
    now = timezone.now()
    owners = _owners(headers)
    subjects = _subjects([header for header in headers if owners[_study(header)] == _patient(header)])
    studies, strangers = _studies(headers, owners, subjects)
    fitting = [header for header in headers if header.path not in strangers]
    series = _series(fitting, studies)
    new, known, later = _images(batch, fitting, studies, series, comparisons)
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
            uid_index=identity.blind_index("instance", item.sop_instance_uid) if item.sop_instance_uid else "",
            size=item.size,
            at=now,
        )
        for item in outcomes
    )
    if new:
        record_each("new-images", {one.pk: n for one, n in new.items()}, batch_id=batch.pk, to_status="NEW")
        states.refresh(list(new))
        due_at = news({one.study_id for one in new}, batch)
        # A series in a worker's hands stays there: who lets go of it sees the new images (main/pipeline/next_stage.py).
        Series.objects.filter(pk__in=[one.pk for one in new], token=None).update(stage="identify", due_at=due_at)
    if held := sum(item.held for item in outcomes):
        record("held-files", batch_id=batch.pk, count=held)
    return bool(new), later


def _patient(header: Header) -> str:
    return identity.patient_key(header.issuer, header.patient_id, header.study_instance_uid)


def _study(header: Header) -> StudyKey:
    return header.project, header.study_instance_uid


def _indexes(studies: Iterable[StudyKey]) -> dict[tuple[str, str], StudyKey]:
    """Each study by its project and blind index."""
    return {(project, identity.blind_index("study", uid)): (project, uid) for project, uid in studies}


def _known(indexes: Collection[tuple[str, str]]) -> QuerySet[Study]:
    """Studies by their projects and blind indexes, and others with one of each."""
    projects, uids = {project for project, _ in indexes}, {uid for _, uid in indexes}
    return Study.objects.filter(uid_index__in=uids, project__in=projects)


def _owners(headers: Sequence[Header]) -> dict[StudyKey, str]:
    """Patient key of each study: the patient it is registered for, else the first who claims it here."""
    claimed: dict[StudyKey, Header] = {}
    for header in headers:
        claimed.setdefault(_study(header), header)
    indexes = _indexes(claimed)
    registered = _known(indexes).values_list("project", "uid_index", "subject__key_index")
    known = {indexes[project, index]: key for project, index, key in registered if (project, index) in indexes}
    patients = {identity.blind_index("patient", _patient(header)): _patient(header) for header in headers}
    return {key: patients.get(known[key], "") if key in known else _patient(header) for key, header in claimed.items()}


def _subjects(headers: Sequence[Header]) -> dict[str, Subject]:
    """Subject of each patient key."""
    wanted = {_patient(header): header for header in headers}
    now = timezone.now()
    indexes = {identity.blind_index("patient", key): key for key in wanted}
    rows = [
        Subject(
            key_index=index,
            sealed=identity.seal({"patient_id": wanted[key].patient_id, "issuer": wanted[key].issuer}),
            added_at=now,
        )
        for index, key in sorted(indexes.items())
    ]
    found = _added(rows, Subject.objects.filter(key_index__in=indexes), lambda one: one.key_index)
    return {indexes[index]: one for index, one in found.items()}


def _studies(
    headers: Sequence[Header], owners: dict[StudyKey, str], subjects: dict[str, Subject]
) -> tuple[dict[StudyKey, Study], set[str]]:
    """The studies, and the paths of files whose study belongs to another patient."""
    indexes = _indexes(owners)
    now = timezone.now()
    rows = [
        Study(
            subject=subjects[owners[key]],
            project=key[0],
            uid_index=index,
            sealed_uid=identity.seal(key[1]),
            added_at=now,
        )
        for (_, index), key in sorted(indexes.items())
        if owners[key] in subjects
    ]
    found = _added(rows, _known(indexes), lambda one: (one.project, one.uid_index))
    studies = {indexes[index]: one for index, one in found.items() if index in indexes}
    patients = {one.pk: key for key, one in subjects.items()}
    strangers = {
        header.path for header in headers if patients.get(studies[_study(header)].subject_id) != _patient(header)
    }
    return studies, strangers


def _series(headers: Sequence[Header], studies: dict[StudyKey, Study]) -> dict[tuple[int, str], Series]:
    """Series of each (study, Series Instance UID)."""
    wanted: dict[tuple[int, str], Header] = {}
    for header in headers:
        wanted.setdefault((studies[_study(header)].pk, header.series_instance_uid), header)
    indexes = {uid: identity.blind_index("series", uid) for _, uid in wanted}
    now = timezone.now()
    rows = [
        Series(
            study_id=study,
            project=header.project,
            uid_index=indexes[uid],
            sealed_uid=identity.seal(uid),
            accession_index=identity.accession_index(header.accession_number),
            modality=header.modality,
            added_at=now,
            changed_at=now,
        )
        for (study, uid), header in sorted(wanted.items(), key=lambda item: (item[0][0], indexes[item[0][1]]))
    ]
    known = Series.objects.filter(study__in={study for study, _ in wanted}, uid_index__in=set(indexes.values()))
    found = _added(rows, known, lambda one: (one.study_id, one.uid_index))
    return {(study, uid): found[study, indexes[uid]] for study, uid in wanted}


def _added(rows: Sequence[M], known: QuerySet[M], key: Callable[[M], K]) -> dict[K, M]:
    """Add those of `rows` that are missing; returns the `known` by their keys, locked for this transaction."""
    wanted = {key(row) for row in rows}
    while True:  # again if a cleanup removes one before it is locked
        known.model._default_manager.bulk_create(rows, ignore_conflicts=True)
        found = {key(one): one for one in locked(known)}
        if wanted <= found.keys():
            return found


def _images(
    batch: Batch,
    headers: Sequence[Header],
    studies: dict[StudyKey, Study],
    series: dict[tuple[int, str], Series],
    comparisons: Comparisons,
) -> tuple[dict[Series, int], list[Unregistered], int]:
    """Create the images that are new; the others are duplicates or conflicts. Returns new images by series, and the others."""
    place = {header.path: series[studies[_study(header)].pk, header.series_instance_uid] for header in headers}
    index = {header.path: identity.blind_index("instance", header.sop_instance_uid) for header in headers}
    known: dict[tuple[int, str], Image] = {
        (image.series_id, image.uid_index): image
        for image in Image.objects.filter(
            series__in=set(place.values()), uid_index__in=set(index.values())
        ).select_related("batch")
    }
    fresh: dict[tuple[int, str], Header] = {}
    others: list[Unregistered] = []
    later = 0
    for header in headers:
        key = (place[header.path].pk, index[header.path])
        if key in known and _is_replaced(known[key], batch.folder / header.path, comparisons):
            _forget_discarded(known.pop(key))
            fresh[key] = header
        elif key in known:
            image = known[key]
            if image.status == Status.DONE and not _file_of(image).exists():
                later += 1  # it is being cleaned up just now: this file is looked at again
                continue
            others.append(_again(batch, header, _file_of(image), comparisons))
        elif key in fresh:
            others.append(_again(batch, header, batch.folder / fresh[key].path, comparisons))
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
                modified_ns=header.modified_ns,
            )
            for header in fresh.values()
        ),
        batch_size=2000,
    )
    new: dict[Series, int] = {}
    for header in fresh.values():
        new[place[header.path]] = new.get(place[header.path], 0) + 1
    return new, others, later


def _is_replaced(image: Image, file: Path, comparisons: Comparisons) -> bool:
    """Whether `file` takes the place of an image that was discarded, or whose original is gone before it could leave.

    What a person discarded and comes again unchanged stays discarded: it is a duplicate.
    """
    first = _file_of(image)
    if image.status == Status.EXCLUDED:
        return not first.exists() or bool(comparisons.of(first, file))
    return image.status == Status.QUARANTINED and not first.exists()


def _forget_discarded(image: Image) -> None:
    """The image becomes an outcome of its drop, so that the drop's balance still adds up."""
    FileOutcome.objects.create(
        batch=image.batch,
        outcome=_Outcome.DISCARDED,
        code=image.code,
        sentence=image.sentence,
        sealed_path=identity.seal(str(identity.unseal_values(image.sealed)["path"])),
        size=image.size,
        at=timezone.now(),
    )
    image.delete()


def _again(batch: Batch, header: Header, first: Path, comparisons: Comparisons) -> Unregistered:
    """A second file with a SOP Instance UID that is known: the same content (duplicate), or another (conflict)."""
    from main.pipeline.register import Unregistered

    second, uid = batch.folder / header.path, header.sop_instance_uid
    if not os.path.exists(first):
        sentence = "Another file with this SOP Instance UID was registered before and its original is no longer here to compare."
        return Unregistered(header.path, header.size, _Outcome.CONFLICT, True, "conflict", sentence, {}, uid)
    differing = comparisons.of(first, second)
    if not differing:
        sentence = "The same image with the same content is registered already; this copy is dropped at cleanup."
        return Unregistered(header.path, header.size, _Outcome.DUPLICATE, False, "duplicate", sentence, {})
    sentence = (
        f"Another image with this SOP Instance UID and other content is registered already; {len(differing)} elements differ. "
        "The first one stays, this one is kept here."
    )
    return Unregistered(
        header.path, header.size, _Outcome.CONFLICT, True, "conflict", sentence, {"differing": differing[:100]}, uid
    )


def _another_patient(header: Header) -> Unregistered:
    from main.pipeline.register import Unregistered

    uid = header.sop_instance_uid
    sentence = (
        "The study of this image is registered for another patient. Images of two patients are never merged: correct the "
        "Patient ID or the Study Instance UID at the source and send again."
    )
    return Unregistered(
        header.path, header.size, _Outcome.CONFLICT, True, "study-of-another-patient", sentence, {}, uid
    )
