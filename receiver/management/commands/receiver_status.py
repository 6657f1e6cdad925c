"""`receiver_status`: whether the receiver runs, where it listens, and what is coming in."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error

from main import access, associations, background
from main.models import Heartbeat
from receiver.wiring import listening, pid_file

NOT_RUNNING = 3  # as for service scripts (LSB)


class Command(BaseCommand):
    """Show the state of the receiver."""

    help = "Say whether the receiver runs, where it listens and what is coming in. Exit code 0 if it runs, 3 if not."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the state."""
        found = background.holder(pid_file())
        running = found is not None
        facts: dict[str, Any] = {
            "running": running,
            "pid": found.process.pid if found is not None and found.process is not None else None,
            "ae_title": settings.DICOM_AE_TITLE,
            "listening": listening(),
            **_told(running),
        }
        self.stdout.write(json.dumps(facts, indent=2) if options["json"] else "\n".join(_lines(facts)))
        if not running:
            sys.exit(NOT_RUNNING)


def _told(running: bool) -> dict[str, Any]:
    """What the processes wrote into the database; nothing while that is away."""
    try:
        beats = Heartbeat.objects.filter(kind="receiver").order_by("name") if running else []
        return {
            "processes": [{"name": one.name, "at": one.at.isoformat(timespec="seconds"), **one.facts} for one in beats],
            "associations": [
                {
                    "node": one.name,
                    "address": one.address,
                    "calling_ae_title": one.calling_ae_title,
                    "instances": one.instances,
                    "bytes": one.size,
                    "refused": one.refused,
                    "per_second": one.per_second,
                }
                for one in associations.open_now()
            ],
            "notes": access.notes(),
        }
    except Error:
        return {"processes": [], "associations": [], "notes": ["The database does not answer."]}


def _lines(facts: dict[str, Any]) -> list[str]:
    lines = [f"The receiver is {'' if facts['running'] else 'not '}running{_pid(facts['pid'])}."]
    lines.append(f"  {facts['ae_title']}, {', '.join(facts['listening']) or 'no port'}")
    for one in facts["processes"]:
        full = "" if one["room"] else ", DISK NEARLY FULL: everything is refused"
        lines.append(
            f"  {one['name']}: {one['associations']} open, {one['instances']} taken, {one['refused']} refused"
            f"{full} (at {one['at']})"
        )
    for one in facts["associations"]:
        lines.append(
            f"    {one['node']} from {one['address']}: {one['instances']} images, {one['per_second']:g} a second, "
            f"{one['refused']} refused"
        )
    return [*lines, *(f"  {note}" for note in facts["notes"])]


def _pid(pid: int | None) -> str:
    return f" (pid {pid})" if pid else ""
