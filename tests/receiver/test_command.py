"""`dicom-receiver` and the names of other receivers: they work, or say what to use instead; mistakes say what is accepted."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from dimse import Instance, store
from receiver.command import ELSEWHERE
from sendit.environment import Environment
from sendit.reference import PREFIXES, RETIRED, SETTINGS
from tests.peers.server import free_port
from tests.receiver.node import Node, kill
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "receiver"]


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_console_command_is_what_the_project_says() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, name = scripts["dicom-receiver"].partition(":")
    assert callable(getattr(import_module(module), name))


def test_it_receives_with_its_options_which_go_before_the_environment(
    node: Node, images: list[Instance], tmp_path: Path
) -> None:
    node.port = free_port()
    log, storage = tmp_path / "logs" / "own.log", tmp_path / "storage"
    words = ["--port", str(node.port), "--ae-title", "OTHER", "--storage", str(storage), "--timeout", "30"]
    words += ["--data-dir", str(node.data), "--log-file", str(log), "--log-level", "DEBUG", "--max-connections", "20"]
    words += ["--auto-upload", "--api-password", "swordfish"]
    process = subprocess.Popen(
        [*COMMAND, *words],
        env={**node.environment, "DICOM_RECEIVER_PORT": "1", "DICOM_PORT": "1"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        eventually(node.answers, 20, "an open port")
        eventually(lambda: log.read_text().count("listens on") == 2, 20)
        assert [result.status for result in store(node.peer(called="OTHER"), images)] == [0] * len(images)
        eventually(lambda: [path for path in storage.iterdir() if not path.name.startswith(".")])
        process.terminate()
        said = process.communicate(timeout=30)[0].decode()
    finally:
        kill(process)
    assert "--auto-upload does nothing here: every image goes on by itself" in said
    assert "--api-password does nothing here" in said
    assert "swordfish" not in said + log.read_text()


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        (["--port", "70000"], "a port, 1 to 65535"),
        (["--ae-title", "A" * 17], "1 to 16 printable"),
        (["--timeout", "soon"], "seconds"),
        (["--log-level", "LOUD"], "debug, info, warning, error, critical"),
        (["--max-connections", "0"], "1 or more"),
        (["--colour", "red"], "unrecognized arguments"),
    ],
)
def test_a_bad_option_stops_with_the_accepted_values(options: list[str], accepted: str) -> None:
    done = run(*options)
    assert done.returncode == 2
    assert accepted in done.stderr
    assert "Traceback" not in done.stderr


def test_migrating_does_nothing_and_configuration_is_shown_without_secrets(tmp_path: Path) -> None:
    assert "nothing to migrate" in run("--migrate").stdout
    shown = run(
        "--show-config", "--port", "12345", SENDIT_DATA_DIR=str(tmp_path / "data"), POSTGRES_PASSWORD="swordfish"
    )
    assert "DICOM_PORT = 12345" in shown.stdout
    assert "swordfish" not in shown.stdout


def test_bad_settings_are_a_sentence(tmp_path: Path) -> None:
    done = run(SENDIT_DATA_DIR=str(tmp_path / "data"), DICOM_RECEIVER_TIMEOUT="soon")
    assert "DICOM_RECEIVER_TIMEOUT: 'soon' is not seconds" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_option_of_the_other_receiver_is_understood() -> None:
    assert {"DICOM_RECEIVER_" + option[2:].replace("-", "_").upper() for option in ELSEWHERE} <= RETIRED.keys()


@pytest.mark.parametrize(
    ("alias", "name", "value", "read"),
    [
        ("DICOM_RECEIVER_PORT", "DICOM_PORT", "104", 104),
        ("DICOM_RECEIVER_AE_TITLE", "DICOM_AE_TITLE", "ARCHIVE", "ARCHIVE"),
        ("DICOM_RECEIVER_STORAGE_DIR", "DICOM_FOLDER", "/srv/in", Path("/srv/in")),
        ("DICOM_RECEIVER_TIMEOUT", "DICOM_STUDY_TIMEOUT", "90", 90.0),
        ("DICOM_RECEIVER_LOG_LEVEL", "DICOM_LOG_LEVEL", "DEBUG", "debug"),
        ("DICOM_RECEIVER_DATA_DIR", "SENDIT_DATA_DIR", "/srv/data", Path("/srv/data")),
        ("DICOM_RECEIVER_CLEANUP_AFTER_UPLOAD", "SENDIT_CLEANUP", "true", True),
    ],
)
def test_names_of_other_receivers_set_the_same_thing(alias: str, name: str, value: str, read: object) -> None:
    assert Environment.read(SETTINGS, PREFIXES, {alias: value}, RETIRED).values[name] == read


def test_two_names_with_two_values_stop_the_start() -> None:
    with pytest.raises(Exception, match="DICOM_PORT and DICOM_RECEIVER_PORT are the same setting"):
        Environment.read(SETTINGS, PREFIXES, {"DICOM_PORT": "104", "DICOM_RECEIVER_PORT": "105"}, RETIRED)


def test_names_for_what_is_done_in_another_way_are_noted_and_no_mistake() -> None:
    environ = {"DICOM_RECEIVER_API_URL": "http://api", "DICOM_ANONYMIZE_PATIENTS": "yes"}
    notes = Environment.read(SETTINGS, PREFIXES, environ, RETIRED).notes
    assert len(notes) == 2
    assert "DICOM_RECEIVER_API_URL (in the environment) does nothing here" in notes[0]


def test_sop_classes_are_uids_or_names_and_networks_are_normalised() -> None:
    found = Environment.read(
        SETTINGS,
        PREFIXES,
        {
            "DICOM_SOP_CLASSES": "CTImageStorage, 1.3.12.2.1107.5.9.1",
            "DICOM_ALLOWED_NETWORKS": "10.0.0.5, fd00::/8",
            "DICOM_MODALITIES": "ct,PT",
        },
        RETIRED,
    ).values
    assert found["DICOM_SOP_CLASSES"] == ["1.2.840.10008.5.1.4.1.1.2", "1.3.12.2.1107.5.9.1"]
    assert found["DICOM_ALLOWED_NETWORKS"] == ["10.0.0.5/32", "fd00::/8"]
    assert found["DICOM_MODALITIES"] == ["CT", "PT"]
