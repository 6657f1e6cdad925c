"""`manage.py import_map FILE`: take the identity map of another node in."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from main.management.commands._base import LOOK, NodeCommand, system_user
from main.management.commands._map import add_secret, counting, secret
from main.map_file import Unreadable
from main.map_import import Contradiction, head_of, take_in
from main.projects import projects


class Command(NodeCommand):
    """Import an identity map."""

    help = "Add the identity map that export_map wrote on another node, if nothing in it contradicts what is here."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add where from."""
        super().add_arguments(parser)
        parser.add_argument("file", type=Path, metavar="FILE", help="what export_map wrote")
        add_secret(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Import. Exit 1: the file does not open, or contradicts what is here; nothing was imported."""
        self.prepare()
        key = secret(options, again=False)
        try:
            head = head_of(options["file"], key)
            with counting("comparing, then adding", 2 * head.rows, hidden=options["as_json"]) as on_rows:
                done = take_in(options["file"], key, system_user(), on_rows)
        except (Unreadable, Contradiction) as error:
            raise CommandError(str(error), returncode=LOOK) from None
        except OSError as error:
            raise CommandError(f"The file cannot be read: {error.strerror}.", returncode=2) from None
        lines = [f"{done.added:,} rows are new, {done.there:,} were here."]
        if set(head.projects).difference(projects()):
            lines.append(
                f"They are of {', '.join(head.projects)}; this node has {', '.join(sorted(projects()))}: set SENDIT_PROJECT, or "
                "SENDIT_PROJECTS, if it is to go on with them."
            )
        self.show(options, {**asdict(done), "projects": head.projects}, lines)
