"""One patient, one pseudonym: no provider makes one patient of two, or two of one, whenever it answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, transaction
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from main import crosswalk, identity, rotation, work
from main.crosswalk import Name, Patient
from main.models import Event, Image, Pseudonym, Release, Series, SeriesIdentifiers, VaultEntry
from main.pipeline.replay import replay, requeue_images
from tests.main.conftest import Node, statuses

PROJECT = "default"


@pytest.fixture
def table(tmp_path: Path, settings: Any) -> Callable[..., None]:
    """Writes the table that pseudonyms come from."""
    settings.SENDIT_IDENTIFIERS, settings.SENDIT_IDENTIFIERS_FILE = "csv", tmp_path / "patients.csv"

    def write(**pseudonyms: str) -> None:
        lines = [f"{patient},{pseudonym}\n" for patient, pseudonym in pseudonyms.items()]
        settings.SENDIT_IDENTIFIERS_FILE.write_text("patient_id,pseudonym\n" + "".join(lines))

    return write


@pytest.fixture
def send(node: Node, ct: Dataset) -> Callable[..., dict[str, int]]:
    """Drops a new study of a patient and works on it; returns what became of its image."""

    def send(patient_id: str, **values: Any) -> dict[str, int]:
        ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.SOPInstanceUID = generate_uid(), generate_uid(), generate_uid()
        ct.PatientID = patient_id
        for keyword, value in values.items():
            setattr(ct, keyword, value)
        return statuses(node.drop(generate_uid(), lambda folder: ct.save_as(folder / "1.dcm")))

    return send


def codes() -> list[str]:
    """Why images are held, in their order."""
    return list(Image.objects.filter(status="QUARANTINED").order_by("pk").values_list("code", flat=True))


def names() -> list[str]:
    """The pseudonyms of the series that have one, in their order."""
    return list(SeriesIdentifiers.objects.order_by("series").values_list("patient_id", flat=True))


def test_a_patient_is_entered_once_and_found_by_either_name(send: Any, node: Node) -> None:
    send("MRN1", PatientName="Doe^Jane", IssuerOfPatientID="A")
    send("MRN1", PatientName="Doe^Jane", IssuerOfPatientID="A")
    row = Pseudonym.objects.get()
    assert row.pseudonym == dcmread(node.out()[0]).PatientID
    assert crosswalk.of_pseudonym(PROJECT, row.pseudonym) == row
    assert crosswalk.of_patient(PROJECT, "A", " MRN1 ") == [row]
    assert crosswalk.of_patient(PROJECT, "B", "MRN1") == crosswalk.of_patient("other", "A", "MRN1") == []
    assert crosswalk.patient_of(row) == Patient("A", "MRN1", "Doe^Jane")
    assert not any(secret in str(vars(row)) + repr(crosswalk.patient_of(row)) for secret in ("MRN1", "Doe"))


def test_a_pseudonym_that_another_patient_has_is_refused_whenever_it_comes(send: Any, table: Any, node: Node) -> None:
    table(MRN1="SUB-1")
    assert send("MRN1") == {"SENT": 1}
    table(MRN2="SUB-1")

    assert send("MRN2") == {"QUARANTINED": 1}

    assert codes() == ["identifiers-taken"]
    assert Release.objects.count() == len(node.out()) == 1
    table(MRN1="SUB-1", MRN2="SUB-2")
    requeue_images(list(Image.objects.filter(status="QUARANTINED").values_list("pk", flat=True)), "tester")
    work.drain(seconds=30)
    assert names() == ["SUB-1", "SUB-2"]


def test_of_two_patients_in_one_drop_that_are_given_one_pseudonym_one_goes_nowhere(
    node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from main.identifiers import Answer, keyed

    monkeypatch.setattr(keyed, "_answer", lambda *_: Answer({"PatientID": "SAME", "PatientName": "SAME"}))

    def fill(folder: Path) -> None:
        for patient in ("MRN1", "MRN2"):
            ct.PatientID, ct.StudyInstanceUID, ct.SOPInstanceUID = patient, generate_uid(), generate_uid()
            ct.SeriesInstanceUID = generate_uid()
            ct.save_as(folder / f"{patient}.dcm")

    assert statuses(node.drop("d", fill)) == {"SENT": 1, "QUARANTINED": 1}
    assert codes() == ["identifiers-taken"]


def test_another_pseudonym_for_a_known_patient_is_refused_until_an_operator_replays(send: Any, table: Any) -> None:
    table(MRN1="SUB-1")
    send("MRN1")
    table(MRN1="SUB-9")
    assert send("MRN1") == {"QUARANTINED": 1}
    assert codes() == ["identifiers-changed"]
    assert names() == ["SUB-1"]

    replay(Series.objects.order_by("pk")[1], "identify", "tester")
    work.drain(seconds=30)

    assert names() == ["SUB-1", "SUB-9"]
    assert send("MRN1") == {"SENT": 1}
    assert names() == ["SUB-1", "SUB-9", "SUB-9"]
    table(MRN2="SUB-1")
    assert send("MRN2") == {"QUARANTINED": 1}, "a pseudonym of before is nobody else's either"


def test_a_replay_that_is_answered_as_before_changes_nothing(send: Any) -> None:
    send("MRN1")
    before = list(Pseudonym.objects.values("pseudonym", "subject_index", "is_current"))
    replay(Series.objects.get(), "identify", "tester")
    assert Pseudonym.objects.filter(is_current=True).count() == 0
    work.drain(seconds=30)
    assert list(Pseudonym.objects.values("pseudonym", "subject_index", "is_current")) == before


def test_another_project_has_its_own(send: Any, table: Any, settings: Any) -> None:
    table(MRN1="SUB-1")
    send("MRN1")
    settings.SENDIT_PROJECT = "other"
    table(MRN2="SUB-1")
    assert send("MRN2") == {"SENT": 1}


def test_of_a_forgotten_patient_stays_that_the_pseudonym_was_given(send: Any, table: Any) -> None:
    table(MRN1="SUB-1")
    send("MRN1")
    before = Pseudonym.objects.get()
    call_command("forget", "SUB-1", reason="Article 17", as_json=True)
    row = Pseudonym.objects.get()
    assert row.subject_index.startswith("forgotten-")
    assert (row.sealed, row.pseudonym, crosswalk.patient_of(row)) == ("", "SUB-1", None)
    assert before.sealed
    for patient in ("MRN1", "MRN2"):  # nobody can tell who it was
        table(**{patient: "SUB-1"})
        assert send(patient) == {"QUARANTINED": 1}
    assert codes() == ["identifiers-taken"] * 2


def test_an_original_id_that_is_typed_in_place_of_a_pseudonym_stands_in_no_history(send: Any) -> None:
    send("MRN1")
    with pytest.raises(SystemExit):
        call_command("forget", "MRN1", reason="Article 17", as_json=True)
    assert not Event.objects.filter(kind="forget").exists()
    assert crosswalk.of_patient(PROJECT, "", "MRN1")


def test_a_forgotten_patient_may_come_again_under_his_keyed_pseudonym(send: Any) -> None:
    send("MRN1")
    [pseudonym] = names()
    call_command("forget", pseudonym, reason="Article 17", as_json=True)
    assert send("MRN1") == {"SENT": 1}
    assert names() == [pseudonym]
    [row] = crosswalk.of_patient(PROJECT, "", "MRN1")
    assert (row.pseudonym, crosswalk.patient_of(row)) == (pseudonym, Patient("", "MRN1", "CompressedSamples^CT1"))


def test_it_stays_when_everything_else_is_cleaned_up(send: Any, settings: Any) -> None:
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS, settings.SENDIT_VAULT = True, 0.0, False
    send("MRN1")
    assert not Image.objects.exists()
    row = Pseudonym.objects.get()
    assert row.sealed == "", "without a vault it is not kept who that is"
    call_command("forget", row.pseudonym, reason="Article 17", as_json=True)
    assert not crosswalk.of_patient(PROJECT, "", "MRN1")


def test_a_patient_that_dasher_takes_for_the_same_is_the_same(settings: Any, node: Node) -> None:
    settings.SENDIT_IDENTIFIERS = "dasher"
    from main.identifiers.dasher import Provider

    with_hyphens = crosswalk.subject_index(Provider, "", "12-34")
    assert with_hyphens == crosswalk.subject_index(Provider, "", "1234") != ""
    settings.SENDIT_IDENTIFIERS = "keyed"
    assert identity.blind_index("patient", identity.patient_key("", "12-34", "")) != with_hyphens


def test_what_it_keeps_is_sealed_anew_with_the_rest() -> None:
    assert (Pseudonym, "sealed") in rotation.columns()


def test_pseudonyms_of_before_are_entered_by_the_migration(send: Any) -> None:
    send("MRN1")
    send("MRN2")
    before = set(Pseudonym.objects.values_list("subject_index", "pseudonym"))
    SeriesIdentifiers.objects.filter(series=Series.objects.order_by("pk")[0]).delete()  # known by the vault only
    assert VaultEntry.objects.count() == 2
    Pseudonym.objects.all().delete()
    import_module("main.migrations.0012_crosswalk").enter_pseudonyms(apps, SimpleNamespace(connection=connection))
    assert set(Pseudonym.objects.values_list("subject_index", "pseudonym")) == before
    assert {crosswalk.patient_of(row) for row in Pseudonym.objects.all()} == {Patient("", "MRN1"), Patient("", "MRN2")}


@pytest.mark.django_db(transaction=True)
def test_of_workers_that_enter_at_once_one_wins_each_pseudonym_and_each_patient() -> None:
    start = threading.Barrier(6)
    entered: list[tuple[str, str]] = []
    broken: list[BaseException] = []

    def enter(worker: int) -> None:
        try:
            start.wait()
            for turn in range(10):
                given = {(f"{turn}-{n}", f"P{turn}-{(n + worker) % 5}") for n in range(5)}
                names = {one: Name(one[0], one[1], "") for one in given}
                with transaction.atomic():
                    refused = crosswalk.enter(PROJECT, names)
                entered.extend(given - refused.keys())
        except BaseException as error:  # noqa: BLE001 - it is told below
            broken.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=enter, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert not [error for error in broken if "deadlock" not in str(error)]
    patients, pseudonyms = dict(entered), {name: patient for patient, name in entered}
    assert len(patients) == len(pseudonyms) == len(set(entered)) >= 5
