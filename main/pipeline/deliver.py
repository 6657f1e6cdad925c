"""Deliver: the due releases of one series go to one destination, and count as SENT only once that is proven.

A claim takes all due deliveries of one (series, destination) with one fencing token. A destination that fails is left
alone for a while (its `retry_at`), and is then tried by one worker first, so it delays no other.
"""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from main import bells, claims, states
from main.claims import SLOWEST, backoff, lease_end
from main.destinations import STRENGTH, Receipt, kind_of
from main.errors import LostLease, Quarantine, describe
from main.failpoints import reach
from main.history import record
from main.models import Delivery, Destination, Image, Series
from main.models.delivery import Proof
from main.models.imaging import Status
from main.pipeline.next_stage import due_at, stage_of
from main.pipeline.release import OpenRelease, open_release

# At most so many images are taken at once: the next ones may go by another worker.
CHUNK = 100
CHUNK_BYTES = 256_000_000

# Failed tries that count; a delivery whose worker dies again and again goes beyond, and is blocked.
PATIENT_ATTEMPTS, MAX_ATTEMPTS = 8, 12

State = Delivery.State


@dataclass(frozen=True)
class Load:
    """The deliveries that this worker holds: of one series, to one destination."""

    destination: Destination
    series_id: int
    token: uuid.UUID
    deliveries: list[Delivery]
    lease: float


