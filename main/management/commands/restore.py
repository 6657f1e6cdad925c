"""`manage.py restore FILE_OR_FOLDER OUT --reason TEXT`: make the originals of released files again, on the record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from main.management.commands._base import LOOK, NodeCommand, system_user
from main.restoring import LONGEST_REASON, RESTORED, THERE, Outcome, files, restore_files


class Command(NodeCommand):
    """Restore originals."""

    help = "Make the originals of released files again; off until SENDIT_RESTORE=yes. Interrupted, it goes on."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what is restored, where to, and why."""
        super().add_arguments(parser)
        parser.add_argument("source", type=Path, metavar="FILE_OR_FOLDER", help="released files")
        parser.add_argument("target", type=Path, metavar="OUT", help="folder for the originals")
        parser.add_argument(
            "--reason", required=True, help="why; it goes into the history, so no patient's value in it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore, and list what was not. Exit 1: a file is not known, or does not fit."""
        source, target, reason = options["source"], options["target"], options["reason"].strip()
        if not settings.SENDIT_RESTORE:
            raise CommandError("Nothing is restored while SENDIT_RESTORE is off: set it to yes first.", returncode=2)
        if not 1 <= len(reason) <= LONGEST_REASON:
            raise CommandError(f"Give a reason of 1 to {LONGEST_REASON} characters.", returncode=2)
        _require_places(source, target)
        self.prepare()
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        console = Console(stderr=True)
        with Progress(*columns, TimeElapsedColumn(), console=console, disable=options["as_json"]) as progress:
            bar = progress.add_task("restoring", total=len(files(source)))
            outcomes = list[Outcome]()
            for outcome in restore_files(source, target, reason, system_user()):
                outcomes.append(outcome)
                progress.advance(bar)
        self._report(outcomes, options)

    def _report(self, outcomes: list[Outcome], options: dict[str, Any]) -> None:
        restored = sum(one.code == RESTORED for one in outcomes)
        there = sum(one.code == THERE for one in outcomes)
        noted = [one for one in outcomes if one.sentence and one.code != THERE]
        lines = [f"{one.path}: {one.sentence}" for one in noted]
        lines.append(f"{restored} of {len(outcomes)} originals are restored, {there} were there before.")
        facts = {
            "restored": restored,
            "there": there,
            "files": [{"path": str(one.path), "code": one.code, "sentence": one.sentence} for one in noted],
        }
        self.show(options, facts, lines)
        self.end(0 if outcomes and all(one.is_well for one in outcomes) else LOOK)


def _require_places(source: Path, target: Path) -> None:
    """Refuse what is not there, and a place from where the originals would be taken in or released files mixed up."""
    if not source.exists():
        raise CommandError("There is no such file or folder to restore.", returncode=2)
    if target.exists() and not target.is_dir():
        raise CommandError("OUT is a folder for the originals, and there is a file.", returncode=2)
    place = target.resolve()
    for folder in (source, settings.DATA_DIR, *(one.path for one in settings.WATCH_FOLDERS)):
        if place.is_relative_to(folder.resolve()):
            raise CommandError(
                "OUT lies in the released files, in the data folder or in a watched one: choose another.", returncode=2
            )
