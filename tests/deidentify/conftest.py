"""The real files, the engine and the identifiers that the tests of this room share."""

from pathlib import Path

import pydicom.data
import pytest

from deidentify import Deidentifier, Identifiers
from tests.deidentify.objects import BASIC, IDENTIFIERS, KEY


@pytest.fixture(scope="session")
def engine() -> Deidentifier:
    return Deidentifier(BASIC, KEY)


@pytest.fixture
def identifiers() -> Identifiers:
    return Identifiers(IDENTIFIERS)


@pytest.fixture
def ct() -> Path:
    return Path(pydicom.data.get_testdata_file("CT_small.dcm"))
