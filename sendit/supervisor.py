"""Keeps a handful of programs running as one node: starts, restarts, records and ends them together.

It knows processes, not what they do: no Django, no Celery, no settings.

Each program leads a process group of its own and dies with the supervisor, however that ends: the kernel kills the
programs themselves (``PR_SET_PDEATHSIG``, Linux), and `sendit/guardian.py` kills what they have started. The supervisor
has a single thread: a program whose output nobody reads stops nobody else, and a fork is never taken in the middle of
another thread's work.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import logging
import logging.handlers
import os
import select
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from sendit.guardian import Guardian

FIRST_WAIT = 0.3  # seconds before the first restart; doubles until LONGEST_WAIT
LONGEST_WAIT = 30.0
HEALTHY = 60.0  # seconds of life after which the next restart is a first one again
GRACE = 10.0  # seconds between TERM and KILL
LOG_BYTES = 10_000_000  # per file, and there is one older file beside it
LINE_BYTES = 64 * 1024  # a longer line is cut into pieces

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


class AlreadyRunning(Exception):
    """Another supervisor holds the lock; `pid` is its process, if that could be read."""

    def __init__(self, lock: Path, pid: int | None) -> None:
        self.pid = pid
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"A node already runs on this data folder: {who} holds {lock}. "
            f"End it first ({f'kill {pid}' if pid else 'see ps'}), or use another data folder."
        )


@dataclass(frozen=True)
class Program:
    """One program to keep running; `env` is added to the supervisor's own environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


class Supervisor:
    """Run programs until told to stop.

    Parameters
    ----------
    programs : Sequence[Program]
        In the order in which they are started; they are stopped in the reverse order.
    run_dir : Path
        Folder of the lock ``node.lock`` and of ``node.json``, the pids by name.
    log_dir : Path
        Folder of ``<name>.log``, the output of each program, and ``supervisor.log``.
    grace : float
        Seconds between asking the programs to end (TERM) and ending them (KILL).
    console : int
        File descriptor that gets every line, prefixed with the program's name. Lines that it does not take at once are
        left out there: they are in the log files.
    """

    def __init__(
        self, programs: Sequence[Program], run_dir: Path, log_dir: Path, *, grace: float = GRACE, console: int = 1
    ) -> None:
        self.run_dir, self.log_dir, self.grace = run_dir, log_dir, grace
        self._console = _Console(console, max((len(program.name) for program in programs), default=0))
        self._children = [_Child(program) for program in programs]
        self._logs: dict[str, logging.handlers.RotatingFileHandler] = {}
        self._selector = selectors.DefaultSelector()
        self._stop_asked = 0
        self._guardian: Guardian  # from run() on
        self._lock = -1

    def claim(self) -> None:
        """Take the lock of `run_dir`, if this is not done yet; `run` does it too.

        Raises
        ------
        AlreadyRunning
            If another supervisor holds it.
        """
        if self._lock < 0:
            self.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(self.run_dir / "node.lock")

    def run(self) -> None:
        """Keep the programs running until SIGTERM, SIGINT or SIGHUP; call it from the main thread.

        Raises
        ------
        AlreadyRunning
            If another supervisor holds the lock of `run_dir`.
        """
        self.claim()
        self.log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        awake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(awake, selectors.EVENT_READ)
        handlers = {}
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # SIG_IGN: nohup
                handlers[number] = signal.signal(number, self._on_signal)
        previous_waker = signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self._guardian = Guardian()
        try:
            while not self._stop_asked:
                self._start_what_is_due()
                self._wait(min((child.due for child in self._children if not child.process), default=None), awake)
                self._reap()
            self._stop(awake)
        finally:
            for child in self._children:
                child.kill()
            self._guardian.dismiss()
            signal.set_wakeup_fd(previous_waker)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            (self.run_dir / "node.json").unlink(missing_ok=True)
            for handler_ in self._logs.values():
                handler_.close()
            self._selector.close()
            os.close(awake)
            os.close(waker)
            os.close(self._lock)
            self._lock = -1

    # Running ---------------------------------------------------------------------------------------------------------

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._stop_asked += 1

    def _start_what_is_due(self) -> None:
        for child in self._children:
            if child.process is None and child.due <= time.monotonic():
                self._start(child)

    def _start(self, child: _Child) -> None:
        try:
            process = child.start()
        except OSError as error:
            child.due = time.monotonic() + child.next_wait(0.0)
            self._say(f"{child.name} cannot be started ({error.strerror}); trying again in {child.wait:g} s.")
            return
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, child)
        self._guardian.watch(process.pid)
        self._write_pids()

    def _wait(self, until: float | None, awake: int) -> None:
        """Sleep until output, a signal or the moment `until`; pass on the output."""
        timeout = None if until is None else max(0.0, until - time.monotonic())
        for key, _ in self._selector.select(timeout):
            if key.fd == awake:
                with suppress(BlockingIOError):
                    os.read(awake, 4096)
            else:
                self._read(key.data)

    def _read(self, child: _Child) -> bool:
        """Pass on what a program has written; False when there is nothing more for now."""
        pipe = child.process and child.process.stdout
        if not pipe or pipe.closed:
            return False
        try:
            data = os.read(pipe.fileno(), LINE_BYTES)
        except BlockingIOError:
            return False
        *lines, child.rest = (child.rest + data).split(b"\n")
        if len(child.rest) >= LINE_BYTES:
            lines, child.rest = [*lines, child.rest], b""
        for line in lines:
            self._pass_on(child.name, line.decode(errors="replace").rstrip("\r"))
        if not data:
            self._close_output(child)
        return bool(data)

    def _close_output(self, child: _Child) -> None:
        pipe = child.process and child.process.stdout
        if pipe and not pipe.closed:
            self._selector.unregister(pipe)
            pipe.close()
        if child.rest:
            self._pass_on(child.name, child.rest.decode(errors="replace"))
            child.rest = b""

    def _reap(self, restart: bool = True) -> None:
        """See who has ended, end what it has left behind, say why, and plan its restart."""
        self._guardian.renew()
        for child in self._children:
            process = child.process
            if process is None or not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                continue
            child.kill()  # its group, before its id can be given to somebody else: orphans would keep ports and files
            status = process.wait()
            self._guardian.release(process.pid)
            for _ in range(100):  # what it wrote last; the bound is for a stranger that inherited the pipe
                if not self._read(child):
                    break
            self._close_output(child)
            child.process = None
            if restart:
                lived = time.monotonic() - child.started
                child.due = time.monotonic() + child.next_wait(lived)
                times = f", {child.failures} times in a row" if child.failures > 1 else ""
                self._say(f"{child.name} {_reason(status)} after {lived:.1f} s{times}; restarting in {child.wait:g} s.")
                self._write_pids()

    def _stop(self, awake: int) -> None:
        """Ask all programs to end, last started first; end them when the grace is over or a second signal came."""
        self._say("stopping")
        asked = self._stop_asked
        deadline = time.monotonic() + self.grace
        for child in reversed(self._children):
            child.terminate()
        while any(child.process for child in self._children):
            if time.monotonic() >= deadline or self._stop_asked > asked:
                late = [child for child in reversed(self._children) if child.process]
                self._say(f"{', '.join(child.name for child in late)} did not end in time; killing.")
                for child in late:
                    child.kill()
                deadline, asked = time.monotonic() + self.grace, self._stop_asked
            self._wait(deadline, awake)
            self._reap(restart=False)
        self._say("stopped")

    # Records ---------------------------------------------------------------------------------------------------------

    def _write_pids(self) -> None:
        pids = {child.name: child.process.pid for child in self._children if child.process}
        path = self.run_dir / "node.json"
        with suppress(OSError):  # a full disk must not end the node
            path.with_suffix(".tmp").write_text(json.dumps({"supervisor": os.getpid(), **pids}) + "\n")
            path.with_suffix(".tmp").replace(path)

    def _say(self, sentence: str) -> None:
        self._pass_on("supervisor", sentence, stamp=time.strftime("%Y-%m-%d %H:%M:%S "))

    def _pass_on(self, name: str, line: str, stamp: str = "") -> None:
        self._console.write(name, line)
        if name not in self._logs:
            self._logs[name] = _LogFile(self.log_dir / f"{name}.log", maxBytes=LOG_BYTES, backupCount=1, delay=True)
        self._logs[name].handle(logging.makeLogRecord({"msg": stamp + line}))


