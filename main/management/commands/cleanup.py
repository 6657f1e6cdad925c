"""`manage.py cleanup`: remove what every destination has proven, now."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from main.management.commands._base import NodeCommand
from main.pipeline.cleanup import removable
from main.work import work_one


class Command(NodeCommand):
    """Clean up."""

    help = "Remove originals, releases and rows of series that are proven and whose retention time is over."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--dry-run`."""
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="say what would go, remove nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Clean up, or say what would go."""
        found = removable()
        if options["dry_run"]:
            off = "" if settings.SENDIT_CLEANUP else " Nothing goes by itself: SENDIT_CLEANUP is off."
            text = f"{found['series']} series, {found['images']} images, {found['bytes'] / 1e6:.1f} MB would go.{off}"
            self.show(options, found, [text])
            return
        if not settings.SENDIT_CLEANUP:
            raise CommandError("SENDIT_CLEANUP is off: nothing is removed. Set it to yes first.", returncode=2)
        removed = 0
        while work_one("cleanup"):
            removed += 1
        self.show(options, {"series": removed}, [f"{removed} series cleaned up."])
