"""Processes in the background: which one holds a pid file, whether it is alive, and how it is started and ended.

The truth is a lock that the living process holds on the file, so a file left behind means nothing. A process is
signalled only through a handle that was checked against its start time: a recycled pid is never touched.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic, sleep

LARGEST_LOG = 10_000_000


@dataclass(frozen=True, slots=True)
class Process:
    """A process, named so that no other one can be taken for it.

    Attributes
    ----------
    pid : int
    started : int
        Clock ticks from the boot to its start (proc_pid_stat(5), field 22).
    boot : str
        The boot of the machine in which it runs.
    namespace : str
        The namespace in which its pid is valid: another container has another one.
    """

    pid: int
    started: int
    boot: str
    namespace: str

    @classmethod
    def current(cls) -> Process:
        """Name this process."""
        return cls(os.getpid(), _start_time(os.getpid()) or 0, _boot_id(), _namespace())


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a pid file: ``process`` is unknown for the moment between locking and writing."""

    process: Process | None

    @property
    def is_here(self) -> bool:
        """Whether its pid means something to us."""
        return self.process is not None and (self.process.boot, self.process.namespace) == (_boot_id(), _namespace())


class AlreadyRunning(Exception):  # noqa: N818 - a state, not a fault
    """Another process holds the pid file."""


@contextmanager
def held(path: Path) -> Iterator[Process]:
    """Hold the pid file for as long as the block runs.

    The file itself stays when it ends: removing it could remove that of a successor.

    Raises
    ------
    AlreadyRunning
        When another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Opened and never truncated before it is locked: what the living holder wrote must survive our try.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        # A glance by `holder` holds the lock for a moment, too.
        deadline = monotonic() + 1.0
        while not _locked(descriptor, fcntl.LOCK_EX):
            if monotonic() > deadline:
                raise AlreadyRunning
            sleep(0.02)
        process = Process.current()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(process)).encode() + b"\n", 0)
        yield process
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder(path: Path) -> Holder | None:
    """Say who holds the pid file; ``None`` when nobody does, whatever is written in it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _locked(descriptor, fcntl.LOCK_SH):
            return None
        try:
            return Holder(Process(**json.loads(os.read(descriptor, 4096))))
        except (ValueError, TypeError):
            return Holder(None)
    finally:
        os.close(descriptor)


def end(process: Process, seconds: float) -> bool:
    """End a process: ask it, wait, and force it when the time is up.

    Returns
    -------
    bool
        Whether it ended in time by itself (also when it was gone before, or its pid belongs to another process now).
    """
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        # The handle stays with the process that it was opened for. If that is the right one, every signal reaches it.
        if _start_time(process.pid) != process.started or _boot_id() != process.boot:
            return True
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        if _has_ended(handle, seconds):
            return True
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        _has_ended(handle, 10.0)
        return False
    finally:
        os.close(handle)


def launch(command: list[str], log: Path, pid_file: Path, seconds: float) -> Holder | str:
    """Start a management command as a process of its own that outlives this one, and wait until it holds its pid file.

    Returns
    -------
    Holder or str
        The running process, or the last lines of its log when it ended before that.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        if log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_name(log.name + ".1"))
    with log.open("ab") as output:
        began = output.tell()
        child = subprocess.Popen(
            [sys.executable, "-m", "django", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        found = holder(pid_file)
        if found is not None and found.process is not None and found.process.pid == child.pid:
            return found
        if child.poll() is not None:
            break
        sleep(0.05)
    else:
        child.terminate()
    with log.open("rb") as written:
        written.seek(began)
        return written.read()[-2000:].decode(errors="replace").strip()


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _has_ended(handle: int, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def _start_time(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the program's name in parentheses and may hold spaces and parentheses itself.
    return int(text.rpartition(")")[2].split()[19])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _namespace() -> str:
    return os.readlink("/proc/self/ns/pid")
