"""Adds events to the history. Nothing else writes there."""

from __future__ import annotations

from django.utils import timezone

from main.models import Event


def record(
    kind: str,
    *,
    actor: str = "sendit",
    batch_id: int | None = None,
    series_id: int | None = None,
    destination: str = "",
    from_status: str = "",
    to_status: str = "",
    count: int = 0,
    code: str = "",
    sentence: str = "",
) -> None:
    """Add one event, in the caller's transaction. `sentence` holds no patient's value (see `main/errors.py`)."""
    Event.objects.create(
        at=timezone.now(),
        kind=kind,
        actor=actor[:64],
        batch_id=batch_id,
        series_id=series_id,
        destination=destination,
        from_status=from_status,
        to_status=to_status,
        count=count,
        code=code[:40],
        sentence=sentence[:500],
    )
