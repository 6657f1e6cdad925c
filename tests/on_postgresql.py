"""Runs the tests marked `everydatabase` once more, on a PostgreSQL of their own: `python -m tests.on_postgresql`."""

import os
import sys
import tempfile
from pathlib import Path

from tests.peers import MissingPeer, Postgres


def main() -> int:
    """Start PostgreSQL, run pytest on it, stop it."""
    with tempfile.TemporaryDirectory(prefix="sendit-pg-") as folder:
        try:
            server = Postgres(Path(folder)).start()
        except MissingPeer as missing:
            print(missing, file=sys.stderr)  # noqa: T201 - a script's message
            return 1 if os.environ.get("CI", "").lower() == "true" else 0
        with server:
            return run(server)


def run(server: Postgres) -> int:
    """Run pytest with the server's address in the environment."""
    arguments = [sys.executable, "-m", "pytest", "-m", "everydatabase", *sys.argv[1:]]
    environment = {
        **os.environ,
        "DATABASE_ENGINE": "postgresql",
        "POSTGRES_HOST": server.host,
        "POSTGRES_PORT": str(server.port),
        "POSTGRES_USER": server.user,
        "POSTGRES_DB": server.database,
    }
    return os.spawnve(os.P_WAIT, sys.executable, arguments, environment)


if __name__ == "__main__":
    sys.exit(main())
