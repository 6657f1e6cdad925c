"""Which stage a series goes to when a worker lets go of it: read from its images, under the fence."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from main import bells
from main.claims import Claim
from main.models import Series


def let_go(held: Claim[Series]) -> None:
    """Finish a claim on a series whose counts were refreshed in this transaction, and ring for what comes next."""
    stage = stage_of(held.row)
    held.row.refresh_from_db(fields=["proven_at"])
    if stage == "cleanup" and held.row.proven_at is None:
        held.hold(proven_at=timezone.now())
    due = due_at(held.row, stage)
    held.finish(due_at=due, stage=stage, attempts=0, in_hand="", deaths_in_hand=0, error_code="", error="")
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


def due_at(series: Series, stage: str) -> datetime | None:
    """When `stage` is due: deliveries have due times of their own, cleanup waits for proof and the retention time."""
    now = timezone.now()
    if stage in ("identify", "deidentify"):
        return now
    if stage == "cleanup" and settings.SENDIT_CLEANUP:
        return (series.proven_at or now) + timedelta(hours=settings.SENDIT_RETENTION_HOURS)
    return None
