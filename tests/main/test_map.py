"""An identity map goes to another node whole or not at all, and is plain nowhere on the way."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from main import crosswalk, identity, map_export, map_file, vault
from main.map_file import Unreadable
from main.map_import import take_in
from main.models import Event, KeyRecord, PatientNumber, Pseudonym, VaultEntry
from main.vault import Opened
from tests.main.conftest import Node

SECRET = b"correct horse battery staple"
REASON = "Board of 3 March"


@pytest.fixture
def sent(node: Node, ct: Dataset, settings: Any, tmp_path: Path) -> Callable[..., Path]:
    """Sends a study of a patient; returns the released file."""
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0

    def sent(patient_id: str, **values: Any) -> Path:
        before = set(node.out())
        ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.SOPInstanceUID = generate_uid(), generate_uid(), generate_uid()
        ct.PatientID = patient_id
        for keyword, value in values.items():
            setattr(ct, keyword, value)
        node.drop(generate_uid(), lambda folder: ct.save_as(folder / "1.dcm"))
        [new] = set(node.out()) - before
        return new

    return sent


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET + b"\n")
    return path


def command(*words: Any, **options: Any) -> dict[str, Any]:
    said = io.StringIO()
    call_command(*map(str, words), as_json=True, stdout=said, **options)
    facts: dict[str, Any] = json.loads(said.getvalue())
    return facts


def rows() -> list[list[Any]]:
    """Everything that is kept, opened, without the numbers of rows and series."""
    found = []
    for table in map_export.TABLES:
        for row in table._default_manager.order_by("pk").values():
            row = {name: value for name, value in row.items() if name not in ("id", "series_id")}
            if row.get("sealed"):
                row["sealed"] = identity.unseal_bytes(row["sealed"])
            found.append(list(row.values()))
    return found


def another_node(settings: Any, tmp_path: Path) -> None:
    """Forget everything, and have another vault key; the other keys are brought."""
    for table in map_export.TABLES:
        table._default_manager.all().delete()
    keys = tmp_path / "another"
    keys.mkdir()
    for name in ("index", "pseudonym"):
        (keys / f"{name}.key").write_bytes((settings.KEYS_DIR / f"{name}.key").read_bytes())
    settings.KEYS_DIR = keys
    KeyRecord.objects.filter(name="vault").delete()
    identity._keyring.cache_clear()


def test_a_map_is_the_same_on_another_node_under_its_own_key(
    sent: Any, settings: Any, tmp_path: Path, secret: Path
) -> None:
    settings.KEYS_DIR = tmp_path / "first"
    KeyRecord.objects.all().delete()
    identity._keyring.cache_clear()
    settings.SENDIT_IDENTIFIERS = "sequential"
    first = dcmread(sent("CANARY1", PatientName="Canary^Jane"))
    sent("CANARY2")
    call_command("forget", "sub-002", reason=REASON, as_json=True)
    before, old = rows(), identity.vault_keys()
    place = tmp_path / "map"

    assert command("export_map", place, key_file=secret)["rows"] == len(before) == 5

    assert place.stat().st_mode & 0o777 == 0o600
    assert b"CANARY" not in place.read_bytes()
    assert b"sub-001" not in place.read_bytes()
    another_node(settings, tmp_path)
    assert command("import_map", place, key_file=secret) == {"added": 5, "there": 0, "projects": ["default"]}
    assert identity.vault_keys() != old
    assert rows() == before
    assert command("import_map", place, key_file=secret) == {"added": 0, "there": 5, "projects": ["default"]}
    assert rows() == before
    [row] = crosswalk.of_patient("default", "", "CANARY1")
    assert row.pseudonym == first.PatientID == "sub-001"
    assert vault.original_study(first.StudyInstanceUID)
    assert dcmread(sent("CANARY1")).PatientID == "sub-001"
    assert dcmread(sent("CANARY3")).PatientID == "sub-003"
    assert [one.kind for one in Event.objects.filter(kind__endswith="map").order_by("pk")] == [
        "export-map",
        "import-map",
        "import-map",
    ]


@pytest.mark.parametrize("name", ["index", "pseudonym"])
def test_a_node_with_other_keys_says_which_to_bring(
    sent: Any, settings: Any, tmp_path: Path, secret: Path, name: str
) -> None:
    sent("CANARY1")
    command("export_map", tmp_path / "map", key_file=secret)
    KeyRecord.objects.filter(name=name).update(fingerprint="0" * 16)
    identity._keyring.cache_clear()
    settings.KEYS_DIR = tmp_path / "another"
    KeyRecord.objects.all().delete()
    with pytest.raises(CommandError, match=f"keys/{name}.key"):
        command("import_map", tmp_path / "map", key_file=secret)


@pytest.mark.parametrize("what", ["pseudonym", "patient", "number"])
def test_what_contradicts_the_node_is_not_imported_and_nothing_else_either(
    sent: Any, settings: Any, tmp_path: Path, secret: Path, what: str
) -> None:
    settings.SENDIT_IDENTIFIERS = "sequential"
    sent("CANARY1")
    sent("CANARY2")
    command("export_map", tmp_path / "map", key_file=secret)
    Pseudonym.objects.filter(pseudonym="sub-002").delete()
    PatientNumber.objects.filter(number=2).delete()
    VaultEntry.objects.all().delete()
    if what == "pseudonym":
        Pseudonym.objects.update(subject_index="1" * 64)
    elif what == "patient":
        Pseudonym.objects.update(pseudonym="sub-009")
    else:
        PatientNumber.objects.update(number=9)
    before = rows()
    with pytest.raises(CommandError, match="Nothing was imported") as refused:
        command("import_map", tmp_path / "map", key_file=secret)
    assert rows() == before
    assert "CANARY" not in str(refused.value)


def test_an_import_that_was_interrupted_goes_on(sent: Any, tmp_path: Path, secret: Path) -> None:
    for number in range(3):
        sent(f"CANARY{number}")
    command("export_map", tmp_path / "map", key_file=secret)
    before = rows()
    for table in map_export.TABLES:
        table._default_manager.all().delete()
    seen = 0

    def stop(count: int) -> None:
        nonlocal seen
        seen += count
        if seen > len(before) + 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_in(tmp_path / "map", SECRET, "tester", stop)
    assert 0 < len(rows()) < len(before)
    take_in(tmp_path / "map", SECRET, "tester", lambda count: None)
    assert rows() == before


def test_an_export_that_was_interrupted_leaves_nothing(sent: Any, tmp_path: Path) -> None:
    sent("CANARY1")
    folder = tmp_path / "there"
    folder.mkdir()

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    for write in (
        lambda: map_export.export(folder / "map", SECRET, "tester", stop),
        lambda: map_export.export_csv(folder / "map", REASON, "tester", stop),
    ):
        with pytest.raises(KeyboardInterrupt):
            write()
        assert not list(folder.iterdir())


def test_a_file_that_was_changed_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "map"
    with map_file.written(path, SECRET) as file:
        file.add(b"one" * 50)
        file.add(b"two" * 50)
    whole = path.read_bytes()
    assert list(map_file.read(path, SECRET)) == [b"one" * 50, b"two" * 50]
    with pytest.raises(FileExistsError), map_file.written(path, SECRET):
        pass
    for wrong in [
        whole[:-1],
        whole[:60],
        whole[:30],
        b"",
        b"x" * 100,
        *(flipped(whole, at) for at in range(0, len(whole), 7)),
    ]:
        path.write_bytes(wrong)
        with pytest.raises(Unreadable):
            list(map_file.read(path, SECRET))
    path.write_bytes(whole)
    with pytest.raises(Unreadable, match="another passphrase"):
        list(map_file.read(path, b"another passphrase"))


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_secret_that_is_easily_guessed_is_refused(db: None, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(CommandError, match="fewer than"):
        call_command("export_map", tmp_path / "map", key_file=tmp_path / "secret")
    with pytest.raises(CommandError, match="--key-file"):
        call_command("export_map", tmp_path / "map")


def test_who_may_gets_a_table_of_who_is_who_on_the_record(sent: Any, settings: Any, tmp_path: Path) -> None:
    settings.SENDIT_RESTORE = True
    first = sent("=CANARY1", IssuerOfPatientID="Clinic, A")
    uids = vault.of_patient(dcmread(first).PatientID).get()
    opened = Opened().original_uids(uids)
    sent("CANARY2")
    VaultEntry.objects.filter(pk__gt=uids.pk).delete()
    call_command("forget", dcmread(sent("CANARY3")).PatientID, reason=REASON, as_json=True)
    place = tmp_path / "who.csv"

    assert command("export_map", place, csv=True, reason=REASON)["rows"] == 2

    assert place.stat().st_mode & 0o777 == 0o600
    with open(place, newline="") as file:
        head, one, two = csv.reader(file)
    assert head == list(map_export.COLUMNS)
    released = dcmread(first)
    assert one == [
        "default",
        "Clinic, A",
        "'=CANARY1",
        released.PatientID,
        opened[0],
        released.StudyInstanceUID,
        opened[1],
        released.SeriesInstanceUID,
    ]
    assert [two[2], *two[4:]] == ["CANARY2"] + [""] * 4
    event = Event.objects.get(kind="export-map")
    assert event.count == 2
    assert REASON in event.sentence
    assert "CANARY" not in event.sentence


def test_nobody_else_gets_it(settings: Any, db: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="SENDIT_RESTORE"):
        call_command("export_map", tmp_path / "who.csv", csv=True, reason=REASON)
    settings.SENDIT_RESTORE = True
    with pytest.raises(CommandError, match="reason"):
        call_command("export_map", tmp_path / "who.csv", csv=True)
    assert not Event.objects.exists()
    assert not list(tmp_path.glob("who*"))
