"""Counts wrong passwords per address, in the database, so that the limit holds across processes."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.http import HttpRequest
from django.utils import timezone

from main.clients import source
from web.models import Attempt

TRIES = 10
WINDOW = timedelta(minutes=5)


def begin(request: HttpRequest, what: str) -> tuple[Attempt | None, int]:
    """Count a try before it is looked at.

    Returns
    -------
    attempt : Attempt or None
        To be given to `succeeded` if it was right; None when there are no tries left.
    retry_after : int
        Seconds until there is one again, if none is left.
    """
    address, now = source(request), timezone.now()
    recent = Attempt.objects.filter(what=what, address=address, at__gt=now - WINDOW)
    if (wait := _wait(list(recent.order_by("-at").values_list("at", flat=True)[:TRIES]), now)) > 0:
        return None, wait
    attempt = Attempt.objects.create(what=what, address=address, at=now)
    # Counted again with this one in it: of several processes that came this far at once, none gets a try too many.
    if recent.count() > TRIES:
        return None, 1
    Attempt.objects.filter(at__lt=now - WINDOW).delete()
    return attempt, 0


def succeeded(attempt: Attempt) -> None:
    """A try that was right does not count. The wrong ones before it do."""
    Attempt.objects.filter(pk=attempt.pk).delete()


def _wait(tries: list[datetime], now: datetime) -> int:
    if len(tries) < TRIES:
        return 0
    return max(1, int((tries[-1] + WINDOW - now).total_seconds()) + 1)
