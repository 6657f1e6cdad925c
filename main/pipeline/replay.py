"""The audited ways back and out: replay a series from a stage, requeue or discard what is held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Literal

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from main import bells, crosswalk, states
from main.claims import ANEW, locked
from main.errors import Permanent
from main.history import record
from main.models import (
    Batch,
    CommitmentRequest,
    Delivery,
    Destination,
    FileOutcome,
    Image,
    Series,
    SeriesIdentifiers,
    Subject,
)
from main.models.imaging import Status
from main.overview import blocked
from main.pipeline.cleanup import lock_parents, remove_series
from main.pipeline.next_stage import due_at, stage_of
from main.pipeline.register import CHANGED

# Images asked for at once.
_PIECE = 5000

From = Literal["identify", "deidentify", "deliver"]


def replay(series: Series, start: From, actor: str) -> int:
    """Send a series through again from `start` on; returns how many images go.

    Images whose release is kept stay where they are at the destinations: the same bytes go again (R6).

    Raises
    ------
    Permanent
        `in-hand`: a worker holds the series just now.
    """
    to = {"identify": Status.NEW, "deidentify": Status.PROCESSING, "deliver": Status.DONEPROCESSING}[start]
    with transaction.atomic():
        row = _unheld(series)
        images = Image.objects.filter(series=row)
        if start == "deliver":
            images = images.filter(releases__isnull=False)
        elif start == "identify":
            SeriesIdentifiers.objects.filter(
                series__study=row.study_id
            ).delete()  # one answer for a study: all ask anew
            crosswalk.retire(row.project, Subject.objects.get(studies=row.study_id))
        moved = states.move(row, images, to, actor=actor, replay=True)
        Delivery.objects.filter(series=row, release__image__status=to).update(
            state=Delivery.State.PENDING,
            proof="",
            proven_at=None,
            token=None,
            due_at=timezone.now(),
            error_code="",
            error="",
        )
        _make_due(row)
    return moved


def requeue_images(images: list[int], actor: str) -> int:
    """Send quarantined images through again from the start; those whose file changed are registered anew."""
    count = _register_anew(images, actor)
    return count + _each_series(images, lambda row, own: states.move(row, own, Status.NEW, actor=actor, replay=True))


def _register_anew(images: list[int], actor: str) -> int:
    """Forget images whose file is another one than was registered: what is in it now gets an outcome of its own."""
    count = 0
    for start in range(0, len(images), _PIECE):
        chosen = Image.objects.filter(pk__in=images[start : start + _PIECE], status=Status.QUARANTINED, code=CHANGED)
        with transaction.atomic():
            batches = lock_parents(list(Series.objects.filter(image_set__in=chosen).distinct()), chosen)
            # A series in a worker's hands keeps them for this time.
            rows = locked(Series.objects.filter(pk__in=chosen.values("series"), token=None))
            going = chosen.filter(series__in=rows)
            drops = {batch.pk: going.filter(batch=batch).count() for batch in batches}
            for pk in [pk for pk, own in drops.items() if own]:
                record("requeued", batch_id=pk, count=drops[pk], actor=actor)
                _make_drops_due([pk])
            count += sum(drops.values())
            going.delete()
            empty = [row for row in rows if not Image.objects.filter(series=row).exists()]
            for row in rows:
                if row not in empty:
                    _make_due(row)
            remove_series(empty)
    return count


def discard_images(images: list[int], actor: str, why: str) -> int:
    """A person decides that quarantined images go nowhere: they are EXCLUDED, with `why`."""
    return _each_series(
        images,
        lambda row, own: states.move(row, own, Status.EXCLUDED, code="discarded", sentence=why, actor=actor),
    )


def requeue_files(outcomes: list[int], actor: str) -> int:
    """Register held files again: their outcomes are forgotten and their drops are due."""
    with transaction.atomic():
        held = FileOutcome.objects.filter(pk__in=outcomes, held=True)
        batches = [batch.pk for batch in _locked_drops(held)]
        count, _ = held.delete()
        for batch in batches:
            record("requeued", batch_id=batch, count=count, actor=actor)
        _make_drops_due(batches)
    return count


def discard_files(outcomes: list[int], actor: str, why: str) -> int:
    """A person decides that held files go nowhere; their drops' folders are removed once nothing else is in them."""
    with transaction.atomic():
        held = FileOutcome.objects.filter(pk__in=outcomes, held=True)
        batches = [batch.pk for batch in _locked_drops(held)]
        count = held.update(held=False, outcome=FileOutcome.Outcome.DISCARDED, sentence=why[:500], code="discarded")
        for batch in batches:
            record("discarded", batch_id=batch, count=count, actor=actor, sentence=why)
    return count


