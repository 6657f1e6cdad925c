"""Pseudonyms by keyed hash: nothing to ask, the same for ever, unlinked between projects."""

from __future__ import annotations

from collections.abc import Sequence

from deidentify.pseudonyms import Pseudonyms
from main import identifiers, identity
from main.errors import Quarantine
from main.identifiers import Answer, Request


class Provider(identifiers.Provider):
    """The pseudonyms of `deidentify.pseudonyms` for the patient's id and name, the accession number likewise.

    They cover the patient key, so two spellings of one name with one id are one patient.
    """

    name = "keyed"
    is_computed = True

    def identify_many(self, requests: Sequence[Request]) -> list[Answer | Quarantine]:
        """The pseudonyms of each patient and study."""
        pseudonyms = identity.pseudonyms(self.project.name)
        return [_answer(request, pseudonyms) for request in requests]

    def check(self) -> str:
        """The keyed provider is ready when its key is."""
        return f"keyed pseudonyms under key {identity.key_id(self.project.name)}"


def _answer(request: Request, pseudonyms: Pseudonyms) -> Answer:
    patient = pseudonyms.patient(request.patient_key)
    values = {"PatientID": patient, "PatientName": patient}
    if request.accession_number:
        values["AccessionNumber"] = pseudonyms.accession(request.patient_key, request.accession_number)
    return Answer(values)
