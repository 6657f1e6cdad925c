"""Claims: who works on a row, for how long, and how a worker that lost its lease is kept from writing.

A claim is one short conditional UPDATE with a fresh fencing token. Every later write of the stage goes through
`Claim.hold` or `Claim.finish`, which say `WHERE id = … AND token = …`.
"""

from __future__ import annotations

import os
import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from main.errors import LostLease
from main.models.work import Work

W = TypeVar("W", bound=Work)

# The columns of a row that nobody holds and against which nothing is held.
ANEW: dict[str, Any] = {
    "token": None,
    "attempts": 0,
    "in_hand": "",
    "deaths_in_hand": 0,
    "error_code": "",
    "error": "",
}

# For the test that proves the fence holds: with it off, a worker that lost its lease goes on writing.
_FENCE_OFF = os.environ.get("SENDIT_TEST_FENCE_OFF") == "1"

_CANDIDATES = 8

# How often the same item may be in hand when its worker dies.
DEATHS = 3

# Bytes a second below which a worker may lose what it works on to another one: its lease is longer by the size.
SLOWEST = 1_000_000


def lease_end(more: float = 0.0) -> datetime:
    """When a lease taken now ends, `more` seconds later than most."""
    return timezone.now() + timedelta(seconds=settings.SENDIT_LEASE_SECONDS + more)


def backoff(attempts: int) -> datetime:
    """When to try again after `attempts` failed tries: doubling waits with jitter, bounded by the setting."""
    wait = min(settings.SENDIT_RETRY_SECONDS * 2 ** min(attempts - 1, 20), settings.SENDIT_RETRY_MAX_SECONDS)
    return timezone.now() + timedelta(seconds=wait * random.uniform(0.75, 1.25))


@dataclass
class Claim(Generic[W]):
    """A row held by this worker until its lease ends."""

    row: W
    token: uuid.UUID

    def __post_init__(self) -> None:
        self._suspect = (self.row.in_hand, self.row.deaths_in_hand)

    def take_in_hand(self, name: str, size: int = 0) -> bool:
        """Note that item `name` of the row is in hand; False when it was so at too many deaths of its worker.

        Costs nothing for small items until the row has failed once: only then is it written down which one is in hand. The
        lease is longer for an item of `size` bytes that takes long.
        """
        more = size / SLOWEST
        if self.row.attempts <= 1:
            if more > settings.SENDIT_LEASE_SECONDS / 4:
                self._write(due_at=lease_end(more))
            return True
        suspect, before = self._suspect
        deaths = before + 1 if suspect == name else 0
        if deaths >= DEATHS:
            self.hold(in_hand="", deaths_in_hand=0)
            return False
        self._write(due_at=lease_end(more), in_hand=name, deaths_in_hand=deaths)
        return True

    def hold(self, **changes: Any) -> None:
        """Renew the lease and write `changes`. Call it first in each transaction of the stage.

        Raises
        ------
        LostLease
            If another worker holds the row now.
        """
        self._write(due_at=lease_end(), **changes)

    def finish(self, due_at: datetime | None = None, **changes: Any) -> None:
        """Let go of the row with `changes`; it is due again at `due_at` (None: when somebody makes it due)."""
        self._write(due_at=due_at, token=None, **changes)

    def progress(self, **changes: Any) -> None:
        """`hold`, and forget earlier failures: something durable was done."""
        self.hold(attempts=1, in_hand="", deaths_in_hand=0, error_code="", error="", **changes)

    def _write(self, **changes: Any) -> None:
        rows = type(self.row)._default_manager.filter(pk=self.row.pk)
        if not _FENCE_OFF:
            rows = rows.filter(token=self.token)
        if not rows.update(**changes):
            raise LostLease
        for name, value in changes.items():
            setattr(self.row, name, value)


def claim(model: type[W], stage: str, pk: int | None = None) -> Claim[W] | None:
    """Claim a row of `stage` that is due (the oldest first), or None when nothing is.

    The claim counts an attempt, so that an item that kills its worker is counted too.
    """
    now = timezone.now()
    due = model._default_manager.filter(stage=stage, due_at__lte=now)
    if pk is not None:
        due = due.filter(pk=pk)
    candidates = list(due.order_by("due_at").values_list("pk", "token")[:_CANDIDATES])
    random.shuffle(candidates)
    for key, seen in candidates:
        token = uuid.uuid4()
        won = due.filter(pk=key, token=seen).update(token=token, due_at=lease_end(), attempts=F("attempts") + 1)
        if won:
            return Claim(model._default_manager.get(pk=key), token)
    return None
