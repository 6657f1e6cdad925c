"""Pseudonyms by keyed hash: nothing to ask, the same for ever, unlinked between projects (PS3.15 E.1.1).

Only names are made here; which attribute a name goes into is decided by whoever supplies the identifiers.
"""

from __future__ import annotations

import base64
import hmac
import json
import unicodedata


def patient_key(issuer: str, patient_id: str, study_instance_uid: str) -> str:
    """Return what makes two images those of one patient.

    (issuer, PatientID) in Unicode NFC without surrounding spaces, case kept. Without an id the study stands for its
    patient: such patients are never put together.
    """
    issuer, patient_id = (unicodedata.normalize("NFC", text).strip() for text in (issuer, patient_id))
    if not patient_id:
        return json.dumps(["study", study_instance_uid])
    return json.dumps(["patient", issuer, patient_id], ensure_ascii=False)


class Pseudonyms:
    """The pseudonyms of one project: `ANON-` and 12 characters of base32 (60 bits of HMAC-SHA256).

    Parameters
    ----------
    key : bytes
        The secret of the node, 32 bytes.
    project : str
        Another name gives pseudonyms and UIDs that cannot be linked to those of this one.
    """

    def __init__(self, key: bytes, project: str = "default") -> None:
        self._key, self._project = key, project

    def digest(self, purpose: str, value: str) -> bytes:
        """Return 32 bytes for `value`, unrelated between purposes and projects."""
        subkey = hmac.digest(self._key, f"{self._project}/{purpose}".encode(), "sha256")
        return hmac.digest(subkey, value.encode("utf-8", "surrogateescape"), "sha256")

    @property
    def engine_key(self) -> bytes:
        """The key of the project's `Deidentifier`."""
        return self.digest("deidentify", "")

    def patient(self, key: str) -> str:
        """Return the pseudonym of the patient whose `patient_key` this is."""
        return f"ANON-{self._short('patient', key)}"

    def accession(self, key: str, accession_number: str) -> str:
        """Return the pseudonym of a patient's accession number."""
        return f"A{self._short('accession', key + accession_number)}"

    def _short(self, purpose: str, value: str) -> str:
        return base64.b32encode(self.digest(purpose, value))[:12].decode("ascii")
