"""Identify: series get their identifiers, once for each study; a provider that is away holds them and shows why.

What comes by DICOM waits here until its study is complete (`main/pipeline/completion.py`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from django.db import transaction
from django.db.models import Min
from django.utils import timezone

from deidentify.dictionary import TAGS, keyword_of, vr_of
from deidentify.errors import Refused
from deidentify.gate import read_structure, text
from deidentify.known import KNOWN
from main import crosswalk, identity, states
from main.claims import Claim, locked
from main.errors import Quarantine
from main.failpoints import reach
from main.identifiers import Answer, Request, provider
from main.models import Image, Series, SeriesIdentifiers, Study, Subject
from main.models.imaging import Status
from main.pipeline.completion import let_wait
from main.pipeline.next_stage import let_go
from main.pipeline.register import unchanged_original
from main.projects import Project, project

# What providers may ask about, read from the first image that is readable.
HEADER = {
    "AccessionNumber": 0x00080050,
    "StudyDate": 0x00080020,
    "SeriesDate": 0x00080021,
    "AcquisitionDate": 0x00080022,
    "ContentDate": 0x00080023,
    "PatientID": 0x00100020,
    "IssuerOfPatientID": 0x00100021,
    "PatientBirthDate": 0x00100030,
    "PatientSex": 0x00100040,
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
    "SOPInstanceUID": 0x00080018,
    "SeriesNumber": 0x00200011,
    "InstanceNumber": 0x00200013,
}


# What the patient and others are called there: kept sealed, so that no image of the study leaves with one of these values.
KNOWN_TAGS = frozenset(tag for tag in KNOWN if vr_of(tag) != "SQ")

Known = tuple[tuple[str, str], ...]
Answered = tuple[Request, Answer]

# Originals of a study that are tried when the first ones of its series cannot be read.
_TRIES = 5


def identify(held: Claim[Series]) -> None:
    """Get the identifiers of the claimed series and let them go to de-identification.

    They are of one project. Series whose study its provider refuses, whose pseudonym the crosswalk refuses, or of which no
    original can be read, are quarantined.

    Raises
    ------
    Transient
        The provider is away.
    Quarantine
        `project-unknown`.
    """
    reach("identify:claimed")
    ours = project(held.rows[0].project)
    let_wait(held)
    if not held.rows:
        return
    answers = _answers(held.rows, ours)
    names = {study: crosswalk.name_of(ours, *one) for study, one in answers.items() if isinstance(one, tuple)}
    reach("identify:answered")
    with transaction.atomic():
        if names:
            locked(Subject.objects.filter(pk__in=Study.objects.filter(pk__in=names).values("subject")).only("pk"))
        locked(Study.objects.filter(pk__in={series.study_id for series in held.rows}).only("pk"))
        held.hold()
        answers = {**answers, **crosswalk.enter(ours.name, names)}
        waiting = Image.objects.filter(status=Status.NEW)
        if identified := _keep(held.rows, answers):
            states.move(identified, waiting, Status.PROCESSING)
        for series in held.rows:
            if isinstance(refused := answers.get(series.study_id), Quarantine) and series not in identified:
                states.move(series, waiting, Status.QUARANTINED, code=refused.code, sentence=refused.sentence)
        let_go(held)  # what lost its identifiers to a replay meanwhile is NEW still, and due again
    reach("identify:committed")


def _answers(rows: Sequence[Series], ours: Project) -> dict[int, Answered | Quarantine]:
    """What the provider of a project says about each of its studies that has no identifiers yet, in one question for each."""
    studies = {series.study_id for series in rows}
    known = Series.objects.filter(study__in=studies, identifiers__isnull=False).values_list("study", flat=True)
    unknown = studies.difference(known.distinct())
    if not unknown:
        return {}
    giver = provider(ours)
    found = requests_for([series for series in rows if series.study_id in unknown], giver.keywords)
    requests = {study: one for study, one in found.items() if isinstance(one, Request)}
    answers = giver.identify_many(list(requests.values())) if requests else []
    result: dict[int, Answered | Quarantine] = {
        study: one for study, one in found.items() if isinstance(one, Quarantine)
    }
    for (study, request), answer in zip(requests.items(), answers, strict=True):
        result[study] = answer if isinstance(answer, Quarantine) else (request, answer)
    return result


def requests_for(rows: Sequence[Series], more: Collection[str] = ()) -> dict[int, Request | Quarantine]:
    """What is asked about each study, from the header of one of the originals in `rows`; or why none can be read.

    The header has the values of the keywords `more` as well.
    """
    wanted = HEADER | {keyword: TAGS[keyword] for keyword in more}
    studies = {series.pk: series.study_id for series in rows}
    unread = Quarantine("no-original", "No original of this study can be read, so no identifiers can be asked for.")
    found: dict[int, Request | Quarantine] = dict.fromkeys(studies.values(), unread)
    images = Image.objects.filter(series__in=studies).select_related("batch")
    first = images.values("series").annotate(first=Min("pk")).values("first")
    for image in list(images.filter(pk__in=first).order_by("pk")):
        _ask(image, studies[image.series_id], found, wanted)
    for study in [study for study, one in found.items() if isinstance(one, Quarantine)]:
        for image in list(images.filter(series__study=study).order_by("pk")[:_TRIES]):
            _ask(image, study, found, wanted)
    return found


def _ask(image: Image, study: int, found: dict[int, Request | Quarantine], wanted: Mapping[str, int]) -> None:
    """Read an original: the first of a study that can be read says what is asked, every one adds to what is known."""
    try:
        structure = read_structure(unchanged_original(image), {0x00080005, *wanted.values(), *KNOWN_TAGS})
    except Quarantine as changed:
        if not isinstance(found[study], Request):
            found[study] = changed
        return
    except (Refused, OSError):
        return
    known = {(keyword_of(tag), value) for tag in KNOWN_TAGS if (value := text(structure, tag))}
    if isinstance(before := found[study], Request):
        found[study] = replace(before, known=tuple(sorted(known.union(before.known))))
        return
    header = {keyword: text(structure, tag) for keyword, tag in wanted.items()}
    found[study] = Request(
        patient_key=identity.patient_key(header["IssuerOfPatientID"], header["PatientID"], header["StudyInstanceUID"]),
        patient_id=header["PatientID"],
        accession_number=header["AccessionNumber"],
        patient_birth_date=header["PatientBirthDate"],
        study_date=next(
            (header[k] for k in ("StudyDate", "SeriesDate", "ContentDate", "AcquisitionDate") if header[k]), ""
        ),
        header=header,
        known=tuple(sorted(known)),
    )


def _keep(rows: Sequence[Series], answers: Mapping[int, Answered | Quarantine]) -> list[Series]:
    """Write what is new; returns the series that have identifiers now.

    One answer for a study: the first that was kept counts for every series of it, whoever asked again meanwhile.
    """
    of_study = SeriesIdentifiers.objects.filter(series__study__in={series.study_id for series in rows})
    first = of_study.values("series__study").annotate(first=Min("pk")).values("first")
    kept = SeriesIdentifiers.objects.filter(pk__in=first).select_related("series")
    known = {one.series.study_id: one for one in kept}
    have = set(SeriesIdentifiers.objects.filter(series__in=rows).values_list("series", flat=True))
    new: list[SeriesIdentifiers] = []
    for series in rows:
        if (one := known.get(series.study_id)) is None:
            if not isinstance(answered := answers.get(series.study_id), tuple):
                continue
            one = known[series.study_id] = _identifiers(*answered, project(series.project).provider)
        if series.pk not in have:
            new.append(
                SeriesIdentifiers(
                    series=series,
                    values=one.values,
                    patient_id=one.patient_id,
                    date_shift_days=one.date_shift_days,
                    sealed_response=one.sealed_response,
                    sealed_known=one.sealed_known,
                    provider=one.provider,
                    at=timezone.now(),
                )
            )
    SeriesIdentifiers.objects.bulk_create(new)
    return [series for series in rows if series.study_id in known]


def known_of(identifiers: Iterable[SeriesIdentifiers]) -> dict[int, Known]:
    """What is known of the patient of each series, from the first image of its study."""
    opened: dict[str, Known] = {"": ()}
    found: dict[int, Known] = {}
    for one in identifiers:
        token = one.sealed_known
        if token not in opened:
            opened[token] = tuple((keyword, value) for keyword, value in json.loads(identity.unseal(token)))
        found[one.series_id] = opened[token]
    return found


def _identifiers(request: Request, answer: Answer, name: str) -> SeriesIdentifiers:
    """The answer as it is kept; of no series yet."""
    return SeriesIdentifiers(
        values=answer.values,
        patient_id=answer.values.get("PatientID", "")[:64],
        date_shift_days=answer.date_shift_days,
        sealed_response=identity.seal(json.dumps(answer.response)) if answer.response is not None else "",
        sealed_known=identity.seal(json.dumps(request.known)),
        provider=name,
    )
