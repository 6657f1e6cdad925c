"""Joins the watch with the rest of sendit: settings in, registration and heartbeat out, with care for the database.

The only place in the watcher that knows Django, beside its commands.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import Error, close_old_connections, connections

from main.errors import Transient
from main.heartbeat import beat
from main.pipeline.take import take
from watcher.daemon import Daemon

P = ParamSpec("P")
R = TypeVar("R")


def pid_file() -> Path:
    """Where the watcher's pid file is."""
    return Path(settings.DATA_DIR) / "run" / "watcher.pid"


def log_file() -> Path:
    """Where a watcher in the background writes its log."""
    return Path(settings.DATA_DIR) / "logs" / "watcher.log"


def make_daemon() -> Daemon:
    """Make the watch over the folders of the settings."""
    return Daemon(
        settings.WATCH_FOLDERS,
        take=with_fresh_connection(take),
        beat=with_fresh_connection(beat),
        rescan_seconds=settings.WATCH_RESCAN_SECONDS,
        poll_seconds=settings.WATCH_POLL_SECONDS,
        at_end=connections.close_all,
    )


def with_fresh_connection(call: Callable[P, R]) -> Callable[P, R]:
    """Wrap a call that uses the database in a process that lives for months.

    A connection that broke or is too old is replaced before and after, and an error of the database
    becomes `main.errors.Transient`: it is shown, and the call is tried again.
    """

    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        close_old_connections()
        try:
            return call(*args, **kwargs)
        except Error as error:
            raise Transient(
                "database",
                f"The database does not do its work ({type(error).__name__}). See whether it runs and has room.",
            ) from None
        finally:
            close_old_connections()

    return wrapped
