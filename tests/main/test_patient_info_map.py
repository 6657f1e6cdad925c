"""`dicom-restore` brings back what DICOM Receiver replaced, by that program's own map, on record; and what the node released."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.data import get_testdata_file

from main.models import Event
from main.patient_info_map import read_map, restore_by_map
from main.restore_command import main
from tests.main.conftest import Node, copy_of

ROOT = Path(__file__).resolve().parents[2]
WHY = "Radiology asked for it."
ORIGINAL = {
    "PatientName": "CANARY^JANE",
    "PatientID": "CANARY-4711",
    "PatientBirthDate": "19010203",
    "OtherPatientIDs": "['CANARY-1', 'CANARY-2']",
    "PatientAddress": "CANARY STREET",
}


@pytest.fixture
def allowed(settings: Any) -> None:
    settings.SENDIT_RESTORE = True


@pytest.fixture(autouse=True)
def same_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command closes its connections at the end; here they are the test's."""
    monkeypatch.setattr("django.core.management.base.connections.close_all", lambda: None)


def receive(folder: Path, study: str, images: int = 2) -> list[Path]:
    """Write what DICOM Receiver stored: pseudonyms in clear elements, no preamble, no File Meta."""
    ds = dcmread(str(get_testdata_file("CT_small.dcm")))
    ds.StudyInstanceUID = study
    ds.PatientName = ds.PatientID = "sub-001"
    ds.OtherPatientIDs = "ANON"
    ds.add_new("PatientBirthDate", "DA", "ANON")
    paths = []
    for number in range(images):
        ds.SOPInstanceUID = f"{study}.{number}"
        bare = Dataset(ds)
        path = folder / study / f"{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        dcmwrite(path, bare, implicit_vr=False, little_endian=True, enforce_file_format=False)
        assert path.read_bytes()[128:132] != b"DICM"
        paths.append(path)
    return paths


@pytest.fixture
def map_file(tmp_path: Path) -> Path:
    path = tmp_path / "patient_info_map.json"
    names = {"CANARY^JANE": "sub-001"}
    found = {"patient_info": {"1.2.3": ORIGINAL}, "patient_name_map": names, "patient_study_map": {}}
    path.write_text(json.dumps(found, indent=2))
    return path


def run(*words: object) -> int:
    """The exit code of `dicom-restore`."""
    try:
        main([str(word) for word in words])
    except SystemExit as end:
        return int(str(end.code or 0))
    return 0


def is_restored(path: Path, original: Path) -> bool:
    ds, before = dcmread(path), dcmread(original, force=True)
    assert ds.PixelData == before.PixelData
    assert "PatientAddress" not in ds, "nothing is put in that was not there"
    return (str(ds.PatientName), ds.PatientID, ds.PatientBirthDate, list(ds.OtherPatientIDs)) == (
        "CANARY^JANE",
        "CANARY-4711",
        "19010203",
        ["CANARY-1", "CANARY-2"],
    )


@pytest.mark.django_db
def test_a_file_and_a_folder_are_restored_by_the_map(allowed: None, map_file: Path, tmp_path: Path) -> None:
    paths = receive(tmp_path / "storage", "1.2.3")
    assert run(paths[0], tmp_path / "one.dcm", "--map-file", map_file, "--reason", WHY) == 0
    assert is_restored(tmp_path / "one.dcm", paths[0])
    assert run(tmp_path / "storage", tmp_path / "out", "--map-file", map_file, "--reason", WHY) == 0
    for path in paths:
        assert is_restored(tmp_path / "out" / "1.2.3" / path.name, path)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.django_db
