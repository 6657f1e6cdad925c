"""What a worker delivers at once: the deliveries of one series to one destination, claimed and held with one token.

Nothing is sent and no outcome is written here (`main/pipeline/deliver.py`).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from main import claims
from main.claims import SLOWEST, backoff, lease_end, locked
from main.destinations import Receipt
from main.errors import LostLease
from main.models import Delivery, Destination

# At most so many images are taken at once: the next ones may go by another worker.
CHUNK = 100
CHUNK_BYTES = 256_000_000

# Failed tries that count; a delivery whose worker dies again and again goes beyond, and is blocked.
PATIENT_ATTEMPTS, MAX_ATTEMPTS = 8, 12


@dataclass(frozen=True)
class Load:
    """The deliveries that this worker holds: of one series, to one destination."""

    destination: Destination
    series_id: int
    token: uuid.UUID
    deliveries: list[Delivery]
    lease: float

    def held(self, ids: Iterable[int] | None = None) -> QuerySet[Delivery]:
        """Those of the deliveries (or of `ids`) that are still held: every write goes through it."""
        rows = Delivery.objects.filter(pk__in=[one.pk for one in self.deliveries] if ids is None else list(ids))
        return rows if claims._FENCE_OFF else rows.filter(token=self.token)

    @property
    def project(self) -> str:
        """The name of the project of the series."""
        return self.deliveries[0].series.project

    @property
    def attempts(self) -> int:
        """How often the delivery was claimed that was claimed most often."""
        return max(one.attempts for one in self.deliveries)

    def renew(self) -> None:
        """Begin the lease anew.

        Raises
        ------
        LostLease
            If other workers hold all of it now.
        """
        if not self.held().update(due_at=lease_end(self.lease)):
            raise LostLease

    def keeping(self, receipts: Iterable[Receipt]) -> Iterator[Receipt]:
        """Pass receipts on and renew the lease on the way: over a slow line a load takes longer than one lease."""
        renew_at = time.monotonic() + settings.SENDIT_LEASE_SECONDS / 3
        for receipt in receipts:
            yield receipt
            if time.monotonic() > renew_at:
                self.renew()
                renew_at = time.monotonic() + settings.SENDIT_LEASE_SECONDS / 3

    def put_back(self) -> None:
        """Let go of what is left: the database broke the work off, which says nothing about the destination."""
        again = backoff(self.attempts)
        self.held().update(token=None, due_at=again, attempts=min(self.attempts, PATIENT_ATTEMPTS))


def claim_load(series_id: int | None = None) -> Load | None:
    """Claim what is due of one series to one destination; None when nothing is."""
    now = timezone.now()
    due = Delivery.objects.filter(due_at__lte=now)
    if series_id is not None:
        due = due.filter(series=series_id)
    ready = Destination.objects.filter(enabled=True, held=False).filter(Q(retry_at=None) | Q(retry_at__lte=now))
    for destination in ready.filter(Exists(due.filter(destination=OuterRef("pk")))).order_by("failures", "?"):
        if destination.failures and not _probe(destination):
            continue
        mine = due.filter(destination=destination)
        for series in _series_due(mine):
            chosen, lease = _next_load(mine.filter(series=series))
            token = uuid.uuid4()
            with transaction.atomic():
                # Without naming the destination again, so that SQLite goes by the keys and not through all that is due to it.
                won = locked(Delivery.objects.filter(pk__in=chosen, due_at__lte=now).only("pk"))
                rows = Delivery.objects.filter(pk__in=[one.pk for one in won]).select_related("release", "series")
                rows.update(token=token, due_at=lease_end(lease), attempts=F("attempts") + 1)
            if won:
                return Load(destination, series, token, list(rows.order_by("pk")), lease)
    return None


def _next_load(due: QuerySet[Delivery]) -> tuple[list[int], float]:
    """Ids of what is taken at once, by number and size, and the seconds beyond a lease that it may take."""
    chosen: list[int] = []
    size = 0
    if (
        abandoned := due.filter(token__isnull=False)
        .order_by("attempts", "pk")
        .values_list("pk", "release__size")
        .first()
    ):
        # Somebody died with it: alone, so that one that kills its worker holds up no other.
        return [abandoned[0]], abandoned[1] / SLOWEST
    for pk, one in due.order_by("pk").values_list("pk", "release__size")[:CHUNK]:
        if chosen and size + one > CHUNK_BYTES:
            break
        chosen.append(pk)
        size += one
    return chosen, size / SLOWEST


def _series_due(due: QuerySet[Delivery]) -> list[int]:
    """A few of the series with due deliveries, the longest waiting first."""
    found: list[int] = []
    for series in due.order_by("due_at").values_list("series", flat=True)[: 4 * CHUNK]:
        if series not in found:
            found.append(series)
        if len(found) == 4:
            break
    return found


def _probe(destination: Destination) -> bool:
    """A destination that failed is tried by one worker at a time."""
    edge = timezone.now() + timedelta(seconds=3 * settings.DICOM_PEER_TIMEOUT)
    return bool(Destination.objects.filter(pk=destination.pk, retry_at=destination.retry_at).update(retry_at=edge))
