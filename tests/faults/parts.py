"""The node as a handful of processes in a data folder of its own: started, killed, restarted, ended by pid.

What it is made of is said here; who kills it, and when, is not.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sendit.reference import PREFIXES, SETTINGS
from tests.peers import Orthanc, Postgres, Redis
from tests.peers.server import Server

ROOT = Path(__file__).parents[2]
ARMED = "armed"

# Leases and waits so short that a fault is over in seconds; everything else is as delivered.
HURRIED = {
    "SENDIT_LEASE_SECONDS": "2",
    "SENDIT_RETRY_SECONDS": "0.3",
    "SENDIT_RETRY_MAX_SECONDS": "2",
    "SENDIT_SWEEP_SECONDS": "0.3",
    "WATCH_RESCAN_SECONDS": "2",
    "DICOM_AUTO_START": "no",
    "DICOM_PEER_TIMEOUT": "2",
    "SENDIT_MIN_FREE_BYTES": "1000000",
    "SENDIT_LOG_LEVEL": "info",
}


class Part(Server):
    """One process of the node with what it has started: a process group, killed as one."""

    package = "sendit"

    def __init__(self, name: str, argv: list[str], logs: Path, environment: dict[str, str]) -> None:
        self.name = name
        super().__init__(logs)
        self.argv = argv
        self.environment = environment

    def command(self) -> list[str]:
        return self.argv

    def is_ready(self) -> bool:
        return True

    def children(self) -> list[int]:
        """Return the pids of the processes that it has started: of a worker, its pool."""
        return children(self.pid) if self.running else []

    def _end(self, number: signal.Signals) -> None:
        group = self._process.pid if self._process else 0
        super()._end(number)
        if group:  # whoever is left in it: an orphan would go on working
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


class Node:
    """A node in `folder` that delivers to `orthanc`; `environment` are its settings.

    Its parts are run and restarted by the campaign; with `supervised` they are run by `manage.py node`.
    """

    def __init__(
        self,
        folder: Path,
        orthanc: Orthanc,
        environment: Mapping[str, str],
        *,
        redis: Redis | None = None,
        postgres: Postgres | None = None,
        workers: int = 1,
        supervised: bool = False,
    ) -> None:
        self.data = folder / "data"
        self.inbox = self.data / "inbox"
        self.armed = folder / ARMED
        self.armed.mkdir(parents=True)
        self.orthanc, self.redis, self.postgres = orthanc, redis, postgres
        self.environment = HURRIED | orders(orthanc, redis, postgres)
        self.environment |= {"SENDIT_DATA_DIR": str(self.data), "SENDIT_ENV_FILE": str(folder / "no.env")}
        self.environment |= {"PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "sendit.settings"}
        self.environment |= {"SENDIT_FAULT": f"@{self.armed}", **environment}
        manage = [sys.executable, str(ROOT / "manage.py")]
        worker = [sys.executable, "-m", "celery", "--quiet", "-A", "sendit", "worker", "--pool", "prefork"]
        worker += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "info"]
        argv = {f"worker{n}": [*worker, "--hostname", f"worker{n}@node"] for n in range(1, workers + 1)}
        argv |= {"sweeper": [*manage, "sweep", "--forever"], "watcher": [*manage, "watcher_start", "--foreground"]}
        if supervised:
            argv = {"node": [*manage, "node", "--without", "web"]}
        self.parts = {name: Part(name, words, self.data / "logs", self.environment) for name, words in argv.items()}
        self.restarts = 0
        self._wanted: set[str] = set()

    @property
    def workers(self) -> list[Part]:
        return [part for name, part in self.parts.items() if name.startswith("worker")]

    def start(self, *names: str) -> None:
        """Make the database if need be, and start the parts called `names`, by default all."""
        if not (self.data / "keys").exists():
            self.manage("migrate", "--verbosity", "0")
        self._wanted |= set(names or self.parts)
        self.tend()

    def supervised_pid(self, name: str) -> int | None:
        """Return the pid of a part that `manage.py node` runs, None while it does not run."""
        try:
            pid = json.loads((self.data / "run" / "node.json").read_text()).get(name)
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return pid if pid and Path(f"/proc/{pid}").exists() else None

    def tend(self) -> None:
        """Start again what has ended."""
        for name in sorted(self._wanted):
            part = self.parts[name]
            if not part.running:
                self.restarts += 1
                part.kill()
                part.start()

    def manage(self, *words: str) -> None:
        """Run a command of the node to its end."""
        command = [sys.executable, str(ROOT / "manage.py"), *words]
        subprocess.run(command, env={**os.environ, **self.environment}, cwd=ROOT, check=True, timeout=60)

    def arm(self, failpoint: str, action: str = "exit") -> None:
        """Have the next process that reaches `failpoint` end there, or stop with `action` "stop"."""
        (self.armed / f".{failpoint}").write_text(action)
        os.rename(self.armed / f".{failpoint}", self.armed / failpoint)

    def is_armed(self, failpoint: str) -> bool:
        return (self.armed / failpoint).exists()

    def stop(self) -> None:
        """End all of it."""
        self._wanted.clear()
        for part in self.parts.values():
            part.kill()

    def leftovers(self) -> list[int]:
        """Return the pids of processes that still live in this node's data folder."""
        return [pid for pid in _own_processes() if str(self.data).encode() in _environment_of(pid)]

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.stop()


def orders(orthanc: Orthanc, redis: Redis | None, postgres: Postgres | None) -> dict[str, str]:
    """Return the settings that name the node's neighbours."""
    names = {
        "SEND_TO_ORTHANC": "yes",
        "ORTHANC_IPADDRESS": orthanc.host,
        "ORTHANC_PORT": str(orthanc.dicom_port),
        "ORTHANC_REST_URL": orthanc.rest_url,
    }
    if redis is not None:
        names["CELERY_BROKER_URL"] = redis.url
    if postgres is not None:
        names |= {"DATABASE_ENGINE": "postgresql", "POSTGRES_HOST": postgres.host, "POSTGRES_USER": postgres.user}
        names |= {"POSTGRES_PORT": str(postgres.port), "POSTGRES_DB": postgres.database}
    return names


def forget_settings() -> None:
    """Remove every setting of a node from this process's environment: those of the campaign's nodes are its own."""
    known = {name for setting in SETTINGS for name in (setting.name, *setting.aliases)}
    for name in [name for name in os.environ if name in known or name.startswith(PREFIXES)]:
        del os.environ[name]


def children(pid: int) -> list[int]:
    """Return the children of a process, none when it is gone."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_stopped(pid: int) -> bool:
    """Say whether a process was stopped by SIGSTOP."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def _own_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