def test_the_use_is_on_record_by_pseudonym_only(
    allowed: None, map_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receive(tmp_path / "storage", "1.2.3")
    assert run(tmp_path / "storage", tmp_path / "out", "--map-file", map_file, "--reason", WHY) == 0
    event = Event.objects.get(kind="restore")
    assert (event.count, event.names) == (2, ["sub-001"])
    assert event.sentence == f"Originals of sub-001 by a map of DICOM Receiver. Reason: {WHY}"
    captured = capsys.readouterr()
    for value in ("CANARY", "19010203"):
        assert value not in captured.out + captured.err + event.sentence


@pytest.mark.django_db
def test_a_file_that_still_has_its_number_is_not_named_in_the_record(
    allowed: None, map_file: Path, tmp_path: Path
) -> None:
    ds = dcmread(str(get_testdata_file("CT_small.dcm")))
    ds.StudyInstanceUID = "1.2.3"
    ds.save_as(tmp_path / "in.dcm")
    run(tmp_path / "in.dcm", tmp_path / "out.dcm", "--map-file", map_file, "--reason", WHY)
    event = Event.objects.get(kind="restore")
    assert event.names == []
    assert ds.PatientID not in event.sentence


@pytest.mark.django_db
def test_a_study_that_the_map_does_not_know_is_1(
    allowed: None, map_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [path] = receive(tmp_path / "storage", "1.2.4", images=1)
    assert run(path, tmp_path / "out.dcm", "--map-file", map_file, "--reason", WHY) == 1
    assert not (tmp_path / "out.dcm").exists()
    assert "The map does not know the study" in capsys.readouterr().out
    assert not Event.objects.filter(kind="restore").exists()


def test_the_older_form_of_the_map_is_read(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps({"1.2.3": {"PatientID": "7"}}))
    assert read_map(tmp_path / "old.json") == {"1.2.3": {"PatientID": "7"}}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"patient_info": []}', '{"patient_info": {"1.2": "CANARY"}}'])
@pytest.mark.django_db
def test_what_is_no_map_is_said(
    allowed: None, tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "map.json").write_text(content)
    [path] = receive(tmp_path / "storage", "1.2.3", images=1)
    assert run(path, tmp_path / "out.dcm", "--map-file", tmp_path / "map.json", "--reason", WHY) == 1
    said = capsys.readouterr()
    assert "map" in said.err
    assert "CANARY" not in said.out + said.err


@pytest.mark.django_db
def test_without_a_map_the_vault_is_used(node: Node, allowed: None, tmp_path: Path) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    [released] = node.out()
    assert run(released, tmp_path / "again.dcm", "--reason", WHY) == 0
    assert (tmp_path / "again.dcm").read_bytes() == Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    assert Event.objects.get(kind="restore").names


@pytest.mark.django_db
def test_it_is_off_until_it_is_allowed(map_file: Path, tmp_path: Path) -> None:
    [path] = receive(tmp_path / "storage", "1.2.3", images=1)
    assert run(path, tmp_path / "out.dcm", "--map-file", map_file, "--reason", WHY) == 2
    assert not (tmp_path / "out.dcm").exists()


@pytest.mark.django_db
def test_an_error_of_the_disk_ends_the_run_after_the_record(
    allowed: None, map_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = receive(tmp_path / "storage", "1.2.3", images=1)

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("main.patient_info_map.put_back", fails)
    with pytest.raises(OSError, match="No space"):
        list(restore_by_map(path, tmp_path / "out.dcm", read_map(map_file), WHY, "tester"))
    assert Event.objects.get(kind="restore").actor == "tester"


def test_the_console_command_is_what_the_project_says() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, name = scripts["dicom-restore"].partition(":")
    assert getattr(import_module(module), name) is main


def process(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "main.restore_command", *words],
        env={**os.environ, **environment},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_its_options_are_those_of_dicom_receiver(tmp_path: Path) -> None:
    told = process("--show-config", "--log-level", "DEBUG", SENDIT_LOG_LEVEL="info")
    assert told.returncode == 0, told.stderr
    assert "SENDIT_LOG_LEVEL" in told.stdout
    log = tmp_path / "own.log"
    refused = process(str(log), "out", "--log-file", str(log))
    assert refused.returncode == 2
    assert refused.stdout + refused.stderr == ""
    assert "SENDIT_RESTORE" in log.read_text()
    assert process("one").returncode == 2
    assert "critical" in process("a", "b", "--log-level", "LOUD").stderr


@pytest.mark.django_db
def test_without_a_terminal_the_reason_has_to_be_given(
    allowed: None, map_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = receive(tmp_path / "storage", "1.2.3", images=1)
    assert run(path, tmp_path / "out.dcm", "--map-file", map_file) == 2
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: WHY)
    assert run(path, tmp_path / "out.dcm", "--map-file", map_file) == 0
