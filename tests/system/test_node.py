"""The whole node as its users run it: one command, a folder renamed in the inbox, every file accounted for."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest

from main.demo import find_secrets, write_study
from tests.peers import Orthanc, Postgres, Redis

ROOT = Path(__file__).resolve().parent.parent.parent
TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


@contextmanager
def running_node(
    folder: Path, without: tuple[str, ...] = ("web",), **settings: str
) -> Iterator[Callable[..., dict[str, Any]]]:
    """A node on its own data folder, without some parts; yields a function that runs a command and returns its facts."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SENDIT_")},
        "SENDIT_DATA_DIR": str(folder / "data"),
        "SENDIT_ENV_FILE": str(folder / "none"),
        "SENDIT_RETRY_SECONDS": "0.5",
        **settings,
    }
    manage = [sys.executable, str(ROOT / "manage.py")]

    def command(*arguments: str) -> dict[str, Any]:
        ended = subprocess.run(
            [*manage, *arguments, "--json"], env=environment, capture_output=True, text=True, timeout=120, cwd=folder
        )
        assert ended.stdout, ended.stderr
        facts: dict[str, Any] = json.loads(ended.stdout)
        return facts

    log = folder / "node.log"
    with open(log, "wb") as file:
        node = subprocess.Popen(
            [*manage, "node", *(word for part in without for word in ("--without", part))],
            env=environment,
            stdout=file,
            stderr=file,
            cwd=folder,
        )
    try:
        wait_for(lambda: (folder / "data" / "run" / "node.json").exists() or node.poll() is not None, 60, log)
        assert node.poll() is None, log.read_text()
        yield command
    finally:
        node.send_signal(signal.SIGTERM)
        assert node.wait(30) == 0


def wait_for(condition: Callable[[], bool], seconds: float, log: Path) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.2)  # looks at what other processes do


def without_search(folder: Path) -> str:
    """A recipe that leaves pixels as they are: searching them all for text takes minutes, and is tested elsewhere."""
    recipe = folder / "without-search.yaml"
    recipe.write_text("name: without search\nprofile: basic\npixels: keep\n")
    return str(recipe)


def drop(folder: Path) -> int:
    """pydicom's own test files, copied under a temporary name and renamed; returns how many."""
    inbox = folder / "data" / "inbox"
    shutil.copytree(TEST_FILES, inbox / "x.tmp1")
    for path in (inbox / "x.tmp1").rglob("*"):
        os.utime(path, (1, 1))
    (inbox / "x.tmp1").rename(inbox / "x")
    return sum(path.is_file() for path in TEST_FILES.rglob("*"))


def through(facts: dict[str, Any]) -> bool:
    images = facts["images"]
    registered = facts["pipeline"][0]["waiting"] == 0 and sum(images.values()) > 0
    return registered and not images["NEW"] + images["PROCESSING"] + images["DONEPROCESSING"]


def every_file_is_accounted_for(command: Callable[..., dict[str, Any]], files: int) -> dict[str, int]:
    held = command("quarantine", "list")["held"]
    status = command("status")
    assert status["drops"][0]["files"] == files
    balance = status["drops"][0]["balance"]
    assert sum(balance.values()) == files
    assert all(row["sentence"] for row in held)
    return dict(balance)


def test_the_embedded_node_brings_every_file_to_its_outcome(tmp_path: Path) -> None:
    with running_node(tmp_path, SENDIT_RECIPE=without_search(tmp_path)) as command:
        files = drop(tmp_path)
        wait_for(lambda: through(command("status")), 90, tmp_path / "node.log")
        balance = every_file_is_accounted_for(command, files)
        out = [path for path in (tmp_path / "data" / "outbox").rglob("*") if path.is_file()]
        assert len(out) == balance["SENT"] > 100


def test_the_production_parts_bring_every_image_proven_to_orthanc(
    tmp_path: Path, postgres: Postgres, redis_server: Redis, empty_orthanc: Orthanc
) -> None:
    with running_node(
        tmp_path,
        DATABASE_ENGINE="postgresql",
        POSTGRES_HOST=postgres.host,
        POSTGRES_PORT=str(postgres.port),
        POSTGRES_USER=postgres.user,
        POSTGRES_DB=postgres.database,
        CELERY_BROKER_URL=redis_server.url,
        SENDIT_WORKERS="3",
        SENDIT_RECIPE=without_search(tmp_path),
        SEND_TO_ORTHANC="yes",
        ORTHANC_PORT=str(empty_orthanc.dicom_port),
        ORTHANC_REST_URL=empty_orthanc.rest_url,
    ) as command:
        files = drop(tmp_path)
        wait_for(lambda: through(command("status")), 120, tmp_path / "node.log")
        balance = every_file_is_accounted_for(command, files)
        assert len(empty_orthanc.instances()) == len(set(empty_orthanc.instances())) == balance["SENT"] > 100


def test_nothing_of_a_patient_is_in_any_log_or_database_or_broker_of_the_node(tmp_path: Path) -> None:
    with running_node(tmp_path) as command:
        inbox = tmp_path / "data" / "inbox"
        secrets = write_study(inbox / "QUINBY.tmp1", 10)
        (inbox / "QUINBY.tmp1").rename(inbox / "QUINBY ADALBERTA")
        wait_for(lambda: through(command("status")), 60, tmp_path / "node.log")
    kept = tmp_path / "data" / "work" / "drops"
    everything = [path for path in tmp_path.rglob("*") if path.is_file() and kept not in path.parents]
    assert len(everything) > 20
    assert not list(find_secrets(everything, secrets))
    assert list(find_secrets([path for path in kept.rglob("*") if path.is_file()], secrets)), (
        "the search finds what is there"
    )


def test_the_demonstration_ends_well(tmp_path: Path) -> None:
    environment = {**os.environ, "SENDIT_DATA_DIR": str(tmp_path / "data"), "SENDIT_ENV_FILE": str(tmp_path / "none")}
    ended = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "demo", "--images", "6"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        cwd=tmp_path,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 found" in ended.stdout
    out = list((tmp_path / "data" / "outbox").rglob("*.dcm"))
    assert len(out) == 6
    assert pydicom.dcmread(out[0]).pixel_array.shape == (128, 128)


@pytest.mark.parametrize("wrong", [{"SENDIT_RECEIPE": "x"}, {"ORTHANC_PORT": "99999"}])
def test_a_node_with_bad_settings_does_not_start(tmp_path: Path, wrong: dict[str, str]) -> None:
    environment = {**os.environ, "SENDIT_DATA_DIR": str(tmp_path / "data"), **wrong}
    ended = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "node"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert next(iter(wrong)) in ended.stderr
    assert not (tmp_path / "data" / "run" / "node.json").exists()
