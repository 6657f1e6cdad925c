"""`watcher_start`: watch the folders, in the background or in this terminal."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from main import background
from watcher.wiring import log_file, make_daemon, pid_file

LAUNCH_SECONDS = 30.0


class Command(BaseCommand):
    """Start the watch over the folders of SENDIT_WATCH."""

    help = "Watch the folders of SENDIT_WATCH and take in what is finished. Goes to the background unless --foreground."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--foreground", action="store_true", help="stay in this terminal until SIGTERM or Ctrl-C")

    def handle(self, *args: Any, **options: Any) -> None:
        """Start; a watcher that runs already is success, except in the foreground."""
        if options["foreground"]:
            self._watch()
            return
        found = background.holder(pid_file())
        if found is not None:
            self.stdout.write(f"The watcher is running already{_named(found)}.")
            return
        started = background.launch(["watcher_start", "--foreground"], log_file(), pid_file(), LAUNCH_SECONDS)
        if isinstance(started, str):
            raise CommandError(f"The watcher did not start. Its log ({log_file()}) says:\n{started}")
        folders = ", ".join(str(folder.path) for folder in settings.WATCH_FOLDERS)
        self.stdout.write(f"The watcher is running{_named(started)} and watches {folders}. Its log is {log_file()}.")

    def _watch(self) -> None:
        with ExitStack() as stack:
            try:
                stack.enter_context(background.held(pid_file()))
            except OSError as error:
                raise CommandError(f"{pid_file()} cannot be used ({os.strerror(error.errno or 0)}).") from None
            except background.AlreadyRunning:
                found = background.holder(pid_file())
                raise CommandError(
                    f"The watcher is running already{_named(found)}. Stop it with watcher_stop."
                ) from None
            daemon = make_daemon()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, daemon.stop)
            daemon.run()


def _named(found: background.Holder | None) -> str:
    return f" (pid {found.process.pid})" if found is not None and found.process is not None else ""
