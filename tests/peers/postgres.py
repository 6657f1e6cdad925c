"""A real PostgreSQL cluster in a folder of its own, reached over 127.0.0.1 or its Unix socket.

PostgreSQL refuses to run as root, so as root it runs in a user namespace in which it is not.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

from tests.peers.server import Server, free_port, program

USER = "sendit"


def _newest_first(folder: Path) -> tuple[int, ...]:
    return tuple(-int(number) for number in re.findall(r"\d+", folder.parent.name))


class Postgres(Server):
    """PostgreSQL on a free port, user `sendit`, no password, one database `sendit`, nothing synced to the disk.

    `durable=True` keeps fsync on. `url` is a DATABASE_URL, `dsn` the words for psycopg.
    """

    name = "postgres"
    package = "postgresql"
    death_signal = "SIGQUIT"
    stop_signal = signal.SIGINT

    def __init__(self, folder: Path | str, *, port: int = 0, durable: bool = False) -> None:
        super().__init__(folder)
        self.port = port or free_port()
        self.durable = durable
        self.data = self.folder / "data"
        self.host = "127.0.0.1"
        self.user = USER
        self.database = USER
        self.url = f"postgresql://{USER}@127.0.0.1:{self.port}/{USER}"
        self.dsn = f"host=127.0.0.1 port={self.port} user={USER} dbname={USER}"

    def prefix(self) -> list[str]:
        namespace = []
        if os.geteuid() == 0:
            namespace = [program("unshare", "util-linux"), "-U", "--map-user=1000", "--map-group=1000"]
        return [*namespace, *super().prefix()]

    def command(self) -> list[str]:
        if not (self.data / "PG_VERSION").exists():
            self._create()
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": ""}
        if not self.durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [self._program("postgres"), "-D", str(self.data), *words]

    def is_ready(self) -> bool:
        return self._run("pg_isready", "-q", "-h", self.host, "-p", str(self.port), "-d", "postgres") == 0 and (
            self._run("psql", *self._where("postgres"), "-Atc", f"CREATE DATABASE {USER}") == 0
            or self._run("psql", *self._where(USER), "-Atc", "SELECT 1") == 0
        )

    def sql(self, statement: str, database: str = USER) -> str:
        """Run one statement with psql and return its rows, a line each, columns parted by `|`."""
        command = [self._program("psql"), *self._where(database), "-v", "ON_ERROR_STOP=1", "-Atc", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def cut_connections(self) -> None:
        """End every other session, as a failover does."""
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()", "postgres")

    def _where(self, database: str) -> list[str]:
        return ["-X", "-w", "-h", self.host, "-p", str(self.port), "-U", USER, "-d", database]

    def _create(self) -> None:
        command = [self._program("initdb"), "-D", str(self.data), "-U", USER, "-A", "trust", "-E", "UTF8"]
        command += ["--locale=C", "--no-sync", "--no-instructions"]
        result = subprocess.run([*self.prefix(), *command], capture_output=True, text=True, timeout=120)
        if result.returncode:
            raise RuntimeError(f"initdb failed:\n{result.stdout}{result.stderr}")

    def _run(self, name: str, *words: str) -> int:
        return subprocess.run([self._program(name), *words], capture_output=True, timeout=30).returncode

    def _program(self, name: str) -> str:
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_newest_first)
        return program(name, self.package, *folders)
