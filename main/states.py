"""The status states and the only transitions allowed; the one place where the status of an image is written.

Every move is a set of images of one or several series, in the caller's transaction, with an event and the counts of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from main.history import record_each
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

# What a series shows: the first of these that one of its images has. Held ones count only when all others are through.
_SHOWN = (
    Status.NEW,
    Status.PROCESSING,
    Status.DONEPROCESSING,
    Status.QUARANTINED,
    Status.SENT,
    Status.DONE,
    Status.EXCLUDED,
)

_COUNTS = {status: f"n_{status.lower()}" for status in Status.values}


class IllegalTransition(Exception):  # noqa: N818 - a fault of the caller, named for what it is
    """The move is in no table; nothing was written."""


def allowed_from(to: Status, *, replay: bool = False) -> frozenset[Status]:
    """The statuses from which an image may go to `to`."""
    table = REPLAY if replay else FORWARD
    return frozenset(status for status, targets in table.items() if to in targets)


def move(
    series: Series | Sequence[Series],
    images: QuerySet[Image],
    to: Status,
    *,
    code: str = "",
    sentence: str = "",
    actor: str = "sendit",
    replay: bool = False,
) -> int:
    """Move those of `images` to `to` that may go there; returns how many did.

    Parameters
    ----------
    series : Series or sequence of Series
        Whose images move; others of `images` stay.
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
    rows = _several(series)
    moving = images.filter(series__in=[row.pk for row in rows], status__in=sources)
    if held or replay and to != Status.DONEPROCESSING:
        # What is held, or goes again, must not leave any more: its releases are withdrawn, and with them its deliveries.
        withdrawn = Release.objects.filter(image__in=moving)
        paths = [release.path for release in withdrawn]
        withdrawn.delete()
        if held:  # what goes again is written over
            transaction.on_commit(lambda: remove_files(paths))
    counts = Counter(moving.values_list("series", flat=True)) if len(rows) > 1 else {}
    moved = moving.update(status=to, code=code if held else "", sentence=sentence[:500] if held else "")
    if moved:
        record_each(
            "replay" if replay else "status",
            counts or {rows[0].pk: moved},
            to_status=to,
            code=code,
            sentence=sentence,
            actor=actor,
        )
        refresh([row for row in rows if not counts or row.pk in counts])
    return moved


_WRITTEN = ("images", "bytes", *_COUNTS.values(), "status", "changed_at")

# The database counts and writes by itself: one pass over the images, whatever the number of series.
_RECOUNT = """
    WITH counted AS (
        SELECT main_series.id, COUNT(main_image.id) AS images, COALESCE(SUM(main_image.size), 0) AS bytes, {counts}
        FROM main_series LEFT JOIN main_image ON main_image.series_id = main_series.id
        WHERE main_series.id IN ({{keys}}) GROUP BY main_series.id
    )
    UPDATE main_series SET images = counted.images, bytes = counted.bytes, {columns},
        status = CASE {shown} ELSE 'NEW' END, changed_at = %s
    FROM counted WHERE counted.id = main_series.id
""".format(
    counts=", ".join(
        f"COUNT(CASE main_image.status WHEN '{one}' THEN 1 END) AS {name}" for one, name in _COUNTS.items()
    ),
    columns=", ".join(f"{name} = counted.{name}" for name in _COUNTS.values()),
    shown=" ".join(f"WHEN counted.{_COUNTS[status]} > 0 THEN '{status}'" for status in _SHOWN),
)


def refresh(series: Series | Sequence[Series]) -> None:
    """Recount the images by status and write counts, size and status, also into the given rows: two statements."""
    rows = {row.pk: row for row in _several(series)}
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(_RECOUNT.format(keys=", ".join(["%s"] * len(rows))), [*rows, now])
    written = Series.objects.filter(pk__in=rows).values("pk", *_WRITTEN, "proven_at")
    for values in written:
        row = rows[values.pop("pk")]
        for name, value in values.items():
            setattr(row, name, value)


def _several(series: Series | Sequence[Series]) -> Sequence[Series]:
    return [series] if isinstance(series, Series) else series
