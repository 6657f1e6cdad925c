"""The pid file: a lock tells who is alive, and no stranger is ever signalled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from main import background
from main.background import AlreadyRunning, Process, end, held, holder, launch
from tests.watcher.watching import wait_for

HOLD = """
import signal, sys, time
from pathlib import Path
from main.background import held
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with sendit."""
    running = subprocess.Popen(["sleep", "600"])
    yield running
    running.kill()
    running.wait()


def hold(path: Path, manner: str = "") -> subprocess.Popen[str]:
    running = subprocess.Popen([sys.executable, "-c", HOLD, str(path), manner], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stdout.readline() == "held\n"
    return running


def test_the_holder_is_known_while_it_lives_and_forgotten_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "run" / "watcher.pid"
    assert holder(path) is None
    with held(path) as me:
        found = holder(path)
        assert found is not None
        assert found.process == me == Process.current()
        assert found.is_here
    assert holder(path) is None


def test_a_second_holder_is_refused_and_leaves_the_first_ones_name_alone(tmp_path: Path) -> None:
    path = tmp_path / "watcher.pid"
    running = hold(path)
    try:
        with pytest.raises(AlreadyRunning), held(path):
            pass
        found = holder(path)
        assert found is not None
        assert found.process is not None
        assert found.process.pid == running.pid
    finally:
        running.kill()
        running.wait()


def test_a_killed_holder_blocks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "watcher.pid"
    running = hold(path)
    running.kill()
    running.wait()
    assert path.read_text() != ""
    assert holder(path) is None
    with held(path):
        pass


def test_a_file_with_a_strangers_pid_is_nobody(tmp_path: Path, stranger: subprocess.Popen[bytes]) -> None:
    path = tmp_path / "watcher.pid"
    path.write_text(json.dumps(asdict(replace(Process.current(), pid=stranger.pid))))
    assert holder(path) is None


@pytest.mark.parametrize("text", ["", "4711\n", "[]", '{"pid": 1}', "\0\0\0"])
def test_a_damaged_file_blocks_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "watcher.pid"
    path.write_text(text)
    assert holder(path) is None
    with held(path):
        assert holder(path) is not None


def test_a_recycled_pid_is_never_signalled(stranger: subprocess.Popen[bytes]) -> None:
    recycled = replace(Process.current(), pid=stranger.pid)
    assert end(recycled, seconds=0.1)
    assert stranger.poll() is None


def test_a_pid_of_another_boot_is_never_signalled(stranger: subprocess.Popen[bytes]) -> None:
    started = background._start_time(stranger.pid)  # noqa: SLF001 - the true one, so that only the boot differs
    assert started is not None
    assert end(replace(Process.current(), pid=stranger.pid, started=started, boot="another"), seconds=0.1)
    assert stranger.poll() is None


def test_a_process_that_ends_when_asked_is_not_forced(tmp_path: Path) -> None:
    running = hold(tmp_path / "watcher.pid")
    found = holder(tmp_path / "watcher.pid")
    assert found is not None
    assert found.process is not None
    assert end(found.process, seconds=20)
    assert running.wait(5) == -signal.SIGTERM


def test_a_process_that_does_not_listen_is_forced(tmp_path: Path) -> None:
    running = hold(tmp_path / "watcher.pid", "deaf")
    found = holder(tmp_path / "watcher.pid")
    assert found is not None
    assert found.process is not None
    assert not end(found.process, seconds=0.3)
    assert running.wait(5) == -signal.SIGKILL
    assert holder(tmp_path / "watcher.pid") is None


def test_a_process_of_another_container_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "watcher.pid"
    code = HOLD.replace("time.sleep(600)", "sys.stdin.read()")
    running = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--pid", "--fork", sys.executable, "-c", code, str(path), ""],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "held\n"
        found = holder(path)
        assert found is not None
        assert not found.is_here
    finally:
        running.communicate("")
    wait_for(lambda: holder(path) is None, "it has ended")


def test_a_start_that_fails_shows_why(tmp_path: Path) -> None:
    said = launch(["no_such_command"], tmp_path / "logs" / "x.log", tmp_path / "x.pid", 60.0)
    assert isinstance(said, str)
    assert "no_such_command" in said


def test_a_large_log_is_put_aside_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "LARGEST_LOG", 10)
    log = tmp_path / "x.log"
    log.write_text("the log of last year")
    launch(["no_such_command"], log, tmp_path / "x.pid", 60.0)
    assert (tmp_path / "x.log.1").read_text() == "the log of last year"
    assert "last year" not in log.read_text()


def test_process_is_named_by_pid_start_boot_and_namespace() -> None:
    me = Process.current()
    assert me.pid == os.getpid()
    assert me.started > 0
    assert len(me.boot) == 36
    assert me.namespace.startswith("pid:[")
