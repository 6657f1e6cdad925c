"""`manage.py import_folder PATH --wait`: one folder or file through the node, without the inbox."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from main import bells, work
from main.errors import Transient
from main.management.commands._base import LOOK, UNFINISHED, NodeCommand
from main.models import Batch
from main.overview import balance, in_flight
from main.pipeline.take import take_copy
from main.projects import projects


class Command(NodeCommand):
    """Import a folder."""

    help = "Copy a folder (or file) into the node and register it; --wait shows its way to the end. The source stays."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the path and how long to wait."""
        super().add_arguments(parser)
        parser.add_argument("path", type=Path)
        parser.add_argument("--project", default="", help="the project it is for, whatever else claims it")
        parser.add_argument("--wait", action="store_true", help="work on it and wait until every file has its outcome")
        parser.add_argument("--timeout", type=float, default=3600.0, help="seconds to wait at most (default 3600)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Take a copy; with `--wait` work along until it is through. Exit 1: something is held; 3: not finished."""
        self.prepare()
        path = options["path"]
        if not path.exists():
            raise CommandError("The path does not exist.", returncode=2)
        if options["project"] and options["project"] not in projects():
            raise CommandError(f"There is no such project; there are {', '.join(sorted(projects()))}.", returncode=2)
        try:
            batch = take_copy(path, options["project"])
        except Transient as error:
            raise CommandError(error.sentence, returncode=UNFINISHED) from None
        finished = True
        if options["wait"]:
            finished = self._wait(batch, options["timeout"], quiet=options["as_json"])
        bells.flush(2.0)
        batch.refresh_from_db()
        counts = balance(batch)
        text = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
        self.show(options, {"batch": batch.pk, "finished": finished, **counts}, [f"Batch {batch.pk}: {text}"])
        held = counts.get("QUARANTINED", 0) + batch.outcomes.filter(held=True).count()
        self.end(UNFINISHED if not finished else LOOK if held else 0)

    def _wait(self, batch: Batch, seconds: float, quiet: bool) -> bool:
        until = time.monotonic() + seconds
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        with Progress(*columns, TimeElapsedColumn(), disable=quiet) as progress:
            bar = progress.add_task("registering", total=None)
            while time.monotonic() < until:
                idle = work.drain(seconds=0.5)
                batch.refresh_from_db()
                waiting = in_flight(batch)
                if not batch.stage:
                    progress.update(bar, description="on its way", total=batch.files, completed=batch.files - waiting)
                if not batch.due_at and not batch.stage and not waiting:
                    return True
                if batch.stage and batch.due_at is None:
                    return False
                if idle:
                    time.sleep(0.2)  # others work on it, or a retry is not due yet
        return False
