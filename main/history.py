"""Adds events to the history. Nothing else writes there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone

from main.models import Event


def record(kind: str, **facts: Any) -> None:
    """Add one event, in the caller's transaction.

    Parameters
    ----------
    kind : str
        What happened.
    **facts
        Columns of the event; `sentence` holds no patient's value (see `main/errors.py`).
    """
    _event(kind, **facts).save()


def record_each(kind: str, counts: Mapping[int, int], **facts: Any) -> None:
    """Add an event for each series in `counts`, with its count, in as few statements as the database takes."""
    Event.objects.bulk_create(_event(kind, series_id=pk, count=count, **facts) for pk, count in sorted(counts.items()))


def _event(
    kind: str,
    *,
    actor: str = "sendit",
    batch_id: int | None = None,
    series_id: int | None = None,
    node_id: int | None = None,
    destination: str = "",
    from_status: str = "",
    to_status: str = "",
    count: int = 0,
    code: str = "",
    sentence: str = "",
    names: Sequence[str] | None = None,
) -> Event:
    return Event(
        at=timezone.now(),
        kind=kind,
        actor=actor[:64],
        batch_id=batch_id,
        series_id=series_id,
        node_id=node_id,
        destination=destination,
        from_status=from_status,
        to_status=to_status,
        count=count,
        code=code[:40],
        sentence=sentence[:500],
        names=None if names is None else list(names),
    )
