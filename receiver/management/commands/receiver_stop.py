"""`receiver_stop`: end the receiver that runs on this data folder."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from main import background
from receiver.wiring import pid_file


class Command(BaseCommand):
    """Stop the DICOM receiver."""

    help = (
        "Stop the receiver. It answers the images in hand first; after --timeout it is forced, which loses none that it "
        "has acknowledged."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for it (default 30)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Stop; a receiver that does not run is success."""
        found = background.holder(pid_file())
        if found is None:
            self.stdout.write("The receiver is not running.")
            return
        if found.process is None:
            raise CommandError("The receiver is only just starting. Try again in a moment.")
        if not found.is_here:
            raise CommandError("The receiver runs in another container or on another host. Stop it there.")
        if background.end(found.process, options["timeout"]):
            self.stdout.write(f"The receiver (pid {found.process.pid}) has stopped.")
        else:
            self.stdout.write(
                f"The receiver (pid {found.process.pid}) did not stop within {options['timeout']:g} s and was killed."
            )
