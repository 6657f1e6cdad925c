"""The sweep: rings for whatever is due, finishes drops claimed but not registered, clamps impossible times, tidies up.

Safe to run twice and at any time; it only reads, rings, and makes things due.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from datetime import timedelta

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from main import bells
from main.claims import lease_end
from main.failpoints import reach
from main.forgetting import expire
from main.models import Batch, CommitmentRequest, Delivery, Destination, Series, Study
from main.pipeline.cleanup import remove_finished_folders
from main.pipeline.commitment import forget_old
from main.pipeline.register import has_unaccounted_files
from main.pipeline.source import LONGEST_QUIET
from main.pipeline.take import copying, recover
from main.storage import newest_folder

# The stages of a series in which it can be due; while it is delivered, its deliveries are.
_SLOW_STAGES = ("identify", "deidentify")
_STAGES = (*_SLOW_STAGES, "cleanup")

_TEMPORARY_AGE_SECONDS = 3600
_RECOVER_AGE_SECONDS = 30

# News of a study cannot be of later than now; a clock that is set right moves it by less.
_NEWS_IS_OLD, _LONGEST_QUIET = timedelta(minutes=1), timedelta(seconds=LONGEST_QUIET)

# Leases are longer by the size of what is sent or written, and by the search for text in it.
_LONG_WORK = timedelta(hours=4)

# How long after its registration a drop is looked at for files that were still written into it.
_MAY_GROW = timedelta(hours=1)

# Work that is due for so long while nobody works on anything says that the workers do not hear.
STALLED_SECONDS = 60
NOBODY_WORKS = "Work is due for a while and no worker takes it. Is one running, and does it reach the broker?"


def sweep() -> dict[str, bool]:
    """Ring the bell of each stage that has something due; returns which have. Raises Transient if the broker is away."""
    due = due_stages()
    reach("sweep:counted")
    for stage, waiting in due.items():
        if waiting:
            bells.ring_now(stage)
    return due


def due_stages() -> dict[str, bool]:
    """Which stages have something due now: one indexed look each."""
    now = timezone.now()
    ready = list(
        Destination.objects.filter(Q(retry_at=None) | Q(retry_at__lte=now), enabled=True, held=False).values_list(
            "pk", flat=True
        )
    )
    series = {stage: Series.objects.filter(stage=stage, due_at__lte=now).exists() for stage in _STAGES}
    return {
        "register": Batch.objects.filter(stage="register", due_at__lte=now).exists(),
        "identify": series["identify"],
        "deidentify": series["deidentify"],
        "deliver": any(Delivery.objects.filter(destination=pk, due_at__lte=now).exists() for pk in ready),
        "commitment": CommitmentRequest.objects.filter(stage="commitment", due_at__lte=now).exists(),
        "cleanup": series["cleanup"],
    }


def is_stalled() -> bool:
    """Whether work is due for so long, with nobody at work on anything, that the workers do not hear their bells."""
    now = timezone.now()
    edge = now - timedelta(seconds=STALLED_SECONDS)
    # Stages and destinations are named so that an index leads to the few rows, however many wait or are through.
    held = Q(token__isnull=False, due_at__gt=now)
    if (
        Batch.objects.filter(held).exists()
        or Series.objects.filter(held, stage__in=_SLOW_STAGES, due_at__lte=lease_end() + _LONG_WORK).exists()
        or Series.objects.filter(held, stage="cleanup", due_at__lte=lease_end()).exists()
        or Delivery.objects.filter(held, destination__in=Destination.objects.values("pk")).exists()
        or CommitmentRequest.objects.filter(held).exists()
    ):
        return False
    ready = Destination.objects.filter(Q(retry_at=None) | Q(retry_at__lte=edge), enabled=True, held=False)
    return (
        Batch.objects.filter(due_at__lte=edge).exists()
        or Series.objects.filter(due_at__lte=edge, stage__in=_STAGES).exists()
        or Delivery.objects.filter(due_at__lte=edge, destination__in=ready).exists()
        or CommitmentRequest.objects.filter(due_at__lte=edge).exists()
    )


def tidy() -> int:
    """The slower part, once a minute: recover drops, clamp times, remove stale temporary files; returns what it mended."""
    age = min(_RECOVER_AGE_SECONDS, settings.SENDIT_LEASE_SECONDS)
    mended = recover(age) + clamp() + _remove_temporary() + schedule_cleanup()
    return mended + remove_finished_folders() + _reopen_grown_drops() + forget_old() + expire()


def clamp() -> int:
    """Make due again what a clock jump put further into the future than any lease or backoff does."""
    now = timezone.now()
    longest = max(settings.SENDIT_LEASE_SECONDS, settings.SENDIT_RETRY_MAX_SECONDS * 1.25, 600.0)
    edge = now + timedelta(seconds=longest + 60)
    mended = Batch.objects.filter(due_at__gt=edge).update(due_at=now)
    jumped = Q(waits_since__gt=now + _NEWS_IS_OLD) | Q(complete_at__gt=now + _NEWS_IS_OLD + _LONGEST_QUIET)
    mended += Study.objects.filter(jumped, complete_at__gt=now).update(waits_since=now, complete_at=now)
    series = Series.objects.filter(due_at__gt=edge, stage__in=_SLOW_STAGES)
    series = series.exclude(token__isnull=False, due_at__lte=edge + _LONG_WORK)
    # Nobody holds a series whose study may still grow, and it may be for longer than others wait.
    mended += series.exclude(stage="identify", token=None, study__complete_at__gt=now).update(due_at=now)
    mended += CommitmentRequest.objects.filter(due_at__gt=edge).update(due_at=now)
    everywhere = Destination.objects.values("pk")
    mended += Delivery.objects.filter(due_at__gt=edge + _LONG_WORK, destination__in=everywhere).update(due_at=now)
    mended += Destination.objects.filter(retry_at__gt=edge).update(retry_at=now)
    last_cleanup = now + timedelta(hours=settings.SENDIT_RETENTION_HOURS, seconds=longest + 60)
    return mended + Series.objects.filter(stage="cleanup", due_at__gt=last_cleanup).update(due_at=last_cleanup)


def schedule_cleanup() -> int:
    """Make due what was proven while cleanup was off."""
    if not settings.SENDIT_CLEANUP:
        return 0
    retention = timedelta(hours=settings.SENDIT_RETENTION_HOURS)
    unscheduled = Series.objects.filter(stage="cleanup", due_at=None, token=None)
    return unscheduled.update(due_at=Coalesce(F("proven_at"), F("changed_at")) + retention)


def _reopen_grown_drops() -> int:
    """Register again the drops into which something was written after they were registered."""
    now = timezone.now()
    grown = [
        batch.pk
        for batch in Batch.objects.filter(stage="", registered_at__gt=now - _MAY_GROW)
        if batch.registered_at
        and newest_folder(batch.folder) > batch.registered_at.timestamp()
        and has_unaccounted_files(batch)  # what cleanup takes out changes the folders as well
    ]
    return Batch.objects.filter(pk__in=grown, stage="").update(stage="register", due_at=now)


def _remove_temporary() -> int:
    """Remove what interrupted writing left behind: releases, and copies of drops whose source is still there.

    A release that was not written to for a lease belongs to nobody any more; a copy is locked by its writer.
    """
    now = time.time()
    releases = [(path, settings.SENDIT_LEASE_SECONDS) for path in settings.RELEASES_DIR.glob("*/*.part")]
    copies = [(path, _TEMPORARY_AGE_SECONDS) for path in settings.DROPS_DIR.glob("*.part")]
    removed = 0
    for lock in settings.DROPS_DIR.glob("*.lock"):
        with suppress(OSError), copying(lock.with_suffix("")):
            pass  # whoever made it died: to take it and let go removes it
    for path, age in releases + copies:
        with suppress(OSError, RecursionError):
            if now - path.lstat().st_mtime < age:
                continue
            if path.is_dir():
                with copying(path.with_suffix("")) as mine:
                    if mine:
                        shutil.rmtree(path)
            else:
                path.unlink()
            removed += 1
    return removed
