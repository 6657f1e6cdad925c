"""The associations that the receiver has open now: written by its processes every other second, read by pages.

One row a process, written in one statement; a process that falls silent is soon shown no more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from django.utils import timezone

from main.models import ReceiverProcess
from main.refusals import printable

SILENT_AFTER = timedelta(seconds=15)
IDLE_EVERY = 5.0


class Live(Protocol):
    """An association as the receiver counts it; `since` and `last` are seconds since 1970, `last` 0 before the first."""

    association: str
    node: int | None
    name: str
    address: str
    calling_ae_title: str
    since: float
    instances: int
    size: int
    refused: int
    last: float


@dataclass(frozen=True)
class Association:
    """An association that is open now. Address and title are foreign text.

    `per_second` and `bytes_per_second` are those of the last seconds.
    """

    association: str
    node: int | None
    name: str
    address: str
    calling_ae_title: str
    since: float
    instances: int
    size: int
    refused: int
    last: float
    per_second: float
    bytes_per_second: float

    @property
    def opened_at(self) -> datetime:
        """When it was opened."""
        return datetime.fromtimestamp(self.since, UTC)

    @property
    def last_at(self) -> datetime | None:
        """When its last image came."""
        return datetime.fromtimestamp(self.last, UTC) if self.last else None


@dataclass(frozen=True)
class Process:
    """A receiver process that is alive."""

    name: str
    at: datetime
    listening: list[str]
    associations: list[Association]


class Reporter:
    """Writes what one process has open, and how fast it has come since the last time.

    Parameters
    ----------
    process : str
        Its name, the same after a restart.
    listening : sequence of str
        Where it listens, for people: ``DICOM on 0.0.0.0:11112``.
    """

    def __init__(self, process: str, listening: Sequence[str] = ()) -> None:
        self._process, self._listening = process[:80], list(listening)
        self._before: dict[str, tuple[float, int, int]] = {}
        self._written: tuple[float, list[dict[str, Any]]] | None = None
        self._lock = threading.Lock()

    def report(self, live: Sequence[Live]) -> None:
        """Write; what has not changed is written only every few seconds, as a sign of life."""
        now = time.monotonic()
        with self._lock:
            rows = [asdict(self._measured(one, now)) for one in live]
            self._before = {one.association: (now, one.instances, one.size) for one in live}
            if self._written and rows == self._written[1] and now - self._written[0] < IDLE_EVERY:
                return
            ReceiverProcess.objects.bulk_create(
                [ReceiverProcess(name=self._process, at=timezone.now(), listening=self._listening, associations=rows)],
                update_conflicts=True,
                unique_fields=["name"],
                update_fields=["at", "listening", "associations"],
            )
            self._written = now, rows

    def gone(self) -> None:
        """Take the row away: the process ends in order."""
        ReceiverProcess.objects.filter(name=self._process).delete()

    def _measured(self, one: Live, now: float) -> Association:
        at, instances, size = self._before.get(one.association, (now - max(1.0, time.time() - one.since), 0, 0))
        seconds = max(0.1, now - at)
        return Association(
            one.association,
            one.node,
            one.name,
            printable(one.address, 64),
            printable(one.calling_ae_title, 16),
            one.since,
            one.instances,
            one.size,
            one.refused,
            one.last,
            round((one.instances - instances) / seconds, 1),
            round((one.size - size) / seconds),
        )


def processes() -> list[Process]:
    """Return the processes that are alive, by name, each with its associations, the oldest first."""
    rows = ReceiverProcess.objects.filter(at__gt=timezone.now() - SILENT_AFTER).order_by("name")
    return [
        Process(
            row.name,
            row.at,
            row.listening,
            sorted((Association(**one) for one in row.associations), key=lambda one: one.since),
        )
        for row in rows
    ]


def open_now() -> list[Association]:
    """Return the associations of all processes, the oldest first."""
    found = [one for process in processes() for one in process.associations]
    return sorted(found, key=lambda one: one.since)
