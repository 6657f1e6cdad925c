"""`manage.py restore FILE_OR_FOLDER OUT --reason TEXT`: make the originals of released files again, on the record.

`dicom-restore` is the same for people who know DICOM Receiver (`main/restore_command.py`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from main.management.commands._base import LOOK, NodeCommand, system_user
from main.patient_info_map import Known, read_map, restore_by_map
from main.restoring import LONGEST_REASON, RESTORED, THERE, Outcome, files, restore_files


class Command(NodeCommand):
    """Restore originals."""

    help = "Make the originals of released files again; off until SENDIT_RESTORE=yes. Interrupted, it goes on."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what is restored, where to, and why."""
        super().add_arguments(parser)
        parser.add_argument("source", type=Path, metavar="FILE_OR_FOLDER", help="released files")
        parser.add_argument(
            "target", type=Path, metavar="OUT", help="folder for the originals; of a single file also its new name"
        )
        parser.add_argument("--reason", help="why; it goes into the history, so no patient's value in it")
        parser.add_argument(
            "--map-file",
            type=Path,
            metavar="FILE",
            help="patient_info_map.json of DICOM Receiver, in place of the vault",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore, and list what was not. Exit 1: a file is not known, or does not fit."""
        source, target = options["source"], options["target"]
        if not settings.SENDIT_RESTORE:
            raise CommandError("Nothing is restored while SENDIT_RESTORE is off: set it to yes first.", returncode=2)
        _require_places(source, target)
        known = _map(options["map_file"])
        reason = _reason(options["reason"])
        self.prepare()
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        console = Console(stderr=True)
        with Progress(*columns, TimeElapsedColumn(), console=console, disable=options["as_json"]) as progress:
            bar = progress.add_task("restoring", total=len(files(source)))
            who = system_user()
            made = (
                restore_files(source, target, reason, who)
                if known is None
                else restore_by_map(source, target, known, reason, who)
            )
            outcomes = list[Outcome]()
            for outcome in made:
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


def _map(path: Path | None) -> Known | None:
    try:
        return None if path is None else read_map(path)
    except ValueError as error:
        raise CommandError(str(error), returncode=LOOK) from None


def _reason(given: str | None) -> str:
    """Return the reason; without one a person at a terminal is asked."""
    reason = " ".join((input("Reason: ") if given is None and sys.stdin.isatty() else given or "").split())
    if not 1 <= len(reason) <= LONGEST_REASON:
        raise CommandError(f"Give a reason of 1 to {LONGEST_REASON} characters, with --reason.", returncode=2)
    return reason


def _require_places(source: Path, target: Path) -> None:
    """Refuse what is not there, and a place from where the originals would be taken in or released files mixed up."""
    if not source.exists():
        raise CommandError("There is no such file or folder to restore.", returncode=2)
    if source.is_dir() and target.exists() and not target.is_dir():
        raise CommandError("OUT is a folder for the originals, and there is a file.", returncode=2)
    place = target.resolve()
    for folder in (source, settings.DATA_DIR, *(one.path for one in settings.WATCH_FOLDERS)):
        if place.is_relative_to(folder.resolve()):
            raise CommandError(
                "OUT lies in the released files, in the data folder or in a watched one: choose another.", returncode=2
            )