def deliver_next(series_id: int | None = None) -> bool:
    """Claim due deliveries and carry them out; False when none are due."""
    load = _claim(series_id)
    if load is None:
        return False
    reach("deliver:claimed")
    with suppress(LostLease):
        try:
            deliver(load)
        except (LostLease, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a destination raises becomes a visible state
            code, sentence = describe(error)
            _write(load, [Receipt(one.pk, "transient", code=code, sentence=sentence) for one in load.deliveries])
    return True


def deliver(load: Load) -> None:
    """Send what is to be sent, prove what was sent, and write each outcome."""
    opened, receipts = _open(load)
    kind = kind_of(load.destination)
    to_send = [release for delivery, release in opened if delivery.state == State.PENDING]
    to_prove = [release for delivery, release in opened if delivery.state == State.ACCEPTED]
    if to_send:
        by_id = {release.delivery_id: release for release in to_send}
        sent = list(_keeping(load, kind.send(to_send)))
        reach("deliver:sent")
        receipts += [receipt for receipt in sent if receipt.outcome != "sent"]
        accepted = [receipt for receipt in sent if receipt.outcome == "sent"]
        _write(load, accepted, keep=True)
        reach("deliver:accepted")
        to_prove += [by_id[one.delivery_id] for one in accepted if not sufficient(load.destination, one.proof)]
    if to_prove:
        _renew(load)
        receipts += list(_keeping(load, kind.prove(to_prove)))
        reach("deliver:proven")
    _write(load, receipts)
    reach("deliver:committed")


def _claim(series_id: int | None) -> Load | None:
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
            # Without naming the destination again, so that SQLite goes by the keys and not through all that is due to it.
            rows = Delivery.objects.filter(pk__in=chosen, due_at__lte=now)
            rows.update(token=token, due_at=lease_end(lease), attempts=F("attempts") + 1)
            won = Delivery.objects.filter(pk__in=chosen, token=token).select_related("release").order_by("pk")
            if deliveries := list(won):
                return Load(destination, series, token, deliveries, lease)
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
    edge = timezone.now() + timedelta(seconds=3 * settings.DICOM_NETWORK_TIMEOUT)
    return bool(Destination.objects.filter(pk=destination.pk, retry_at=destination.retry_at).update(retry_at=edge))


def _open(load: Load) -> tuple[list[tuple[Delivery, OpenRelease]], list[Receipt]]:
    opened: list[tuple[Delivery, OpenRelease]] = []
    receipts: list[Receipt] = []
    for delivery in load.deliveries:
        if delivery.attempts > MAX_ATTEMPTS:
            sentence = "The worker died again and again while it delivered this image. Look at its history, then retry."
            receipts.append(Receipt(delivery.pk, "permanent", code="killed-worker", sentence=sentence))
            continue
        if delivery.release.recipe != load.destination.recipe:
            sentence = (
                f"It was released by recipe {delivery.release.recipe}, and {load.destination.name} asks for "
                f"{load.destination.recipe} now. It is not sent: replay the series from deidentify."
            )
            receipts.append(Receipt(delivery.pk, "permanent", code="recipe-changed", sentence=sentence))
            continue
        try:
            opened.append((delivery, open_release(delivery.release, delivery.pk)))
        except Quarantine as refused:
            receipts.append(Receipt(delivery.pk, "permanent", code=refused.code, sentence=refused.sentence))
    return opened, receipts


def _held(load: Load, ids: Iterable[int]) -> QuerySet[Delivery]:
    rows = Delivery.objects.filter(pk__in=list(ids))
    return rows if claims._FENCE_OFF else rows.filter(token=load.token)


def _renew(load: Load) -> None:
    if not _held(load, [one.pk for one in load.deliveries]).update(due_at=lease_end(load.lease)):
        raise LostLease


def _keeping(load: Load, receipts: Iterable[Receipt]) -> Iterator[Receipt]:
    """Pass receipts on and renew the lease on the way: over a slow line a load takes longer than one lease."""
    renew_at = time.monotonic() + settings.SENDIT_LEASE_SECONDS / 3
    for receipt in receipts:
        yield receipt
        if time.monotonic() > renew_at:
            _renew(load)
            renew_at = time.monotonic() + settings.SENDIT_LEASE_SECONDS / 3


def sufficient(destination: Destination, proof: Proof) -> bool:
    """Whether `proof` is what the destination must reach; by default at least found, and what it can give at best."""
    required = destination.required_proof
    if required == "highest":
        return proof in (Proof.COMMITTED, Proof.FOUND, Proof.CONTENT)
    return STRENGTH[proof] >= STRENGTH[Proof(required)]


def _write(load: Load, receipts: Sequence[Receipt], keep: bool = False) -> None:
    """Write outcomes, a statement for each distinct one; `keep` goes on holding what was only accepted."""
    if not receipts:
        return
    groups: dict[tuple[str, Proof, str, str], list[int]] = defaultdict(list)
    for receipt in receipts:
        outcome: str = receipt.outcome
        if outcome in ("sent", "proven"):
            outcome = "proven" if sufficient(load.destination, receipt.proof) else "sent"
        groups[outcome, receipt.proof, receipt.code, receipt.sentence].append(receipt.delivery_id)
    with transaction.atomic():
        series = Series.objects.select_for_update().get(pk=load.series_id)
        written = 0
        for (outcome, proof, code, sentence), ids in groups.items():
            written += _write_group(load, outcome, proof, code, sentence, ids, keep)
        if not written:
            raise LostLease
        _update_destination(load.destination, groups)
        if any(outcome == "proven" for outcome, *_ in groups):
            _settle(series)


def _write_group(load: Load, outcome: str, proof: Proof, code: str, sentence: str, ids: list[int], keep: bool) -> int:
    rows = _held(load, ids)
    sentence = sentence[:500]
    attempts = max((one.attempts for one in load.deliveries), default=1)
    if outcome == "proven":
        done = rows.update(
            state=State.PROVEN, proof=proof, proven_at=timezone.now(), due_at=None, token=None, error_code="", error=""
        )
        record("proven", series_id=load.series_id, destination=load.destination.name, count=done, code=proof)
    elif outcome == "sent" and keep:
        done = rows.update(state=State.ACCEPTED, proof=proof, due_at=lease_end(load.lease), error_code="", error="")
        record("sent", series_id=load.series_id, destination=load.destination.name, count=done)
    elif outcome == "sent":
        done = rows.update(
            state=State.ACCEPTED,
            proof=proof,
            due_at=backoff(attempts),
            token=None,
            attempts=min(attempts, PATIENT_ATTEMPTS),
            error_code=code or "not-proven",
            error=sentence or "Accepted, but its arrival is not proven yet.",
        )
    elif outcome == "unproven":
        done = rows.update(
            state=State.PENDING,
            proof="",
            due_at=backoff(attempts),
            token=None,
            attempts=min(attempts, PATIENT_ATTEMPTS),
            error_code=code,
            error=sentence,
        )
        record("unproven", series_id=load.series_id, destination=load.destination.name, count=done, code=code)
    elif outcome == "permanent":
        done = rows.update(state=State.BLOCKED, due_at=None, token=None, error_code=code, error=sentence)
        record(
            "blocked",
            series_id=load.series_id,
            destination=load.destination.name,
            count=done,
            code=code,
            sentence=sentence,
        )
    else:
        counted = min(attempts, PATIENT_ATTEMPTS)
        done = rows.update(due_at=backoff(attempts), token=None, error_code=code, error=sentence, attempts=counted)
        if attempts == 1:
            record(
                "delayed",
                series_id=load.series_id,
                destination=load.destination.name,
                count=done,
                code=code,
                sentence=sentence,
            )
    return done


def _update_destination(destination: Destination, groups: dict[tuple[str, Proof, str, str], list[int]]) -> None:
    """The circuit breaker: nothing but transient errors opens it, any answer closes it.

    A refusal of the association as a whole concerns the destination, so it is shown there.
    """
    rows = Destination.objects.filter(pk=destination.pk)
    outcomes = {outcome for outcome, *_ in groups}
    shown = [(c, s) for o, _, c, s in groups if o == "transient" or c.startswith("association-")]
    code, sentence = shown[0] if shown else ("", "")
    if outcomes == {"transient"}:
        failures = destination.failures + 1
        rows.update(failures=failures, retry_at=backoff(failures), error_code=code, error=sentence[:500])
        return
    rows.update(failures=0, retry_at=None, error_code=code, error=sentence[:500])
    if "proven" in outcomes:
        rows.update(last_proven_at=timezone.now())


def withdraw(destination: Destination, actor: str) -> int:
    """Forget what was not delivered to a destination that is no longer configured; returns how many deliveries.

    Only a person decides that: what no other destination has goes nowhere then.
    """
    undelivered = Delivery.objects.filter(destination=destination).exclude(state=State.PROVEN)
    forgotten = 0
    for pk in sorted(set(undelivered.values_list("series", flat=True))):
        with transaction.atomic():
            series = Series.objects.select_for_update().get(pk=pk)
            count, _ = undelivered.filter(series=series).delete()
            record("withdrawn", series_id=pk, destination=destination.name, count=count, actor=actor)
            _settle(series)
            forgotten += count
    return forgotten


def _settle(series: Series) -> None:
    """Images whose every delivery is proven are SENT; a series with nothing left to deliver goes to cleanup."""
    open_ones = Delivery.objects.filter(release__image=OuterRef("pk")).exclude(state=State.PROVEN)
    delivered = Delivery.objects.filter(release__image=OuterRef("pk"))
    images = Image.objects.filter(series=series, status=Status.DONEPROCESSING).filter(
        Exists(delivered), ~Exists(open_ones)
    )
    if not states.move(series, images, Status.SENT):
        return
    stage = stage_of(series)
    series.proven_at = timezone.now()
    Series.objects.filter(pk=series.pk).update(proven_at=series.proven_at)
    if stage in ("cleanup", "") and series.token is None:
        Series.objects.filter(pk=series.pk, token=None).update(stage=stage, due_at=due_at(series, stage))
        if stage == "cleanup":
            bells.ring("cleanup")
