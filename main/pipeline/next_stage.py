"""Which stage a series goes to when a worker lets go of it: read from its images, under the fence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from main import bells
from main.claims import Claim
from main.models import Series


def let_go(held: Claim[Series], rows: Sequence[Series] | None = None) -> None:
    """Finish a claim on series (by default on all) whose counts were refreshed in this transaction; ring for what is next."""
    now = timezone.now()
    groups: dict[tuple[str, datetime | None], list[Series]] = defaultdict(list)
    for row in held.rows if rows is None else rows:
        stage = stage_of(row)
        if stage == "cleanup":
            row.proven_at = row.proven_at or now
        groups[stage, due_at(row, stage, now)].append(row)
    for (stage, due), group in groups.items():
        if stage == "cleanup":
            Series.objects.filter(pk__in=[row.pk for row in group], proven_at=None).update(proven_at=now)
        held.finish(due, group, stage=stage, attempts=0, in_hand="", deaths_in_hand=0, error_code="", error="")
        if stage:
            bells.ring(stage)


def stage_of(series: Series) -> str:
    """The stage that its images need next; '' when nothing is left to do by itself."""
    if series.n_new:
        return "identify"
    if series.n_processing:
        return "deidentify"
    if series.n_doneprocessing:
        return "deliver"
    if series.n_quarantined or not (series.n_sent or series.n_done or series.n_excluded):
        return ""
    return "cleanup"


def due_at(series: Series, stage: str, now: datetime | None = None) -> datetime | None:
    """When `stage` is due: deliveries have due times of their own, cleanup waits for proof and the retention time."""
    now = now or timezone.now()
    if stage in ("identify", "deidentify"):
        return now
    if stage == "cleanup" and settings.SENDIT_CLEANUP:
        return (series.proven_at or now) + timedelta(hours=settings.SENDIT_RETENTION_HOURS)
    return None
