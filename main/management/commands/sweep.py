"""`manage.py sweep`: one sweep, or `--forever` as the node's own small process."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import close_old_connections

from main import bells
from main.destinations.configured import sync
from main.errors import describe
from main.heartbeat import beat, forget_silent
from main.management.commands._base import NodeCommand
from main.pipeline.sweep import NOBODY_WORKS, is_stalled, sweep, tidy

log = logging.getLogger(__name__)

_TIDY_SECONDS = 30.0


class Command(NodeCommand):
    """Ring for whatever is due."""

    help = "Ring for whatever is due: retries, expired leases, drops claimed but not registered. Safe to run twice."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--forever`."""
        super().add_arguments(parser)
        parser.add_argument("--forever", action="store_true", help="sweep every SENDIT_SWEEP_SECONDS until stopped")

    def handle(self, *args: Any, **options: Any) -> None:
        """Sweep once, or until SIGTERM."""
        self.prepare()
        if not options["forever"]:
            due, mended = sweep(), tidy()
            waiting = [stage for stage, is_due in due.items() if is_due]
            self.show(options, {"due": waiting, "mended": mended}, [f"due: {', '.join(waiting) or 'nothing'}"])
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        sync()
        next_tidy = 0.0
        while not stop.is_set():
            next_tidy = self._round(next_tidy)
            stop.wait(settings.SENDIT_SWEEP_SECONDS)

    def _round(self, next_tidy: float) -> float:
        """One round; an error of the database or the broker is said, and the next round tries again."""
        close_old_connections()
        if time.monotonic() >= next_tidy:
            self._try("tidy up", self._tidy)
            next_tidy = time.monotonic() + min(_TIDY_SECONDS, settings.SENDIT_LEASE_SECONDS)
        self._try("ring", self._ring)
        return next_tidy

    def _ring(self) -> None:
        """Ring for what is due; a sign of life first, so that a dead broker does not make the sweeper look dead."""
        beat("sweeper", f"{os.uname().nodename}-{os.getpid()}")
        sweep()

    def _tidy(self) -> None:
        tidy()
        forget_silent()
        if is_stalled():
            _end_stalled_worker()
        bells.ring_now("register")  # so that workers without work give a sign of life

    def _try(self, what: str, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever database, disk or broker do, the sweeper must live
            log.warning("The sweeper could not %s (%s); it goes on.", what, describe(error)[0])


def _end_stalled_worker() -> None:
    """End the worker of this node, which no longer hears its bells; the supervisor starts a new one."""
    try:
        programs = json.loads((settings.RUN_DIR / "node.json").read_text())
        pid = int(programs["worker"])
        handle = os.pidfd_open(pid)
    except (OSError, ValueError, KeyError):
        log.warning(NOBODY_WORKS)
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
    log.warning("Work is due for a while and no worker takes it: the worker (pid %d) is started anew.", pid)
