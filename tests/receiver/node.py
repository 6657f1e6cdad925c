"""A receiver as its users run it: its own data folder and database, processes started by `manage.py`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from dimse import Peer
from tests.peers.server import free_port
from tests.receiver.door import AE_TITLE, handed_over
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
MANAGE = [sys.executable, str(ROOT / "manage.py")]


class Node:
    """A data folder, its settings and its commands; whoever calls may store unless `settings` say otherwise."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.inbox = data / "received"
        self.port = free_port()
        self.settings = {
            "SENDIT_DATA_DIR": str(data),
            "SENDIT_ENV_FILE": str(data / "no.env"),
            "DICOM_PORT": str(self.port),
            "DICOM_PUBLIC": "yes",
        } | settings
        self.log = data / "foreground.log"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.settings}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of manage.py to its end."""
        return subprocess.run(
            [*MANAGE, *command],
            env=self.environment,
            cwd=self.data,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("receiver_status", "--json").stdout)
        return found

    def launch(self, **settings: str) -> subprocess.Popen[bytes]:
        """Start the receiver in the foreground of a process group of its own, without waiting for it."""
        self.settings.update(settings)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*MANAGE, "receiver_start", "--foreground"],
                env=self.environment,
                cwd=self.data,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @contextmanager
    def receiving(self, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        """Yield a receiver whose processes all listen; it ends in order."""
        process = self.launch(**settings)
        try:
            self.wait_until_all_listen(process)
            yield process
            process.terminate()
            assert process.wait(60) == 0, self.said()
        finally:
            kill(process)

    def wait_until_all_listen(self, process: subprocess.Popen[bytes]) -> None:
        """Return when every process of the receiver listens."""
        count = int(self.settings.get("DICOM_PROCESSES", 2))

        def listens() -> bool:
            assert process.poll() is None, self.said()
            return len(listening_pids(process.pid)) == count

        eventually(listens, 30, "the start of the receiver")

    def peer(self, calling: str = "MODALITY", called: str = AE_TITLE) -> Peer:
        return Peer("127.0.0.1", self.port, called, calling)

    def files(self) -> list[Path]:
        """Return the files of the drops that were handed over."""
        return [path for drop in handed_over(self.inbox) for path in drop.glob("*.dcm")]

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def migrated(folder: Path) -> Path:
    """Make a data folder as the first start leaves it."""
    data = folder / "data"
    data.mkdir(parents=True)
    done = Node(data).run("migrate", "-v0")
    assert done.returncode == 0, done.stderr
    return data


def copy_of(data: Path, folder: Path) -> Path:
    """Return a copy of a data folder."""
    return shutil.copytree(data, folder / "data")


def children(pid: int) -> Sequence[int]:
    """Return the processes of a receiver."""
    return [child.pid for child in psutil.Process(pid).children()]


def listening_pids(pid: int) -> Sequence[int]:
    """Return the processes of a receiver that listen."""
    found = []
    for child in psutil.Process(pid).children():
        try:
            if any(one.status == psutil.CONN_LISTEN for one in child.net_connections()):
                found.append(child.pid)
        except psutil.Error:
            continue
    return found


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a receiver and all of its processes at once."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
