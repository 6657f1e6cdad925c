"""The shapes of ITH DICOM Proxy's `/api/phi-metadata/`, filled with original values.

`patient_id`, `patient_name` and UIDs are the released ones; dates, times, descriptions, accession number and everything in
`…_phi` are the original ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from deidentify.levels import PATIENT, SERIES, STUDY
from main.revealing import Told

_OF_PATIENT = [keyword for keyword in PATIENT if keyword not in ("PatientName", "PatientID")]


def patient(one: Told) -> dict[str, Any]:
    """What is told of a patient."""
    return {
        "anonymous_patient_id": one.entry.patient_id,
        "anonymous_patient_name": one.entry.patient_id,
        **_original_patient(one),
        "patient_phi": one.of(_OF_PATIENT),
    }


def study(one: Told) -> dict[str, Any]:
    """What is told of a study."""
    return {**_study(one), "study_phi": one.of(STUDY)}


def series(one: Told) -> dict[str, Any]:
    """What is told of a series."""
    return {
        **_series(one),
        "series_description": one.texts.get("SeriesDescription", ""),
        "series_phi": one.of(SERIES),
    }


def whole_study(several: Sequence[Told]) -> dict[str, Any]:
    """What is told of a study with its patient and all of its series."""
    one = several[0]
    return {
        **_study(one),
        "patient_phi": one.of(_OF_PATIENT),
        "study_phi": one.of(STUDY),
        "series_phi": [{**_series(each), "phi_metadata": each.of(SERIES)} for each in several],
        **_original_patient(one),
        "series_count": len(several),
    }


def _original_patient(one: Told) -> dict[str, Any]:
    return {
        "original_patient_id": one.texts.get("PatientID", ""),
        "original_patient_name": one.texts.get("PatientName", ""),
    }


def _study(one: Told) -> dict[str, Any]:
    return {
        "study_instance_uid": one.entry.study_instance_uid,
        "patient_id": one.entry.patient_id,
        "patient_name": one.entry.patient_id,
        "study_date": _iso(one.texts.get("StudyDate", ""), "%Y%m%d"),
        "study_time": _iso(one.texts.get("StudyTime", ""), "%H%M%S.%f", "%H%M%S", "%H%M", "%H"),
        "study_description": one.texts.get("StudyDescription", ""),
        "accession_number": one.texts.get("AccessionNumber", ""),
        "status": "complete" if one.study_is_complete else "incomplete",
    }


def _series(one: Told) -> dict[str, Any]:
    number = one.texts.get("SeriesNumber", "")
    return {
        "series_instance_uid": one.entry.series_instance_uid,
        "series_number": int(number) if number.lstrip("+-").isdecimal() else None,
        "modality": one.texts.get("Modality", ""),
    }


def _iso(text: str, *forms: str) -> str | None:
    """A DA or TM as JSON has it; None for what is none."""
    for form in forms:
        with suppress(ValueError):
            moment = datetime.strptime(text, form)
            return moment.date().isoformat() if "%Y" in form else moment.time().isoformat()
    return None
