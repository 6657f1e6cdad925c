"""Identities as they should not be: spelt in other ways, shared, missing, odd, or on a node with other keys.

What services do wrong is in tests/identifiers (`test_gpas`, `test_dasher_faults`, `test_csv`); allocating at once in
`test_sequential` and `test_crosswalk`; keys in `test_identity`, and a half-finished rotation in `test_rotation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.utils import timezone
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from main import crosswalk, identity, vault, work
from main.errors import Quarantine
from main.identifiers import Answer, Request, provider, provider_class, unfit
from main.models import Image, KeyRecord, Pseudonym, Series, SeriesIdentifiers
from main.projects import default
from tests.identifiers.dasher_standin import Dasher
from tests.identifiers.gpas_standin import Gpas
from tests.main.conftest import Node, statuses

AWKWARD = [
    "A&B",
    "<A>",
    'A"B',
    "A'B",
    "A*B",
    "?",
    "A%B_",
    "A\\B",
    "0007",
    "007",
    "7",
    "-7",
    "=7",
    "7.0",
    "a",
    "A",
    "A^B",
    "A B",
    "A  B",
    "ｶﾅ",
    "山田^太郎=やまだ^たろう",
    "Ärzte",
    "x" * 64,
    "{number}",
    "../../etc",
    "%s",
    "'; DROP TABLE main_pseudonym; --",
]

Send = Callable[..., dict[str, int]]


@pytest.fixture
def send(node: Node, ct: Dataset) -> Send:
    """Drops a new study with these values and works on it; returns what became of its image."""

    def send(**values: Any) -> dict[str, int]:
        ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.SOPInstanceUID = generate_uid(), generate_uid(), generate_uid()
        ct.SpecificCharacterSet = "ISO_IR 192"
        for keyword, value in values.items():
            setattr(ct, keyword, value)
        return statuses(node.drop(generate_uid(), lambda folder: ct.save_as(folder / "1.dcm")))

    return send


def names() -> list[str]:
    """The pseudonym of each series that has one, in their order."""
    return list(SeriesIdentifiers.objects.order_by("series").values_list("patient_id", flat=True))


def codes() -> list[str]:
    """Why images are held, in their order."""
    return list(Image.objects.filter(status="QUARANTINED").order_by("pk").values_list("code", flat=True))


@pytest.fixture
def gpas(settings: Any) -> Iterator[Gpas]:
    service = Gpas().start()
    settings.GPAS_URL, settings.GPAS_DOMAIN, settings.GPAS_TIMEOUT = service.url, "Patients", 5.0
    yield service
    service.stop()


@pytest.fixture(params=["keyed", "sequential", "csv", "dasher", "gpas"])
def given_by(request: pytest.FixtureRequest, settings: Any, tmp_path: Path, gpas: Gpas, db: None) -> Iterator[str]:
    """Each provider, ready to answer."""
    settings.SENDIT_IDENTIFIERS = request.param
    lines = [f'"{one.replace(chr(34), 2 * chr(34))}",SUB-{n}\n' for n, one in enumerate(AWKWARD)]
    settings.SENDIT_IDENTIFIERS_FILE = tmp_path / "patients.csv"
    settings.SENDIT_IDENTIFIERS_FILE.write_text("patient_id,pseudonym\n" + "".join(lines))
    dasher = Dasher().start()
    settings.DASHER_URL, settings.DASHER_TIMEOUT = dasher.url, 5.0
    settings.STANFORD_CLIENT_SECRETS = dasher.write_token_file(tmp_path / "stanford.json")
    yield request.param
    dasher.stop()


def asking(patient_id: str) -> Request:
    key = identity.patient_key("", patient_id, "1.2.3")
    return Request(key, patient_id, "A1", "19610727", "20100204")


def test_awkward_ids_get_a_pseudonym_each_or_a_reason_from_every_provider(given_by: str) -> None:
    answers = provider(default()).identify_many([asking(one) for one in AWKWARD])

    given = {one: a.values["PatientID"] for one, a in zip(AWKWARD, answers, strict=True) if isinstance(a, Answer)}
    patients = {provider_class(default()).same_id(one) for one in given}
    assert len(set(given.values())) == len(patients)
    assert not any(unfit("PatientID", pseudonym) for pseudonym in given.values())
    refused = {one for one, a in zip(AWKWARD, answers, strict=True) if isinstance(a, Quarantine)}
    if given_by == "dasher":  # it takes letters, digits, _ and - only, and does not know hyphens
        assert {"A&B", "山田^太郎=やまだ^たろう", "A B"} <= refused
        assert {"0007", "007", "a", "A"} <= given.keys()
    else:
        assert not refused
    for one, answer in zip(AWKWARD, answers, strict=True):
        if isinstance(answer, Quarantine) and len(one) > 3:
            assert one not in answer.sentence


@pytest.mark.parametrize("patient_id", [one for one in AWKWARD if "\\" not in one])
def test_an_awkward_id_goes_the_whole_way_and_comes_back(send: Send, node: Node, patient_id: str) -> None:
    assert send(PatientID=patient_id, PatientName=patient_id) == {"SENT": 1}
    [pseudonym] = names()
    row = crosswalk.of_pseudonym("default", pseudonym)
    assert row is not None
    patient = crosswalk.patient_of(row)
    assert patient is not None
    assert patient.patient_id == patient_id
    assert crosswalk.of_patient("default", "", patient_id) == [row]
    assert vault.of_original_patient("", patient_id).get().patient_id == pseudonym
    assert dcmread(node.out()[0]).PatientID == pseudonym


def test_one_name_and_two_ids_are_two_patients(send: Send) -> None:
    for patient_id in ("1", "2"):
        send(PatientID=patient_id, PatientName="Doe^Jane")
    assert len(set(names())) == Pseudonym.objects.count() == 2


def test_one_id_and_two_spellings_of_the_name_are_one_patient(send: Send) -> None:
    for name in ("Doe^Jane", "DOE^JANE", "Doe^Jane^^Dr", "山田^太郎", ""):
        send(PatientID="1", PatientName=name)
    assert len(set(names())) == Pseudonym.objects.count() == 1


@pytest.mark.parametrize(
    ("one", "other", "patients"),
    [
        ("MRN1", " MRN1 ", 1),
        ("MRN1", "MRN1\0", 1),
        ("\u00c4", "A\u0308", 1),  # composed and decomposed
        ("mrn1", "MRN1", 2),
        ("MRN1", "MRN 1", 2),
        ("MRN^1", "MRN1", 2),
        ("MRN^1", "MRN^1^", 2),
        ("007", "7", 2),
    ],
)
def test_spellings_of_an_id(send: Send, one: str, other: str, patients: int) -> None:
    send(PatientID=one)
    send(PatientID=other)
    assert len(set(names())) == Pseudonym.objects.count() == patients


def test_one_id_of_two_issuers_is_two_patients(send: Send) -> None:
    for issuer in ("Clinic A", "Clinic B", ""):
        send(PatientID="1", IssuerOfPatientID=issuer)
    assert len(set(names())) == Pseudonym.objects.count() == 3


@pytest.mark.parametrize("provider", ["keyed", "gpas"])
def test_who_comes_without_an_issuer_is_of_the_nodes_own(send: Send, gpas: Gpas, settings: Any, provider: str) -> None:
    settings.SENDIT_IDENTIFIERS, settings.SENDIT_ISSUER = provider, "Clinic A"
    for issuer in ("Clinic A", "", " "):
        assert send(PatientID="1", IssuerOfPatientID=issuer) == {"SENT": 1}
    send(PatientID="1", IssuerOfPatientID="Clinic B")
    assert len({*names()}) == (2 if provider == "keyed" else 1)
    assert codes() == ([] if provider == "keyed" else ["identifiers-taken"])
    assert len(vault.of_original_patient("", "1")) == len(vault.of_original_patient("Clinic A", "1")) == 3


def test_a_service_that_is_not_told_the_issuer_does_not_put_two_patients_together(
    send: Send, gpas: Gpas, settings: Any
) -> None:
    settings.SENDIT_IDENTIFIERS = "gpas"
    assert send(PatientID="1", IssuerOfPatientID="Clinic A") == {"SENT": 1}
    assert send(PatientID="1", IssuerOfPatientID="Clinic B") == {"QUARANTINED": 1}
    assert codes() == ["identifiers-taken"]


def test_a_service_that_merges_two_patients_later_is_not_believed(send: Send, gpas: Gpas, settings: Any) -> None:
    settings.SENDIT_IDENTIFIERS = "gpas"
    send(PatientID="1")
    gpas.known["Patients", "2"] = gpas.known["Patients", "1"]
    send(PatientID="2")
    gpas.known["Patients", "1"] = "psn_other"
    send(PatientID="1")
    assert codes() == ["identifiers-taken", "identifiers-changed"]


def test_without_an_id_each_study_is_a_patient(send: Send) -> None:
    for patient_id in ("", "   ", ""):
        assert send(PatientID=patient_id, PatientName="Doe^Jane") == {"SENT": 1}
    assert len(set(names())) == Pseudonym.objects.count() == 3
    assert not any("UNKNOWN" in name.upper() for name in names())


def test_a_table_copied_to_a_node_with_other_keys_opens_nothing_and_says_so(
    send: Send, node: Node, settings: Any, tmp_path: Path
) -> None:
    settings.SENDIT_RESTORE = True
    send(PatientID="CANARY1", PatientName="Canary^Jane")
    [pseudonym] = names()
    settings.KEYS_DIR = tmp_path / "other"
    KeyRecord.objects.all().delete()

    row = crosswalk.of_pseudonym("default", pseudonym)
    assert row is not None
    with pytest.raises(ImproperlyConfigured, match="does not open") as wrong:
        crosswalk.patient_of(row)
    assert "CANARY" not in str(wrong.value)
    assert not crosswalk.of_patient("default", "", "CANARY1")
    assert not vault.of_original_patient("", "CANARY1").exists()
    for words in (
        ["restore", node.outbox, tmp_path / "back", "--reason", "test"],
        ["export_map", tmp_path / "who.csv", "--csv", "--reason", "test"],
    ):
        with pytest.raises(ImproperlyConfigured, match="does not open"):
            call_command(*map(str, words))
    assert not (tmp_path / "who.csv").exists()
    assert not [path for path in tmp_path.glob("back/**/*") if path.is_file()]


def test_while_the_key_is_lost_everything_waits_and_goes_on_when_it_is_back(
    send: Send, node: Node, ct: Dataset, settings: Any, tmp_path: Path
) -> None:
    settings.KEYS_DIR = tmp_path / "keys"
    KeyRecord.objects.all().delete()
    send(PatientID="1")
    ct.PatientID, ct.StudyInstanceUID, ct.SOPInstanceUID = "2", generate_uid(), generate_uid()
    ct.SeriesInstanceUID = generate_uid()
    node.hand_over("late", lambda folder: ct.save_as(folder / "1.dcm"))
    work.work_one("register")
    key = settings.KEYS_DIR / "vault.key"
    away = key.rename(tmp_path / "away.key")
    identity._keyring.cache_clear()
    work.work_one("identify")
    series = Series.objects.order_by("-pk")[0]
    assert (series.stage, series.error_code) == ("identify", "settings")
    assert "existed before" in series.error
    away.rename(key)
    Series.objects.filter(pk=series.pk).update(due_at=timezone.now())
    work.drain(seconds=30)
    assert len(set(names())) == 2