class _Child:
    """One program and its present process."""

    def __init__(self, program: Program) -> None:
        self.program, self.name = program, program.name
        self.process: subprocess.Popen[bytes] | None = None
        self.rest = b""  # of a line that has not ended yet
        self.started = self.due = self.wait = 0.0
        self.failures = 0

    def start(self) -> subprocess.Popen[bytes]:
        supervisor = os.getpid()

        def die_with_supervisor() -> None:
            if _libc is not None:
                _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != supervisor:  # it died in between
                os._exit(1)

        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.program.argv,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.program.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_supervisor,  # noqa: PLW1509 - the supervisor has one thread
        )
        return self.process

    def terminate(self) -> None:
        if self.process:
            self.process.terminate()

    def kill(self) -> None:
        if self.process:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def next_wait(self, lived: float) -> float:
        self.failures = 1 if lived >= HEALTHY else self.failures + 1
        self.wait = min(FIRST_WAIT * 2 ** min(self.failures - 1, 20), LONGEST_WAIT)
        return self.wait


class _LogFile(logging.handlers.RotatingFileHandler):
    """A log file that gives up a line rather than the node when the disk is full."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        pass


class _Console:
    """Prefixed lines to a terminal or pipe, as far as it takes them without making us wait."""

    def __init__(self, fd: int, width: int) -> None:
        self._fd, self._width = fd, max(width, len("supervisor"))
        self._ready = select.poll()
        self._ready.register(fd, select.POLLOUT)

    def write(self, name: str, line: str) -> None:
        if self._fd < 0:
            return
        # At most as many bytes as a pipe that is ready takes at once.
        data = f"{name:<{self._width}} | {line}"[:1000].encode(errors="replace") + b"\n"
        try:
            if self._ready.poll(0):
                os.write(self._fd, data)
        except BrokenPipeError:  # nobody is there any more: the log files remain
            self._fd = -1
        except OSError:  # a full disk or a closed terminal costs this line, not the node
            pass


def _lock(path: Path, patience: float = 2.0) -> int:
    """Hold the lock for as long as this process lives; a guardian at its last work is waited for."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline:
                text = os.pread(fd, 32, 0).decode(errors="replace").strip()
                os.close(fd)
                raise AlreadyRunning(path, int(text) if text.isdigit() else None) from None
            time.sleep(0.05)  # children that were told to end
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _reason(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
