"""`manage.py export_map FILE`: the identity map in a sealed file for another node, or as a table for those who may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from main import map_export
from main.management.commands._base import NodeCommand, system_user
from main.management.commands._map import add_secret, counting, secret
from main.models import Pseudonym
from main.restoring import LONGEST_REASON


class Command(NodeCommand):
    """Export the identity map."""

    help = "Write the identity map into a sealed file for another node; --csv writes who is who as a table (SENDIT_RESTORE)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add where to, and in which form."""
        super().add_arguments(parser)
        parser.add_argument("file", type=Path, metavar="FILE", help="new file; it is not there yet")
        add_secret(parser)
        parser.add_argument("--csv", action="store_true", help="a table with original values, not sealed")
        parser.add_argument(
            "--reason", default="", help="why; needed for --csv, goes into the history: no patient's value in it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Export. Exit 2: it is not allowed, or used in another way."""
        path, reason, as_csv = options["file"], options["reason"].strip(), options["csv"]
        if as_csv and not settings.SENDIT_RESTORE:
            raise CommandError("No originals are shown while SENDIT_RESTORE is off: set it to yes first.", returncode=2)
        if as_csv and not 1 <= len(reason) <= LONGEST_REASON:
            raise CommandError(f"Give a reason of 1 to {LONGEST_REASON} characters.", returncode=2)
        if as_csv and options["key_file"] is not None:
            raise CommandError("A table is not sealed: leave --key-file out.", returncode=2)
        self.prepare()
        key = b"" if as_csv else secret(options, again=True)
        total = Pseudonym.objects.count() if as_csv else map_export.count()
        try:
            with counting("writing", total, hidden=options["as_json"]) as on_rows:
                if as_csv:
                    rows = map_export.export_csv(path, reason, system_user(), on_rows)
                else:
                    rows = map_export.export(path, key, system_user(), on_rows)
        except FileExistsError:
            raise CommandError("There is a file of this name: choose another.", returncode=2) from None
        except OSError as error:
            raise CommandError(f"The file cannot be written: {error.strerror}. There is none.", returncode=2) from None
        said = (
            "It holds original values and is not sealed: keep it as you keep the keys."
            if as_csv
            else "Who has it and its secret has the identity map. Bring keys/index.key and keys/pseudonym.key too."
        )
        self.show(options, {"rows": rows}, [f"{rows:,} rows are written. {said}"])
