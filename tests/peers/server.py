"""How a neighbour's process is started on a free port, waited for, hung, killed and ended.

What a particular neighbour is called and how it is asked lives in the module of its name.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

READY_WITHIN = 30.0
STOPPED_WITHIN = 10.0


class MissingPeer(RuntimeError):
    """The neighbour is not installed here; the sentence carries the line that installs it."""

    def __init__(self, name: str, package: str) -> None:
        super().__init__(f"{name} is not installed: sudo apt-get install -y {package} (or: sh tests/install_peers.sh)")


def program(name: str, package: str, *folders: Path) -> str:
    """Return the path of `name`, looked for in `folders`, PATH and the sbin folders.

    Not in the virtual environment: pynetdicom puts programs there that have the names of dcmtk's.
    """
    own = str(Path(sys.prefix) / "bin")
    on_path = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder != own]
    path = os.pathsep.join([*map(str, folders), *on_path, "/usr/sbin", "/usr/local/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise MissingPeer(name, package)
    return found


def free_port() -> int:
    """Return a port on which nobody listens, below those that the kernel hands to outgoing connections."""
    for _ in range(200):
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 10000 and 32000")


def wait_for(condition: Callable[[], bool], what: str, within: float = READY_WITHIN) -> None:
    """Return as soon as `condition` holds; raise TimeoutError naming `what` when it does not within the deadline."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {within:.0f} s")
        time.sleep(0.01)


def accepts_connections(port: int) -> bool:
    """Say whether something listens on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """One neighbour: a folder of its own, one process, ended with the test run whatever happens to it.

    A subclass sets `name` and `package`, and says `command()` and `is_ready()`. It may be stopped or killed and
    started again: same ports, same folder. `environment` is added to the variables it is started with.
    """

    name: str
    package: str
    death_signal = "SIGKILL"
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_file = self.folder / f"{self.name}.log"
        self.environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def prefix(self) -> list[str]:
        """Return the words that go before the command: the kernel ends the process when its parent dies."""
        return [program("setpriv", "util-linux"), "--pdeathsig", self.death_signal, "--"]

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self) -> Self:
        """Start the process and return when it answers."""
        command = [*self.prefix(), *self.command()]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_for(lambda: not self.running or self.is_ready(), f"{self.name} answering")
            if not self.running:
                raise RuntimeError(f"{self.name} ended by itself:\n{self.log[-2000:]}")
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Ask the process to end, and kill it when it does not."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End the process at once, as a power failure would (`start()` uses the same storage again)."""
        self._end(signal.SIGKILL)

    def hang(self) -> None:
        """Stop the process in its tracks: connections stay open and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOPPED_WITHIN)

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *exc: Any) -> None:
        self.stop()
