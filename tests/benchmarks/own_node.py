"""A node of a benchmark's own inside this process: a temporary data folder, a database, the outbox as destination.

Everything is gone when the block ends. Import nothing of Django or `main` before it begins: the settings are read once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sendit.reference import PREFIXES, SETTINGS
from tests.peers import Postgres


def forget_settings() -> None:
    """Remove every setting of a node from this process's environment: a benchmark's node has its own."""
    known = {name for setting in SETTINGS for name in (setting.name, *setting.aliases)}
    for name in [name for name in os.environ if name in known or name.startswith(PREFIXES)]:
        del os.environ[name]


def on_postgresql(server: Postgres) -> dict[str, str]:
    """The settings that name `server` as the database."""
    return {
        "DATABASE_ENGINE": "postgresql",
        "POSTGRES_HOST": server.host,
        "POSTGRES_PORT": str(server.port),
        "POSTGRES_USER": server.user,
        "POSTGRES_DB": server.database,
    }


@contextmanager
def own_node(*, postgresql: bool = False, **settings: str) -> Iterator[Path]:
    """Set Django up on a new data folder, migrated; yields the folder."""
    forget_settings()
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="sendit-bench-", ignore_cleanup_errors=True))
        )
        if postgresql:
            settings |= on_postgresql(stack.enter_context(Postgres(folder / "postgres", durable=True)))
        os.environ |= {"SENDIT_DATA_DIR": str(folder / "data"), "SENDIT_ENV_FILE": str(folder / "no.env"), **settings}
        os.environ["DJANGO_SETTINGS_MODULE"] = "sendit.settings"
        import django

        django.setup()
        stack.callback(_end)
        prepare()
        yield folder


def prepare() -> None:
    """Make the tables of the database in use, check the keys, and write the configured destinations."""
    from django.core.management import call_command

    from main import identity
    from main.destinations.configured import sync

    call_command("migrate", interactive=False, verbosity=0)
    identity.keyring()
    sync()


def hand_over(source: Path) -> Any:
    """Rename a folder into the node as a finished drop; returns its row."""
    from main.pipeline.take import take

    batch = take([source], source.parent)
    assert batch is not None
    return batch


def forget_files(*folders: Path) -> None:
    """Empty `folders`, so that disks do not fill up over the rounds."""
    for folder in folders:
        for entry in folder.iterdir():
            shutil.rmtree(entry, ignore_errors=True)


def _end() -> None:
    """Wait for the bells' thread and close the connections, so that nobody writes into a folder that is going."""
    from django.db import connections

    from main import bells

    bells.flush(5)
    connections.close_all()
