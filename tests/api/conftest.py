"""A node with a released patient whose values must not be seen, and tokens for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pydicom import Dataset, dcmread

from main import tokens
from tests.main.conftest import Node, ct, node

__all__ = ["ct", "node"]  # fixtures

CANARY_NAME, CANARY_ID, CANARY_UID = "CANÄRY^JÖRG", "CANARY-4711", "1.2.999.4711"
CANARIES = ("CANÄRY", "CANARY", CANARY_UID, "19010203")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these tests run on every database."""
    for item in items:
        if "tests/api/" in str(item.path):
            item.add_marker(pytest.mark.everydatabase)


@dataclass
class Names:
    """What of the canary was released."""

    patient: str
    study: str
    series: list[str]


@pytest.fixture
def released(node: Node, ct: Dataset) -> Names:
    """A patient with a study of two series, received, released and delivered."""
    ct.SpecificCharacterSet = "ISO_IR 100"
    ct.PatientName, ct.PatientID, ct.PatientBirthDate = CANARY_NAME, CANARY_ID, "19010203"
    ct.PatientSex, ct.StudyDate, ct.StudyTime, ct.InstitutionName = "M", "20040119", "072730.5", "CANARY HOSPITAL"
    ct.StudyInstanceUID, ct.AccessionNumber, ct.StudyDescription = CANARY_UID, "CANARY-A", "CANÄRY ABDOMEN"

    def fill(folder: Path) -> None:
        for number in (1, 2):
            ct.SeriesInstanceUID, ct.SeriesNumber = f"{CANARY_UID}.{number}", str(number)
            for image in (1, 2):
                ct.SOPInstanceUID = f"{CANARY_UID}.{number}.{image}"
                ct.file_meta.MediaStorageSOPInstanceUID = ct.SOPInstanceUID
                ct.save_as(folder / f"{number}-{image}.dcm")

    node.drop("d", fill)
    out = [dcmread(path) for path in node.out()]
    numbers = {ds.SeriesNumber: ds.SeriesInstanceUID for ds in out}
    assert len(out) == 4
    return Names(out[0].PatientID, out[0].StudyInstanceUID, [numbers[1], numbers[2]])


@pytest.fixture
def allowed(settings: Any) -> None:
    settings.SENDIT_RESTORE = True


@pytest.fixture
def meier(db: None) -> User:
    """Somebody with the right."""
    user = User.objects.create_user("meier")
    user.user_permissions.add(Permission.objects.get(codename="restore_originals"))
    return user


@pytest.fixture
def token(meier: User) -> str:
    return tokens.add("viewer", meier, ["restore"], 30, "", "tester")


Call = Callable[..., Any]


@pytest.fixture
def call(token: str) -> Call:
    """Call as a program does, by default with the token; no cookies, forms are checked as in production."""

    def called(path: str, body: object, authorization: str = f"Bearer {token}", **headers: str) -> Any:
        given = {**({"Authorization": authorization} if authorization else {}), **headers}
        client = Client(enforce_csrf_checks=True)
        return client.post(f"/api/phi-metadata/{path}", body, content_type="application/json", headers=given)

    return called
