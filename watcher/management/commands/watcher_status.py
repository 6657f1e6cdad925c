"""`watcher_status`: whether the watcher runs, and how its folders are."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error

from main import background
from main.models import Heartbeat
from watcher.daemon import labels_of
from watcher.wiring import pid_file

NOT_RUNNING = 3  # as for service scripts (LSB)


class Command(BaseCommand):
    """Show the state of the watch."""

    help = "Say whether the watcher runs and how its folders are. Exit code 0 if it runs, 3 if not."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the state."""
        found = background.holder(pid_file())
        pid = found.process.pid if found is not None and found.process is not None else None
        folders = _folders()
        if options["json"]:
            self.stdout.write(json.dumps({"running": found is not None, "pid": pid, "folders": folders}, indent=2))
        else:
            self.stdout.write(
                f"The watcher is {'not ' if found is None else ''}running{f' (pid {pid})' if pid else ''}."
            )
            for folder in folders:
                self.stdout.write(_line(folder))
        if found is None:
            sys.exit(NOT_RUNNING)


def _folders() -> list[dict[str, Any]]:
    """What the last heartbeat of each watched folder said; of a folder without one, only its name and path."""
    labels = labels_of(settings.WATCH_FOLDERS)
    try:
        beats = {row.name: row for row in Heartbeat.objects.filter(kind="watcher")}
    except Error:
        beats = {}
    return [
        {"name": label, "path": str(folder.path)}
        | ({"at": beats[label].at.isoformat(timespec="seconds")} | beats[label].facts if label in beats else {})
        for label, folder in zip(labels, settings.WATCH_FOLDERS, strict=True)
    ]


def _line(folder: dict[str, Any]) -> str:
    if "at" not in folder:
        return f"  {folder['path']}: no news of it yet"
    line = (
        f"  {folder['path']}: {folder['mode']}, last looked at {folder['last_scan'] or 'never'}; "
        f"{folder['taken']} taken, {folder['waiting']} waiting ({folder['growing']} still arriving)"
    )
    return line + "".join(f"\n    {folder[key]}" for key in ("error", "note") if folder[key])
