"""A stand-in DASHER, a token file for it, and settings that point there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from main.identifiers import Request
from main.identifiers.dasher import Provider
from tests.identifiers.dasher_standin import Dasher

# Values of a patient that must be found nowhere but in the request and in the token file.
CANARIES = ("CANARYMRN731", "CANARYMRN-731", "CANARYACC42", "19610727", "1961-07-27", "20100204", "2010-02-04")


@pytest.fixture
def dasher() -> Iterator[Dasher]:
    """Yield a running stand-in."""
    service = Dasher().start()
    yield service
    service.stop()


@pytest.fixture
def token_file(dasher: Dasher, tmp_path: Path) -> Path:
    """The token file that its user was given."""
    return dasher.write_token_file(tmp_path / "stanford.json")


@pytest.fixture
def provider(dasher: Dasher, token_file: Path, settings: Any) -> Provider:
    """The provider, set to the stand-in with a timeout that tests can wait for."""
    settings.DASHER_URL = dasher.url
    settings.DASHER_VERSION = "v1"
    settings.DASHER_STUDY = "Test"
    settings.DASHER_TIMEOUT = 1.0
    settings.STANFORD_CLIENT_SECRETS = token_file
    settings.ENTITY_ID = "PatientID"
    settings.ITEM_ID = "AccessionNumber"
    return Provider()


def asking(**other: Any) -> Request:
    """What identify asks about one study; `other` replaces fields."""
    fields: dict[str, Any] = {
        "patient_key": '["patient", "", "CANARYMRN-731"]',
        "patient_id": "CANARYMRN-731",
        "accession_number": "CANARYACC42",
        "patient_birth_date": "19610727",
        "study_date": "20100204",
        "header": {"PatientID": "CANARYMRN-731", "AccessionNumber": "CANARYACC42", "StudyInstanceUID": "1.2.3"},
    }
    return Request(**{**fields, **other})
