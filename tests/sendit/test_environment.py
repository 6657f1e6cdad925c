"""Settings: typed, named in the error with what is accepted, and a misspelt one stops the start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from sendit.environment import Environment
from sendit.reference import PREFIXES, SETTINGS

ROOT = Path(__file__).resolve().parent.parent.parent


def read(tmp_path: Path, file: str = "", **environ: str) -> Environment:
    (tmp_path / ".env").write_text(file)
    return Environment.read(SETTINGS, PREFIXES, {"SENDIT_ENV_FILE": str(tmp_path / ".env"), **environ})


def mistakes(tmp_path: Path, file: str = "", **environ: str) -> str:
    with pytest.raises(ImproperlyConfigured) as refused:
        read(tmp_path, file, **environ)
    return str(refused.value)


def test_the_environment_beats_the_file_and_the_file_the_default(tmp_path: Path) -> None:
    assert read(tmp_path).values["ORTHANC_PORT"] == 4747
    found = read(tmp_path, "ORTHANC_PORT=1111\nSENDIT_LABEL=test\n", ORTHANC_PORT="2222")
    assert (found.values["ORTHANC_PORT"], found.values["SENDIT_LABEL"]) == (2222, "test")
    assert found.origin["ORTHANC_PORT"] == "environment (ORTHANC_PORT)"


@pytest.mark.parametrize(
    ("old", "new", "text", "value"),
    [
        ("ORTHAC_PORT", "ORTHANC_PORT", "4747", 4747),
        ("ANONYMIZE_RESTFUL", "DEIDENTIFY_RESTFUL", "True", True),
        ("CLEANUP_AFTER_UPLOAD", "SENDIT_CLEANUP", "on", True),
        ("SOM_STUDY", "DASHER_STUDY", "x", "x"),
        ("DATA_INPUT_FOLDERS", "SENDIT_WATCH", "/a,/b:poll", ["/a", "/b:poll"]),
    ],
)
def test_the_names_of_older_systems_are_accepted(tmp_path: Path, old: str, new: str, text: str, value: object) -> None:
    assert read(tmp_path, **{old: text}).values[new] == value


def test_two_names_of_one_setting_must_agree(tmp_path: Path) -> None:
    assert "same setting" in mistakes(tmp_path, ORTHAC_PORT="1", ORTHANC_PORT="2")
    assert read(tmp_path, ORTHAC_PORT="1", ORTHANC_PORT="1").values["ORTHANC_PORT"] == 1


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("ORTHANC_PORT", "99999", "a port, 1 to 65535"),
        ("SEND_TO_ORTHANC", "maybe", "yes or no"),
        ("SENDIT_PROOF", "sure", "highest, accepted, committed, found, content"),
        ("DICOM_AE_TITLE", "A" * 17, "1 to 16"),
        ("ORTHANC_REST_URL", "localhost:8042", "http://"),
        ("SENDIT_LEASE_SECONDS", "-1", "0 or more"),
    ],
)
def test_a_bad_value_is_named_with_what_is_accepted(tmp_path: Path, name: str, text: str, says: str) -> None:
    said = mistakes(tmp_path, **{name: text})
    assert name in said
    assert says in said


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    said = mistakes(tmp_path, ORTHANC_PORT="x", SENDIT_PROOF="y", SENDIT_WATHC="z")
    assert all(name in said for name in ("ORTHANC_PORT", "SENDIT_PROOF", "Did you mean SENDIT_WATCH?"))


def test_an_unknown_name_in_the_file_is_found_too(tmp_path: Path) -> None:
    assert "ORTHANC_PROT" in mistakes(tmp_path, "ORTHANC_PROT=1\n")


def test_a_secret_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("canary-secret\n")
    found = read(tmp_path, POSTGRES_PASSWORD_FILE=str(tmp_path / "password"))
    assert found.values["POSTGRES_PASSWORD"] == "canary-secret"
    assert "POSTGRES_PASSWORD_FILE" in mistakes(tmp_path, POSTGRES_PASSWORD_FILE=str(tmp_path / "none"))


def test_a_misspelt_setting_stops_every_command_with_a_sentence(tmp_path: Path) -> None:
    environment = {**os.environ, "SENDIT_DATA_DIR": str(tmp_path), "SENDIT_RECEIPE": "basic"}
    ended = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "status"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert "Did you mean SENDIT_RECIPE?" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_measuring_validity_without_the_program_for_it_stops_every_command(tmp_path: Path) -> None:
    environment = {"SENDIT_DATA_DIR": str(tmp_path), "SENDIT_VALIDITY": "yes", "PATH": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "status"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert "dicom3tools" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_name_is_there_once() -> None:
    names = [name for setting in SETTINGS for name in (setting.name, *setting.aliases)]
    assert len(names) == len(set(names))
