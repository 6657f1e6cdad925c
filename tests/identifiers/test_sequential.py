"""Numbers are given once to a patient, one after another, whoever asks at the same time."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from main import identity
from main.errors import Transient
from main.identifiers.sequential import Provider
from main.models import PatientNumber
from tests.identifiers.conftest import asking

pytestmark = [pytest.mark.everydatabase, pytest.mark.django_db]


def of(patient_id: str, **other: Any) -> Any:
    return asking(patient_key=identity.patient_key("", patient_id, "1.2.3"), patient_id=patient_id, **other)


def names(*requests: Any) -> list[str]:
    return [one.values["PatientID"] for one in Provider().identify_many(requests)]


def test_patients_are_numbered_in_their_order_and_keep_their_number() -> None:
    assert names(of("MRN1"), of("MRN2"), of("MRN1")) == ["sub-001", "sub-002", "sub-001"]
    assert names(of("MRN3"), of("MRN2"), of(" MRN1 ")) == ["sub-003", "sub-002", "sub-001"]
    assert Provider().check() == "the next patient is sub-004"


def test_a_number_is_a_patients_and_not_a_studys() -> None:
    first, second = Provider().identify_many([of("MRN1", accession_number="A"), of("MRN1", accession_number="B")])
    assert first.values["PatientID"] == second.values["PatientID"]
    assert first.values["AccessionNumber"] != second.values["AccessionNumber"]


def test_another_project_counts_for_itself(settings: Any) -> None:
    assert names(of("MRN1"), of("MRN2")) == ["sub-001", "sub-002"]
    settings.SENDIT_PROJECT = "other"
    assert names(of("MRN2")) == ["sub-001"]


def test_only_the_blind_index_of_a_patient_is_kept() -> None:
    names(of("CANARYMRN731"))
    assert "CANARY" not in str(list(PatientNumber.objects.values()))


@pytest.mark.parametrize("form", ["sub", "sub-{}", "{number", "{other}", "a^{number}", "x" * 60 + "{number}"])
def test_a_form_that_gives_no_pseudonyms_is_refused(settings: Any, form: str) -> None:
    settings.SENDIT_SEQUENCE = form
    with pytest.raises(Transient, match="SENDIT_SEQUENCE"):
        Provider()


@pytest.mark.django_db(transaction=True)
def test_workers_that_ask_at_once_give_no_number_twice_and_leave_none_out() -> None:
    given: list[dict[str, str]] = []
    start = threading.Barrier(6)

    def ask(worker: int) -> None:
        start.wait()
        own: dict[str, str] = {}
        for n in range(8):
            patients = [f"P{(worker * 5 + n * 3 + k) % 40}" for k in range(3)]
            own |= dict(zip(patients, names(*map(of, patients)), strict=True))
        given.append(own)
        connection.close()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(given) == 6
    together: dict[str, str] = {}
    for own in given:
        assert all(together.setdefault(patient, name) == name for patient, name in own.items())
    assert sorted(together.values()) == [f"sub-{n:03d}" for n in range(1, len(together) + 1)]
