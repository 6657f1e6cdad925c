"""The status states and the only transitions allowed; the one place where the status of an image is written.

Every move is a set of images of one series, in the caller's transaction, with its event and the counts of the series.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from main.history import record
from main.models import Image, Release, Series
from main.models.imaging import Status
from main.storage import remove_files

FORWARD: dict[Status, frozenset[Status]] = {
    Status.NEW: frozenset({Status.PROCESSING, Status.QUARANTINED, Status.EXCLUDED}),
    Status.PROCESSING: frozenset({Status.DONEPROCESSING, Status.QUARANTINED, Status.EXCLUDED}),
    Status.DONEPROCESSING: frozenset({Status.SENT, Status.QUARANTINED, Status.EXCLUDED}),
    Status.SENT: frozenset({Status.DONE}),
    Status.QUARANTINED: frozenset({Status.EXCLUDED}),
    Status.EXCLUDED: frozenset(),
    Status.DONE: frozenset(),
}

# An audited replay is the only way back, and only while the original is kept.
REPLAY: dict[Status, frozenset[Status]] = {
    Status.PROCESSING: frozenset({Status.NEW}),
    Status.DONEPROCESSING: frozenset({Status.NEW, Status.PROCESSING}),
    Status.SENT: frozenset({Status.NEW, Status.PROCESSING, Status.DONEPROCESSING}),
    Status.QUARANTINED: frozenset({Status.NEW, Status.PROCESSING}),
}

_ORDER = [Status.NEW, Status.PROCESSING, Status.DONEPROCESSING, Status.SENT, Status.DONE]


class IllegalTransition(Exception):  # noqa: N818 - a fault of the caller, named for what it is
    """The move is in no table; nothing was written."""


def allowed_from(to: Status, *, replay: bool = False) -> frozenset[Status]:
    """The statuses from which an image may go to `to`."""
    table = REPLAY if replay else FORWARD
    return frozenset(status for status, targets in table.items() if to in targets)


def move(
    series: Series,
    images: QuerySet[Image],
    to: Status,
    *,
    code: str = "",
    sentence: str = "",
    actor: str = "sendit",
    replay: bool = False,
) -> int:
    """Move those of `images` (all of `series`) to `to` that may go there; returns how many did.

    Parameters
    ----------
    code, sentence : str
        Why; required for QUARANTINED and EXCLUDED, cleared by any other status.
    replay : bool
        Use the table of ways back. Records the event as a replay.

    Raises
    ------
    IllegalTransition
        If no status leads to `to`, or a reason is missing.
    """
    sources = allowed_from(to, replay=replay)
    held = to in (Status.QUARANTINED, Status.EXCLUDED)
    if not sources:
        raise IllegalTransition(f"no {'replay' if replay else 'transition'} leads to {to}")
    if held and not code:
        raise IllegalTransition(f"{to} needs a reason")
    moving = images.filter(series=series, status__in=sources)
    if held or replay and to != Status.DONEPROCESSING:
        # What is held, or goes again, must not leave any more: its releases are withdrawn, and with them its deliveries.
        withdrawn = Release.objects.filter(image__in=moving)
        paths = [release.path for release in withdrawn]
        withdrawn.delete()
        if held:  # what goes again is written over
            transaction.on_commit(lambda: remove_files(paths))
    moved = moving.update(status=to, code=code if held else "", sentence=sentence[:500] if held else "")
    if moved:
        record(
            "replay" if replay else "status",
            series_id=series.pk,
            to_status=to,
            count=moved,
            code=code,
            sentence=sentence,
            actor=actor,
        )
        refresh(series)
    return moved


def refresh(series: Series) -> None:
    """Recount the images of `series` by status and write its counts, size and status: two statements."""
    counts = {status: Count("id", filter=Q(status=status)) for status in Status.values}
    found = Image.objects.filter(series=series).aggregate(images=Count("id"), bytes=Sum("size"), **counts)
    values = {f"n_{status.lower()}": found[status] for status in Status.values}
    series.status = least_advanced({Status(status): found[status] for status in Status.values})
    series.images, series.bytes, series.changed_at = found["images"], found["bytes"] or 0, timezone.now()
    for name, value in values.items():
        setattr(series, name, value)
    series.save(update_fields=["status", "images", "bytes", "changed_at", *values])


def least_advanced(counts: dict[Status, int]) -> Status:
    """The status a series shows: that of its least advanced image; held ones count only when nothing else is left.

    A series in which an image waits for a person and all others are through shows QUARANTINED.
    """
    for status in _ORDER[:3]:
        if counts.get(status):
            return status
    if counts.get(Status.QUARANTINED):
        return Status.QUARANTINED
    for status in _ORDER[3:]:
        if counts.get(status):
            return status
    return Status.EXCLUDED if counts.get(Status.EXCLUDED) else Status.NEW
