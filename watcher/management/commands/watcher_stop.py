"""`watcher_stop`: end the watcher that runs on this data folder."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from main import background
from watcher.wiring import pid_file


class Command(BaseCommand):
    """Stop the watch over the folders."""

    help = (
        "Stop the watcher. It finishes the drop that it is taking; after --timeout it is forced, which loses nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for it (default 30)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Stop; a watcher that does not run is success."""
        found = background.holder(pid_file())
        if found is None:
            self.stdout.write("The watcher is not running.")
            return
        if found.process is None:
            raise CommandError("The watcher is only just starting. Try again in a moment.")
        if not found.is_here:
            raise CommandError("The watcher runs in another container or on another host. Stop it there.")
        if background.end(found.process, options["timeout"]):
            self.stdout.write(f"The watcher (pid {found.process.pid}) has stopped.")
        else:
            self.stdout.write(
                f"The watcher (pid {found.process.pid}) did not stop within {options['timeout']:g} s and was killed."
            )
