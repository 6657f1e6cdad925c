"""A real redis-server without persistence, for tests of the broker and of its loss."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.peers.server import Server, free_port, program


class Redis(Server):
    """redis-server on a free port of 127.0.0.1; `appendonly=True` makes it keep its data over a kill."""

    name = "redis-server"
    package = "redis-server"

    def __init__(self, folder: Path | str, *, port: int = 0, appendonly: bool = False) -> None:
        super().__init__(folder)
        self.port = port or free_port()
        self.appendonly = appendonly
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "save": "",
            "appendonly": "yes" if self.appendonly else "no",
            "dir": str(self.folder),
            "daemonize": "no",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [program("redis-server", self.package), *words]

    def is_ready(self) -> bool:
        try:
            return self.ask("PING") == "+PONG"
        except OSError:
            return False

    def ask(self, *words: str) -> str:
        """Send one command and return the first line of the answer, as `+OK` or `:3`."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall("".join([" ".join(words), "\r\n"]).encode())
            return connection.makefile("rb").readline().decode().strip()

    def flush(self) -> None:
        """Forget everything, as a broker whose volume was lost."""
        self.ask("FLUSHALL")
