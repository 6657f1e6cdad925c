"""The commands on a data folder of their own: real processes, a real database, the real claim."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from main.pipeline.source import SOURCE
from tests.watcher.watching import fill, wait_for

ROOT = Path(__file__).resolve().parent.parent.parent


class Node:
    """A data folder, its environment and its commands."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.inbox = data / "inbox"
        own = {"SENDIT_DATA_DIR": str(data), "SENDIT_ENV_FILE": str(data / "no.env")}
        self.environment = os.environ | own | settings

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def status(self) -> tuple[int, dict[str, object]]:
        done = self.run("watcher_status", "--json")
        return done.returncode, json.loads(done.stdout)

    def drops(self) -> list[str]:
        """The names of what was taken, from the disk."""
        drops = self.data / "work" / "drops"
        found = (name for key in os.listdir(drops) for name in os.listdir(drops / key))
        return sorted(name for name in found if name != SOURCE)

    @contextmanager
    def foreground(self) -> Iterator[subprocess.Popen[bytes]]:
        with (self.data / "foreground.log").open("wb") as log:
            running = subprocess.Popen(
                [sys.executable, "manage.py", "watcher_start", "--foreground"],
                cwd=ROOT,
                env=self.environment,
                stderr=log,
                stdout=log,
            )
        try:
            wait_for(lambda: b"is watched" in (self.data / "foreground.log").read_bytes(), "it watches", 60.0)
            yield running
        finally:
            running.send_signal(signal.SIGCONT)
            running.terminate()
            assert running.wait(60) == 0


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as the first start leaves it."""
    data = tmp_path_factory.mktemp("node") / "data"
    done = Node(data).run("migrate", "-v0")
    assert done.returncode == 0, done.stderr
    return data


@pytest.fixture
def node(migrated: Path, tmp_path: Path) -> Iterator[Node]:
    shutil.copytree(migrated, tmp_path / "data")
    node = Node(tmp_path / "data")
    yield node
    node.run("watcher_stop", "--timeout", "5")


def test_start_take_status_stop(node: Node) -> None:
    assert node.status()[0] == 3
    started = node.run("watcher_start")
    assert started.returncode == 0, started.stderr
    assert str(node.inbox) in started.stdout

    fill(node.inbox / "ST-000001.tmp2343").rename(node.inbox / "ST-000001")
    wait_for(lambda: node.drops() == ["ST-000001"], "the drop is taken")
    wait_for(lambda: node.status()[1]["folders"][0].get("taken") == 1, "the status follows")  # type: ignore[index]
    code, status = node.status()
    assert code == 0
    assert status["running"] is True
    assert status["folders"][0]["mode"] == "inotify"  # type: ignore[index]
    assert "ST-000001" not in json.dumps(status)
    assert "inotify, last looked at" in node.run("watcher_status").stdout

    again = node.run("start_watcher")
    assert (again.returncode, f"pid {status['pid']}" in again.stdout) == (0, True)
    second = node.run("watcher_start", "--foreground")
    assert second.returncode == 1
    assert "running already" in second.stderr

    stopped = node.run("watcher_stop")
    assert (stopped.returncode, f"pid {status['pid']}" in stopped.stdout) == (0, True)
    assert node.status()[0] == 3
    assert node.run("stop_watcher").returncode == 0
    log = (node.data / "logs" / "watcher.log").read_text()
    assert "took a folder as batch" in log
    assert "ST-000001" not in log


def test_a_stale_pid_file_with_a_strangers_pid_blocks_no_start_and_kills_nobody(node: Node) -> None:
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        node.run("watcher_start")
        killed = node.status()[1]["pid"]
        assert isinstance(killed, int)
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: node.status()[0] == 3, "it is seen to be gone")
        pid_file = node.data / "run" / "watcher.pid"
        pid_file.write_text(pid_file.read_text().replace(str(killed), str(stranger.pid)))

        stopped = node.run("watcher_stop")
        assert (stopped.returncode, stopped.stdout) == (0, "The watcher is not running.\n")
        assert node.run("watcher_start").returncode == 0
        assert node.status()[0] == 0
        assert node.run("watcher_stop").returncode == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_watcher_that_hangs_is_forced(node: Node) -> None:
    node.run("watcher_start")
    pid = node.status()[1]["pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGSTOP)
    assert "was killed" in node.run("watcher_stop", "--timeout", "0.5").stdout
    assert node.status()[0] == 3


def test_a_start_that_fails_says_why_in_a_sentence(node: Node) -> None:
    (node.data / "run" / "watcher.pid").mkdir()
    done = node.run("watcher_start")
    assert done.returncode == 1
    assert "watcher.pid cannot be used (Is a directory)" in done.stderr
    assert "Traceback" not in done.stderr
    (node.data / "run" / "watcher.pid").rmdir()


def test_two_watchers_on_one_folder_take_each_of_200_drops_once(migrated: Path, tmp_path: Path) -> None:
    inbox = tmp_path / "shared"
    inbox.mkdir()
    nodes = []
    for name in ("one", "two"):
        shutil.copytree(migrated, tmp_path / name)
        nodes.append(Node(tmp_path / name, SENDIT_WATCH=str(inbox)))
    with nodes[0].foreground(), nodes[1].foreground():
        for number in range(200):
            fill(inbox / f"ST-{number:03}.tmp1", files=3).rename(inbox / f"ST-{number:03}")
        wait_for(lambda: not os.listdir(inbox), "everything is taken", 60.0)
    taken = [node.drops() for node in nodes]
    assert sorted(taken[0] + taken[1]) == [f"ST-{number:03}" for number in range(200)]
    assert all(taken), "both took some"
    for node in nodes:
        found = [len(files) for _, folders, files in os.walk(node.data / "work" / "drops") if not folders and files]
        assert found == [3] * len(node.drops())
    assert "Traceback" not in "".join((node.data / "foreground.log").read_text() for node in nodes)


def test_an_overflow_of_the_kernels_queue_loses_nothing(migrated: Path, tmp_path: Path) -> None:
    shutil.copytree(migrated, tmp_path / "data")
    node = Node(tmp_path / "data", WATCH_RESCAN_SECONDS="3600")
    more_than_the_queue = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()) + 1000
    with node.foreground() as running:
        running.send_signal(signal.SIGSTOP)
        for number in range(more_than_the_queue):
            os.close(os.open(node.inbox / f"IM{number}", os.O_CREAT | os.O_WRONLY))
        running.send_signal(signal.SIGCONT)
        wait_for(lambda: not os.listdir(node.inbox), "everything is taken", 90.0)
    assert len(node.drops()) == more_than_the_queue
    assert len(os.listdir(node.data / "work" / "drops")) == -(-more_than_the_queue // 5000)
