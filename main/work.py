"""What a worker does when a bell rings: claim what is due, run its stage, write how it ended, until nothing is left.

One table says which stage claims which rows; errors become waiting, quarantine or a stop here and nowhere else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db import Error, OperationalError, transaction
from django.utils import timezone

from main import bells, states
from main.claims import ALONE, Claim, backoff, claim
from main.errors import LostLease, Permanent, Quarantine, describe, goes_away
from main.history import record, record_each
from main.models import Batch, CommitmentRequest, Image, Series
from main.models.imaging import Status
from main.models.work import Work
from main.pipeline.cleanup import cleanup
from main.pipeline.commitment import answer
from main.pipeline.deidentify import deidentify
from main.pipeline.deliver import deliver_next
from main.pipeline.identify import identify
from main.pipeline.register import register

log = logging.getLogger(__name__)

# After so many claims without any progress a series is set aside for a person: it is not an error that goes away.
MAX_ATTEMPTS = 25
PATIENT_ATTEMPTS = 15


@dataclass(frozen=True)
class Stage:
    """A stage that claims rows of `model`."""

    model: type[Work]
    run: Callable[[Claim[Any]], None]


STAGES: dict[str, Stage] = {
    "register": Stage(Batch, register),
    "identify": Stage(Series, identify),
    "deidentify": Stage(Series, deidentify),
    "commitment": Stage(CommitmentRequest, answer),
    "cleanup": Stage(Series, cleanup),
}
ORDER = ("register", "identify", "deidentify", "deliver", "commitment", "cleanup")


def drain(first: str = "register", seconds: float = 30.0) -> bool:
    """Work from stage `first` on to the last until nothing is due (True) or `seconds` have passed (False)."""
    until = time.monotonic() + seconds
    stages = ORDER[ORDER.index(first) :]
    while sum(work_one(stage) for stage in stages):
        if time.monotonic() > until:
            return False
    return True


def work_one(stage: str, pk: int | None = None) -> bool:
    """Claim an item of `stage` (or the item `pk`), small ones in company, and run it; False when nothing was due."""
    if stage == "deliver":
        return deliver_next(pk)
    held = claim(STAGES[stage].model, stage, pk)
    if held is None:
        return False
    run(held, stage)
    return True


def run(held: Claim[Any], stage: str) -> None:
    """Run `stage` on a claimed row and write how it ended."""
    try:
        if _tries(held) > MAX_ATTEMPTS:
            raise Permanent("no-progress", f"{MAX_ATTEMPTS} tries made no progress. Look at its history, then requeue.")
        STAGES[stage].run(held)
    except LostLease:
        _say_lost(held)
    except OperationalError:
        with suppress(Error):  # a deadlock's victim goes on soon; if the database is away, the lease ends by itself
            _end(held, _wait, "database", "The database broke the work off; it is tried again.")
        raise
    except (Permanent, Quarantine) as error:
        _end(held, _set_aside, error.code, error.sentence)
    except Exception as error:  # noqa: BLE001 - whatever a stage raises becomes a visible state of its item
        code, sentence = describe(error)
        if code == "internal-error":
            log.error("%s of %s: %s", stage, _names(held), sentence)
        if goes_away(error):
            _end(held, _wait, code, sentence)
        else:
            _end(held, _postpone, code, sentence)


def _end(held: Claim[Any], write: Callable[[Claim[Any], str, str], None], code: str, sentence: str) -> None:
    if held.in_company and write is not _wait:
        write = _part
    try:
        with transaction.atomic():
            write(held, code, sentence)
    except LostLease:
        _say_lost(held)


def _say_lost(held: Claim[Any]) -> None:
    log.info("%s: the lease went to another worker.", _names(held))


def _names(held: Claim[Any]) -> str:
    others = f" and {len(held.rows) - 1} others" if held.in_company else ""
    return f"{held.rows[0]._meta.model_name} {held.rows[0].pk}{others}"


def _tries(held: Claim[Any]) -> int:
    return max(row.attempts for row in held.rows)


def _part(held: Claim[Any], code: str, sentence: str) -> None:
    """What broke off the work on several rows may concern only one of them: each is tried alone, now."""
    held.finish(due_at=timezone.now(), in_hand=ALONE, deaths_in_hand=0)
    for stage in {row.stage for row in held.rows}:
        bells.ring(stage)


def _wait(held: Claim[Any], code: str, sentence: str) -> None:
    """Try again later; waiting for something that goes away by itself is no lack of progress, however long it takes."""
    _try_later(held, code, sentence, in_hand="", deaths_in_hand=0, attempts=min(_tries(held), PATIENT_ATTEMPTS))


def _postpone(held: Claim[Any], code: str, sentence: str) -> None:
    """Try again later, alone."""
    _try_later(held, code, sentence, in_hand=held.row.in_hand or ALONE)


def _try_later(held: Claim[Any], code: str, sentence: str, **changes: Any) -> None:
    untold = [row.pk for row in held.rows if row.error_code != code]
    if isinstance(held.rows[0], Series):
        record_each("waiting", dict.fromkeys(untold, 0), code=code, sentence=sentence)
    elif untold:
        record("waiting", batch_id=_batch_id(held.row), code=code, sentence=sentence)
    held.finish(due_at=backoff(_tries(held)), error_code=code, error=sentence[:500], **changes)


def _set_aside(held: Claim[Any], code: str, sentence: str) -> None:
    """Stop working on the row until a person acts; the images of a series that are not through are quarantined."""
    row = held.row
    held.finish(error_code=code, error=sentence[:500])
    if isinstance(row, Series):
        waiting = Image.objects.filter(status__in=[Status.NEW, Status.PROCESSING])
        states.move(row, waiting, Status.QUARANTINED, code=code, sentence=sentence)
    else:
        record("stopped", batch_id=_batch_id(row), code=code, sentence=sentence)


def _batch_id(row: Work) -> int | None:
    return row.pk if isinstance(row, Batch) else None
