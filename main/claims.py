"""Claims: who works on a row, for how long, and how a worker that lost its lease is kept from writing.

A claim is one short conditional UPDATE with a fresh fencing token. Every later write of the stage goes through
`Claim.hold` or `Claim.finish`, which say `WHERE id IN … AND token = …`.

Small rows are claimed in company: several with one token, so that they share the statements and commits of a stage.
They are held and lost as one. What breaks a stage off parts them, and each goes on alone: then it shows which it was.

Locks are taken in one order everywhere: a parent before its children (Batch, Subject, Study, Series, then Image, Release,
Delivery, then Destination), and rows of one kind by their ids (`locked`). So nobody waits for each other.
"""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import F, Model, QuerySet
from django.utils import timezone

from main.errors import LostLease
from main.models.work import Work

W = TypeVar("W", bound=Work)
M = TypeVar("M", bound=Model)

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

# Rows that a claim chooses from, and of how many it takes one at random, so that workers seldom want the same.
_CANDIDATES, _FIRST = 64, 8

# What is claimed in company has no more than this together.
COMPANY_IMAGES, COMPANY_BYTES = 64, 256_000_000

# In `in_hand` of a row that may have broken off the work on others: nobody goes with it until it got on.
ALONE = "alone"

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


def locked(rows: QuerySet[M]) -> list[M]:
    """`rows`, locked for this transaction in the order of their ids; what refers to them may still be added by others."""
    return list(rows.order_by("pk").select_for_update(no_key=True))


@dataclass
class Claim(Generic[W]):
    """What this worker holds until its lease ends: one row, or several small ones."""

    rows: list[W]
    token: uuid.UUID

    def __post_init__(self) -> None:
        self._suspect = (self.rows[0].in_hand, self.rows[0].deaths_in_hand)

    @property
    def row(self) -> W:
        """The row of a claim of one."""
        [row] = self.rows
        return row

    @property
    def in_company(self) -> bool:
        """Whether several rows are held."""
        return len(self.rows) > 1

    def take_in_hand(self, name: str, size: int = 0, seconds: float = 0.0) -> bool:
        """Note that item `name` is in hand; False when it was so at too many deaths of its worker.

        Costs nothing for small items until the row has failed once: only then is it written down which one is in hand. The
        lease is longer for an item of `size` bytes that takes long, and by `seconds` for one that takes long otherwise.
        """
        more = size / SLOWEST + seconds
        if self.in_company or self.row.attempts <= 1:
            if more > settings.SENDIT_LEASE_SECONDS / 4:
                self._write(self.rows, due_at=lease_end(more))
            return True
        suspect, before = self._suspect
        deaths = before + 1 if suspect == name else 0
        if deaths >= DEATHS:
            self.hold(in_hand="", deaths_in_hand=0)
            return False
        self._write(self.rows, due_at=lease_end(more), in_hand=name, deaths_in_hand=deaths)
        return True

    def hold(self, **changes: Any) -> None:
        """Renew the lease and write `changes`. Call it in each transaction of the stage, before anything below the rows.

        Raises
        ------
        LostLease
            If another worker holds one of the rows now.
        """
        self._write(self.rows, due_at=lease_end(), **changes)

    def finish(self, due_at: datetime | None = None, rows: Sequence[W] | None = None, **changes: Any) -> None:
        """Let go of `rows` (by default of all) with `changes`; they are due at `due_at` (None: when somebody says so)."""
        self._write(self.rows if rows is None else rows, due_at=due_at, token=None, **changes)

    def progress(self, **changes: Any) -> None:
        """`hold`, and forget earlier failures: something durable was done."""
        self.hold(attempts=1, in_hand="", deaths_in_hand=0, error_code="", error="", **changes)

    def _write(self, rows: Sequence[W], **changes: Any) -> None:
        held = type(rows[0])._default_manager.filter(pk__in=[row.pk for row in rows])
        if not _FENCE_OFF:
            held = held.filter(token=self.token)
        with transaction.atomic(savepoint=False):
            if len(rows) > 1:
                locked(held.only("pk"))
            written = held.update(**changes)
        if written != len(rows):
            raise LostLease
        for row in rows:
            for name, value in changes.items():
                setattr(row, name, value)


def claim(model: type[W], stage: str, pk: int | None = None) -> Claim[W] | None:
    """Claim a row of `stage` that is due (one of the oldest), and small ones with it; None when nothing is due.

    The claim counts an attempt, so that an item that kills its worker is counted too.
    """
    due = model._default_manager.filter(stage=stage, due_at__lte=timezone.now())
    if pk is not None:
        due = due.filter(pk=pk)
    while candidates := list(due.order_by("due_at")[:_CANDIDATES]):
        token = uuid.uuid4()
        with transaction.atomic():
            rows = locked(due.filter(pk__in=_company(candidates)))
            won = due.filter(pk__in=[row.pk for row in rows])
            won.update(token=token, due_at=lease_end(), attempts=F("attempts") + 1)
        if rows:  # else others were quicker
            for row in rows:
                row.token, row.attempts = token, row.attempts + 1
            return Claim(rows, token)
    return None


def _company(candidates: Sequence[W]) -> list[int]:
    """Ids of what is claimed together: one of the oldest, and small ones that fail nobody as far as is known."""
    first = random.choice(candidates[:_FIRST])
    chosen = [first.pk]
    images, size = first.load
    for row in candidates if _sociable(first) else ():
        more, larger = row.load
        if row is first or row.kin != first.kin or not _sociable(row):
            continue
        if images + more > COMPANY_IMAGES or size + larger > COMPANY_BYTES:
            continue
        chosen.append(row.pk)
        images, size = images + more, size + larger
    return chosen


def _sociable(row: Work) -> bool:
    """Whether nobody died with the row in hands, and it broke nothing off."""
    return row.token is None and not row.in_hand
