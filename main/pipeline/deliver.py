"""Deliver: the due releases of one series go to one destination, and count as SENT only once that is proven.

A destination that fails is left alone for a while (its `retry_at`), and is then tried by one worker first, so it delays
no other. What was accepted is proven while the next images are being sent, where the destination can do both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing, suppress

from django.db import Error, OperationalError, connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from main import bells, projects, states
from main.claims import backoff, lease_end, locked
from main.destinations import STRENGTH, Receipt, kind_of
from main.errors import LostLease, Quarantine, describe
from main.failpoints import reach
from main.history import record
from main.models import Delivery, Destination, Image, Series
from main.models.delivery import Proof
from main.models.imaging import Status
from main.pipeline.load import MAX_ATTEMPTS, PATIENT_ATTEMPTS, Load, claim_load
from main.pipeline.next_stage import due_at, stage_of
from main.pipeline.release import OpenRelease, open_release
from main.pipeline.routes import recipe_for

State = Delivery.State

# Deliveries by outcome, proof, code and sentence.
Groups = dict[tuple[str, Proof, str, str], list[int]]


def deliver_next(series_id: int | None = None) -> bool:
    """Claim due deliveries and carry them out; False when none are due."""
    load = claim_load(series_id)
    if load is None:
        return False
    reach("deliver:claimed")
    with suppress(LostLease):
        try:
            deliver(load)
        except LostLease:
            raise
        except OperationalError:
            with suppress(Error):  # it goes on soon; if the database is away, the lease ends by itself
                load.put_back()
            raise
        except Exception as error:  # noqa: BLE001 - whatever a destination raises becomes a visible state
            code, sentence = describe(error)
            _write(load, [Receipt(one.pk, "transient", code=code, sentence=sentence) for one in load.deliveries])
    return True


def deliver(load: Load) -> None:
    """Send what is to be sent, prove what was sent, and write each outcome."""
    opened, receipts = _open(load)
    to_send = {one.pk: release for one, release in opened if one.state == State.PENDING}
    to_prove = [release for one, release in opened if one.state == State.ACCEPTED]
    with closing(kind_of(load.destination)) as kind:
        if to_send:
            accepted = []
            for receipt in load.keeping(kind.send(list(to_send.values()))):
                if receipt.outcome != "sent":
                    receipts.append(receipt)
                    continue
                accepted.append(receipt)
                if not sufficient(load.destination, receipt.proof):
                    to_prove.append(to_send[receipt.delivery_id])
                    kind.begin_to_prove(to_prove[-1])
            reach("deliver:sent")
            _write(load, accepted, keep=True)
            reach("deliver:accepted")
        if to_prove:
            load.renew()
            receipts += load.keeping(kind.prove(to_prove))
            reach("deliver:proven")
    _write(load, receipts)
    reach("deliver:committed")


def _open(load: Load) -> tuple[list[tuple[Delivery, OpenRelease]], list[Receipt]]:
    opened: list[tuple[Delivery, OpenRelease]] = []
    receipts: list[Receipt] = []
    for delivery in load.deliveries:
        if delivery.attempts > MAX_ATTEMPTS:
            sentence = "The worker died again and again while it delivered this image. Look at its history, then retry."
            receipts.append(Receipt(delivery.pk, "permanent", code="killed-worker", sentence=sentence))
            continue
        try:
            _require_route(load, delivery)
            opened.append((delivery, open_release(delivery.release, delivery.pk)))
        except Quarantine as refused:
            receipts.append(Receipt(delivery.pk, "permanent", code=refused.code, sentence=refused.sentence))
    return opened, receipts


def _require_route(load: Load, delivery: Delivery) -> None:
    """Refuse what the project, as it is configured now, would not send there like this."""
    project, name = projects.project(load.project), load.destination.name
    if not project.delivers_to(name):
        raise Quarantine(
            "not-for-destination",
            f"Project {project.name} does not deliver to {name} any more. It is not sent: replay the series from "
            f"deidentify, or give the project {name} again and retry.",
        )
    if (wanted := recipe_for(project, load.destination)) != delivery.release.recipe:
        raise Quarantine(
            "recipe-changed",
            f"It was released by recipe {delivery.release.recipe}, and {name} asks for {wanted} now. It is not sent: replay "
            "the series from deidentify.",
        )


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
    groups: Groups = defaultdict(list)
    for receipt in receipts:
        outcome: str = receipt.outcome
        if outcome in ("sent", "proven"):
            outcome = "proven" if sufficient(load.destination, receipt.proof) else "sent"
        groups[outcome, receipt.proof, receipt.code, receipt.sentence].append(receipt.delivery_id)
    try:
        _write_groups(load, groups, keep)
    except OperationalError:  # a deadlock's victim, or the database was started anew: what was sent must not go twice
        connection.close_if_unusable_or_obsolete()
        _write_groups(load, groups, keep)


def _write_groups(load: Load, groups: Groups, keep: bool) -> None:
    with transaction.atomic():
        rows = locked(Series.objects.filter(pk=load.series_id))
        written = 0
        for (outcome, proof, code, sentence), ids in groups.items():
            written += _write_group(load, outcome, proof, code, sentence, ids, keep)
        if not written:
            raise LostLease
        if any(outcome == "proven" for outcome, *_ in groups):
            _settle(rows[0])
        _update_destination(load.destination, groups)


def _write_group(load: Load, outcome: str, proof: Proof, code: str, sentence: str, ids: list[int], keep: bool) -> int:
    rows = load.held(ids)
    sentence = sentence[:500]
    attempts = load.attempts
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


def _update_destination(destination: Destination, groups: Groups) -> None:
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
            [series] = locked(Series.objects.filter(pk=pk))
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
