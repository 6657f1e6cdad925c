"""`manage.py demo`: an invented patient's study goes the whole way through the node, before your eyes."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from deidentify.compare import Change
from main.demo import find_secrets, write_study
from main.management.commands._base import LOOK, UNFINISHED, NodeCommand
from main.models import Batch, Destination, Image, Release
from main.models.imaging import Status
from main.overview import balance, in_flight
from main.pipeline.register import original
from main.pipeline.release import deidentifier

TMP = ".tmp1"
SHOWN = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "AccessionNumber",
    "ReferringPhysicianName",
    "InstitutionName",
    "StudyDate",
    "StudyDescription",
    "StudyInstanceUID",
    "SOPInstanceUID",
    "Modality",
    "SliceThickness",
    "PatientIdentityRemoved",
)


class Command(NodeCommand):
    """Run the demonstration."""

    help = "Send a synthetic study the whole way; show its header before and after; prove that nobody is in it."
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the size and the patience."""
        super().add_arguments(parser)
        parser.add_argument("--images", type=int, default=24)
        parser.add_argument("--timeout", type=float, default=120.0)

    def handle(self, *args: Any, **options: Any) -> None:
        """Drop, wait, show, prove. Exit 1: something of the patient was found; 3: it did not get through in time."""
        console = Console(stderr=options["as_json"])
        with _running_node(console, options["timeout"]):
            self.prepare()
            name = f"DEMO-{uuid.uuid4().hex[:8]}"
            inbox = settings.WATCH_FOLDERS[0].path
            before = Batch.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
            secrets = write_study(inbox / f"{name}{TMP}", options["images"])
            (inbox / f"{name}{TMP}").rename(inbox / name)
            console.print(f"Dropped {options['images']} images of an invented patient as {inbox / name}")
            batch = self._follow(console, before, options["images"], options["timeout"])
        releases = list(Release.objects.filter(image__batch=batch).select_related("image__batch"))
        changes = _changes(releases[0]) if releases else []
        console.print(_table(changes))
        out = [release.path for release in releases] + self._delivered(releases)
        found = list(find_secrets(out, secrets))
        counts = balance(batch)
        through = counts.get(Status.SENT, 0) == options["images"] and bool(releases)
        facts = {"batch": batch.pk, "searched": len(out), "values": len(secrets), "found": len(found), **counts}
        verdict = f"Searched {len(out)} files for {len(secrets)} values of the patient: {len(found)} found."
        self.show(options, facts, [verdict, *self._places(releases)])
        self.end(LOOK if found or not through else 0)

    def _follow(self, console: Console, before: int, images: int, seconds: float) -> Batch:
        until = time.monotonic() + seconds
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
            bars = {
                "registered": progress.add_task("registered", total=images),
                "released": progress.add_task("de-identified", total=images),
                "sent": progress.add_task("arrived and proven", total=images),
            }
            while time.monotonic() < until:
                batch = Batch.objects.filter(pk__gt=before).order_by("pk").last()
                own = Image.objects.filter(batch=batch) if batch else Image.objects.none()
                released = own.filter(status__in=[Status.DONEPROCESSING, Status.SENT, Status.DONE]).count()
                progress.update(bars["registered"], completed=own.count())
                progress.update(bars["released"], completed=released)
                progress.update(bars["sent"], completed=own.filter(status__in=[Status.SENT, Status.DONE]).count())
                if batch and not batch.stage and not in_flight(batch):
                    return batch
                time.sleep(0.1)  # follows what other processes do
        raise CommandError("It did not get through in time: see `manage.py status`.", returncode=UNFINISHED)

    def _delivered(self, releases: list[Release]) -> list[Path]:
        roots = [Path(one.settings["path"]) for one in _folders()]
        names = [f"{r.study_instance_uid}/{r.series_instance_uid}/{r.sop_instance_uid}.dcm" for r in releases]
        return [root / name for root in roots for name in names]

    def _places(self, releases: list[Release]) -> list[str]:
        return [
            f"The de-identified study is in {Path(one.settings['path']) / releases[0].study_instance_uid}"
            for one in _folders()
            if releases
        ]


def _folders() -> Any:
    return Destination.objects.filter(enabled=True, kind="folder")


def _changes(release: Release) -> list[Change]:
    return deidentifier(release.recipe, release.image.series.project).compare(original(release.image), release.path)


def _table(changes: list[Change]) -> Table:
    table = Table(title="The header of one image, before and after (some of its elements)", title_justify="left")
    for heading in ("element", "before", "after", "rule"):
        table.add_column(heading, overflow="fold")
    for change in changes:
        if change.keyword in SHOWN and change.path.count("[") == 0:
            table.add_row(change.keyword, change.before, change.after, change.rule)
    table.caption = f"{sum(change.kind != 'kept' for change in changes)} of {len(changes)} elements were changed"
    return table


@contextmanager
def _running_node(console: Console, seconds: float) -> Iterator[None]:
    """The node that runs on this data folder, or one of our own for as long as the demonstration takes."""
    if _node_runs():
        yield
        return
    console.print("No node is running here: starting one for the demonstration.")
    command = [sys.executable, sys.argv[0], "node", "--without", "web", "--without", "receiver"]
    with open(settings.LOGS_DIR / "demo.log", "ab") as log:
        node = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            until = time.monotonic() + seconds
            while not (_node_runs() and (settings.RUN_DIR / "node.json").exists()):
                if node.poll() is not None or time.monotonic() > until:
                    raise CommandError("The node does not start: see logs/demo.log in the data folder.", returncode=2)
                time.sleep(0.1)  # waits until it has migrated the database and started its programs
            yield
        finally:
            node.send_signal(signal.SIGTERM)
            node.wait(30)


def _node_runs() -> bool:
    try:
        with open(settings.RUN_DIR / "node.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
