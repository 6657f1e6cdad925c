"""Pseudonyms by keyed hash: nothing to ask, the same for ever, unlinked between projects."""

from __future__ import annotations

import base64

from main import identity
from main.identifiers import Answer, Request


class Provider:
    """`ANON-` and 12 characters of base32 (60 bits of HMAC-SHA256), the accession number likewise.

    The digest covers the patient key (main/identity.py), so two spellings of one name with one id are one patient.
    """

    name = "keyed"

    def identify(self, request: Request) -> Answer:
        """The pseudonyms of the patient and the study."""
        patient = f"ANON-{_short('patient', request.patient_key)}"
        accession = f"A{_short('accession', request.patient_key + request.accession_number)}"
        values = {"PatientID": patient, "PatientName": patient}
        if request.accession_number:
            values["AccessionNumber"] = accession
        return Answer(values)

    def check(self) -> str:
        """The keyed provider is ready when its key is."""
        return f"keyed pseudonyms under key {identity.keyring().pseudonym_id}"


def _short(purpose: str, value: str) -> str:
    return base64.b32encode(identity.pseudonym_digest(purpose, value))[:12].decode("ascii")
