"""`receiver_start`: take what modalities and PACS send, in the background or in this terminal."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dimse.errors import DimseError
from main import access, background
from receiver.wiring import NoPort, listening, log_file, make_family, pid_file, require_ports, tls_context

LAUNCH_SECONDS = 30.0


class Command(BaseCommand):
    """Start the DICOM receiver."""

    help = (
        "Take what modalities and PACS send by DICOM (C-STORE) on DICOM_PORT and DICOM_TLS_PORT. Goes to the "
        "background unless --foreground."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--foreground", action="store_true", help="stay in this terminal until SIGTERM or Ctrl-C")

    def handle(self, *args: Any, **options: Any) -> None:
        """Start; a receiver that runs already is success, except in the foreground."""
        for note in settings.ENVIRONMENT.notes:
            self.stderr.write(note)
        found = background.holder(pid_file())
        if options["foreground"]:
            self._receive(found)
            return
        if found is not None:
            self.stdout.write(f"The receiver is running already{_named(found)}.")
            return
        started = background.launch(["receiver_start", "--foreground"], log_file(), pid_file(), LAUNCH_SECONDS)
        if isinstance(started, str):
            raise CommandError(f"The receiver did not start. Its log ({log_file()}) says:\n{started}")
        self.stdout.write(
            f"The receiver is running{_named(started)} as {settings.DICOM_AE_TITLE}, {', '.join(listening())}. "
            f"Its log is {log_file()}."
        )
        for note in access.notes():
            self.stdout.write(note)

    def _receive(self, found: background.Holder | None) -> None:
        with ExitStack() as stack:
            try:
                if found is None:
                    require_ports()
                context = tls_context()
                stack.enter_context(background.held(pid_file()))
            except (NoPort, DimseError) as error:
                raise CommandError(str(error)) from None
            except background.AlreadyRunning:
                found = background.holder(pid_file())
                raise CommandError(
                    f"The receiver is running already{_named(found)}. Stop it with receiver_stop."
                ) from None
            except OSError as error:
                raise CommandError(f"{pid_file()} cannot be used ({os.strerror(error.errno or 0)}).") from None
            make_family(context).run()


def _named(found: background.Holder | None) -> str:
    return f" (pid {found.process.pid})" if found is not None and found.process is not None else ""
