"""A table of one's own: what it may look like, what is wrong with it, and that a change is seen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from main import identity
from main.errors import Quarantine, Transient
from main.identifiers import Answer
from main.identifiers.csv import Provider
from tests.identifiers.conftest import asking


@pytest.fixture
def table(tmp_path: Path, settings: Any) -> Any:
    """Writes the table."""
    settings.SENDIT_IDENTIFIERS_FILE = tmp_path / "patients.csv"

    def write(content: str | bytes) -> Provider:
        data = content if isinstance(content, bytes) else content.encode()
        settings.SENDIT_IDENTIFIERS_FILE.write_bytes(data)
        return Provider()

    return write


def of(patient_id: str, issuer: str = "") -> Any:
    return asking(
        patient_key=identity.patient_key(issuer, patient_id, "1.2.3"), patient_id=patient_id, accession_number=""
    )


@pytest.mark.parametrize(
    "content",
    [
        "patient_id,pseudonym\nMRN1,SUB-1\nMRN2,SUB-2\n",
        "\ufeffPatient_ID;Pseudonym\r\n MRN1 ;SUB-1\r\nMRN2; SUB-2",
        'pseudonym\tpatient_id\tissuer\nSUB-1\t"MRN1"\t\nSUB-2\tMRN2\t',
    ],
)
def test_a_table_as_spreadsheets_write_it(table: Any, content: str) -> None:
    answers = table(content).identify_many([of("MRN2"), of("MRN1")])
    assert [one.values["PatientID"] for one in answers] == ["SUB-2", "SUB-1"]
    assert answers[0].values["PatientName"] == "SUB-2"


def test_issuer_and_shift(table: Any) -> None:
    provider = table("patient_id,issuer,pseudonym,date_shift_days\n1,A,SUB-A,-12\n1,B,SUB-B,\n")
    first, second = provider.identify_many([of("1", "A"), of("1", "B")])
    assert (first.values["PatientID"], first.date_shift_days) == ("SUB-A", -12)
    assert (second.values["PatientID"], second.date_shift_days) == ("SUB-B", None)


def test_a_patient_that_is_not_there_stops_no_other(table: Any) -> None:
    unknown, known = table("patient_id,pseudonym\nMRN1,SUB-1\n").identify_many([of("MRN2"), of("MRN1")])
    assert isinstance(unknown, Quarantine)
    assert unknown.code == "identifiers-unknown"
    assert isinstance(known, Answer)


def test_a_change_is_seen_at_the_next_question(table: Any) -> None:
    table("patient_id,pseudonym\nMRN1,SUB-1\n").identify(of("MRN1"))
    provider = table("patient_id,pseudonym\nMRN1,SUB-9\n")
    assert provider.identify(of("MRN1")).values["PatientID"] == "SUB-9"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "columns"),
        ("patient_id,name\n", "columns"),
        ("patient_id,pseudonym,pseudonym\n", "columns"),
        ("patient_id,pseudonym\nCANARYMRN731\n", "line 2"),
        ("patient_id,pseudonym\nCANARYMRN731,A,B\n", "line 2"),
        ("patient_id,pseudonym\nM1,A\n,B\n", "no patient_id in line 3"),
        ("patient_id,pseudonym\nCANARYMRN731,A\nM2,B\nCANARYMRN731,C\n", "line 4 the patient of line 2"),
        ("patient_id,pseudonym\nM1,A\nCANARYMRN731,A\n", "line 3 the pseudonym of line 2"),
        ("patient_id,pseudonym\nCANARYMRN731,CANARYMRN731\n", "line 2"),
        ("patient_id,pseudonym\nCANARYMRN731,A^B\n", "line 2"),
        ("patient_id,pseudonym\nCANARYMRN731," + "x" * 65 + "\n", "65 characters"),
        ("patient_id,pseudonym,date_shift_days\nCANARYMRN731,A,19610727a\n", "line 2"),
        ('patient_id,pseudonym\n"CANARYMRN731,A\n', "no CSV"),
        (b"patient_id,pseudonym\n\xff\xfe,A\n", "UTF-8"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_without_values(table: Any, content: str | bytes, says: str) -> None:
    with pytest.raises(Transient) as caught:
        table(content).identify(of("M1"))
    assert caught.value.code == "identifiers-settings"
    assert says in caught.value.sentence
    assert "CANARY" not in repr(caught.value)
    assert "19610727" not in caught.value.sentence


def test_a_table_that_is_missing_or_not_named(table: Any, settings: Any) -> None:
    provider = table("patient_id,pseudonym\nM1,A\n")
    assert "1 patients" in provider.check()
    os.unlink(settings.SENDIT_IDENTIFIERS_FILE)
    with pytest.raises(Transient, match="cannot be read"):
        provider.check()
    settings.SENDIT_IDENTIFIERS_FILE = None
    with pytest.raises(Transient, match="SENDIT_IDENTIFIERS_FILE"):
        Provider()


def test_the_table_leads_back(table: Any) -> None:
    provider = table("patient_id,issuer,pseudonym\n007,A,SUB-1\nMRN2,,SUB-2\n")
    assert provider.original_of(["SUB-1", "SUB-9"]) == {"SUB-1": "007"}