def retry_blocked(actor: str, destination: str | None = None, series: int | None = None) -> int:
    """Try again now what waits for a retry, was refused, or stopped; returns how many deliveries.

    With `destination` or `series` only the deliveries of these; else drops and series that wait or stopped as well.
    """
    now = timezone.now()
    waiting = Delivery.objects.filter(due_at__isnull=False, token=None)
    refused = blocked()
    series_waiting = Series.objects.filter(token=None, due_at__isnull=False).exclude(stage="cleanup")
    chosen = Destination.objects.filter(name=destination) if destination else Destination.objects.all()
    keys = list(chosen.values_list("pk", flat=True))
    if series:
        waiting, refused = waiting.filter(series=series), refused.filter(series=series)
        series_waiting = series_waiting.filter(pk=series)
    with transaction.atomic():  # a parent before its children (main/claims.py)
        if not series and not destination:
            Batch.objects.filter(token=None, stage="register").update(due_at=now, attempts=0)
        if series or not destination:
            series_waiting.update(due_at=now)
        count = refused.filter(destination__in=keys).update(state=Delivery.State.PENDING, due_at=now, attempts=0)
        count += waiting.filter(destination__in=keys, due_at__gt=now).update(due_at=now, attempts=0)
        if not series and not destination:
            unanswered = CommitmentRequest.objects.filter(token=None).exclude(sealed="")
            unanswered.update(stage="commitment", due_at=now, decided_at=None, **ANEW)
        chosen.update(retry_at=None)
        record("retry", count=count, actor=actor, destination=destination or "", series_id=series)
        for stage in bells.STAGES:
            bells.ring(stage)
    return count


def _each_series(images: list[int], act: Callable[[Series, QuerySet[Image]], int]) -> int:
    moved = 0
    by_series: dict[int, list[int]] = defaultdict(list)
    for start in range(0, len(images), _PIECE):
        chosen = Image.objects.filter(pk__in=images[start : start + _PIECE], status=Status.QUARANTINED)
        for image, series in chosen.values_list("pk", "series"):
            by_series[series].append(image)
    for pk, own in sorted(by_series.items()):
        with transaction.atomic():
            row = Series.objects.select_for_update(no_key=True).get(pk=pk)
            moved += act(row, Image.objects.filter(series=row, pk__in=own, status=Status.QUARANTINED))
            if row.token is None:
                _make_due(row)
    return moved


def _make_drops_due(batches: list[int]) -> None:
    """A worker that is at one of them loses its claim and begins anew."""
    Batch.objects.filter(pk__in=batches).update(stage="register", due_at=timezone.now(), **ANEW)
    bells.ring("register")


def _locked_drops(outcomes: QuerySet[FileOutcome]) -> list[Batch]:
    return locked(Batch.objects.filter(pk__in=set(outcomes.values_list("batch", flat=True))))


def _unheld(series: Series) -> Series:
    row = Series.objects.select_for_update(no_key=True).get(pk=series.pk)
    if row.token is not None and row.due_at and row.due_at > timezone.now():
        raise Permanent("in-hand", "A worker holds this series just now: try again in a moment.")
    return row


def _make_due(row: Series) -> None:
    states.refresh(row)
    stage = stage_of(row)
    Series.objects.filter(pk=row.pk).update(stage=stage, due_at=due_at(row, stage), **ANEW)
    if stage:
        bells.ring(stage)
