"""Identify: a series gets its identifiers, once for the study; a provider that is away holds it and shows why."""

from __future__ import annotations

import json

from django.db import transaction
from django.utils import timezone

from deidentify.errors import Refused
from deidentify.gate import read_structure, text
from main import identity, states
from main.claims import Claim
from main.errors import Quarantine
from main.failpoints import reach
from main.identifiers import Answer, Request, provider
from main.models import Image, Series, SeriesIdentifiers, Study
from main.models.imaging import Status
from main.pipeline.next_stage import let_go
from main.pipeline.register import original

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


def identify(held: Claim[Series]) -> None:
    """Get the identifiers of a claimed series and let it go to de-identification.

    Raises
    ------
    Transient
        The provider is away.
    Quarantine
        The provider refused, or no original can be read.
    """
    series = held.row
    reach("identify:claimed")
    answer = None
    if not _known(series.study):
        answer = provider().identify(request_for(series))
    reach("identify:answered")
    with transaction.atomic():
        held.hold()
        _keep(series, answer)
        states.move(series, Image.objects.filter(status=Status.NEW), Status.PROCESSING)
        let_go(held)
    reach("identify:committed")


def request_for(series: Series) -> Request:
    """What is asked about the study of `series`, from the header of one of its originals.

    Raises
    ------
    Quarantine
        `no-original`, when none can be read.
    """
    for image in Image.objects.filter(series=series).select_related("batch").order_by("pk")[:5]:
        try:
            structure = read_structure(original(image), {0x00080005, *HEADER.values()})
        except (Refused, OSError):
            continue
        header = {keyword: text(structure, tag) for keyword, tag in HEADER.items()}
        return Request(
            patient_key=identity.patient_key(
                header["IssuerOfPatientID"], header["PatientID"], header["StudyInstanceUID"]
            ),
            patient_id=header["PatientID"],
            accession_number=header["AccessionNumber"],
            patient_birth_date=header["PatientBirthDate"],
            study_date=next(
                (header[k] for k in ("StudyDate", "SeriesDate", "ContentDate", "AcquisitionDate") if header[k]), ""
            ),
            header=header,
        )
    raise Quarantine("no-original", "No original of this series can be read, so no identifiers can be asked for.")


def _known(study: Study) -> SeriesIdentifiers | None:
    return SeriesIdentifiers.objects.filter(series__study=study).order_by("pk").first()


def _keep(series: Series, answer: Answer | None) -> None:
    """One answer for a study: the first that was kept counts for every series of it, whoever asked again meanwhile."""
    Study.objects.select_for_update().get(pk=series.study_id)
    known = _known(series.study)
    if known is not None and known.series_id == series.pk:
        return
    if known is not None:
        values, shift, sealed, name = known.values, known.date_shift_days, known.sealed_response, known.provider
    elif answer is not None:
        values, shift, name = answer.values, answer.date_shift_days, provider().name
        sealed = identity.seal(json.dumps(answer.response)) if answer.response is not None else ""
    else:
        raise Quarantine(
            "no-identifiers", "The identifiers of this study were removed while it was worked on: requeue it."
        )
    SeriesIdentifiers.objects.get_or_create(
        series=series,
        defaults={
            "values": values,
            "date_shift_days": shift,
            "sealed_response": sealed,
            "provider": name,
            "at": timezone.now(),
        },
    )
