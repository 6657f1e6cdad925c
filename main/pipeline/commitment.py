"""Commitment: decide what a storage commitment request is answered, and bring the answer to the node that asked.

Committed is what no destination lacks any more, or with DICOM_COMMITMENT=received what is durable here. An answer is one
message, so it waits until every image of the request is decided (PS3.4 J.3.3).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

import dimse
from main import identity
from main.claims import Claim, backoff
from main.history import record
from main.models import Batch, CommitmentRequest, FileOutcome, Image, Node, PassedImage
from main.models.imaging import Status
from main.pipeline.register import original

# Reasons of a failure (PS3.3 C.14.1.1).
PROCESSING_FAILURE, NO_SUCH_INSTANCE, CLASS_AND_INSTANCE = 0x0110, 0x0112, 0x0119

# How long answered requests and images that were cleaned up are remembered.
REMEMBERED = timedelta(days=7)

# Images looked up at once.
_PIECE = 1000

# Waits between two looks at images that are not decided: a quarter of the request's age, within these.
_SOONEST, _LATEST = timedelta(seconds=1), timedelta(minutes=1)

# The failed tries that count for the wait before the next one.
_PATIENT_ATTEMPTS = 12

Reference = tuple[str, str]


@dataclass
class Decision:
    """What is answered about each image of a request, and how many are not decided yet."""

    committed: list[Reference] = field(default_factory=list)
    failed: list[tuple[str, str, int]] = field(default_factory=list)
    undecided: int = 0


def answer(held: Claim[CommitmentRequest]) -> None:
    """Answer the claimed request once it is decided; while its node is away, the answer is kept for it."""
    request, now = held.row, timezone.now()
    facts = identity.unseal_values(request.sealed)
    decision = decide(request, [(one, uid) for one, uid in facts["references"]])
    if decision.undecided:
        held.finish(_look_again_at(request, now), attempts=0)
        return
    held.hold(decided_at=request.decided_at or now)
    node = Node.objects.filter(pk=request.node, port__isnull=False).exclude(host="").first()
    if node is None:
        _give_up(held, "no-node", f"{request.sender} is registered no longer, or without host and port.")
        return
    try:
        dimse.report_commitment(
            node.peer(), dimse.CommitmentAnswer(facts["transaction"], decision.committed, decision.failed)
        )
    except dimse.DimseError as error:
        _try_again(held, error)
        return
    with transaction.atomic():
        committed, failed = len(decision.committed), len(decision.failed)
        held.finish(
            stage="",
            sealed="",
            answered_at=timezone.now(),
            committed=committed,
            failed=failed,
            attempts=0,
            error_code="",
            error="",
        )
        sentence = f"{request.sender} was told: committed to {committed} of {committed + failed} images."
        record("commitment", node_id=request.node, count=committed, sentence=sentence)


def decide(request: CommitmentRequest, references: Sequence[Reference]) -> Decision:
    """Decide about each image of a request as things are now."""
    now = timezone.now()
    too_late = now > request.requested_at + timedelta(hours=settings.DICOM_COMMITMENT_HOURS)
    arriving = not too_late and (
        now < request.requested_at + timedelta(seconds=settings.DICOM_COMMITMENT_WAIT)
        or Batch.objects.filter(stage="register", node=request.node, received_at__lte=request.requested_at).exists()
    )
    decision = Decision()
    for start in range(0, len(references), _PIECE):
        for reference, reason in _reasons(references[start : start + _PIECE]):
            if reason == _ON_ITS_WAY and not too_late or reason == NO_SUCH_INSTANCE and arriving:
                decision.undecided += 1
            elif reason is None:
                decision.committed.append(reference)
            else:
                decision.failed.append((*reference, PROCESSING_FAILURE if reason == _ON_ITS_WAY else reason))
    return decision


# In place of a reason: it may be committed to later.
_ON_ITS_WAY = -1


def _reasons(references: Sequence[Reference]) -> Iterator[tuple[Reference, int | None]]:
    """Say for each reference why it is not committed to; None when it is."""
    indexes = {uid: identity.blind_index("instance", uid) for _, uid in references}
    images: dict[str, list[Image]] = defaultdict(list)
    for image in Image.objects.filter(uid_index__in=indexes.values()).select_related("batch"):
        images[image.uid_index].append(image)
    # Another content under the same UID waits for a person: nobody may delete his copy of it now.
    held = FileOutcome.objects.filter(held=True, uid_index__in=indexes.values())
    doubtful = set(held.values_list("uid_index", flat=True))
    passed: dict[str, set[str]] = defaultdict(set)
    for index, sop_class_uid in PassedImage.objects.filter(uid_index__in=indexes.values()).values_list(
        "uid_index", "sop_class_uid"
    ):
        passed[index].add(sop_class_uid)
    for sop_class_uid, uid in references:
        index = indexes[uid]
        found = images[index]
        classes = {image.sop_class_uid for image in found} or passed[index]
        if index in doubtful:
            reason: int | None = PROCESSING_FAILURE
        elif not classes:
            reason = NO_SUCH_INSTANCE
        elif sop_class_uid not in classes:
            reason = CLASS_AND_INSTANCE
        else:
            reason = max((_reason(image) for image in found), key=_gravity, default=None)
        yield (sop_class_uid, uid), reason


def _reason(image: Image) -> int | None:
    if image.status in (Status.SENT, Status.DONE):
        return None
    if image.status == Status.EXCLUDED:
        return PROCESSING_FAILURE
    if settings.DICOM_COMMITMENT == "received":
        return None if original(image).exists() else PROCESSING_FAILURE
    return PROCESSING_FAILURE if image.status == Status.QUARANTINED else _ON_ITS_WAY


def _gravity(reason: int | None) -> int:
    return (None, _ON_ITS_WAY, PROCESSING_FAILURE).index(reason)


def _look_again_at(request: CommitmentRequest, now: datetime) -> datetime:
    return now + min(_LATEST, max(_SOONEST, (now - request.requested_at) / 4))


def _try_again(held: Claim[CommitmentRequest], error: dimse.DimseError) -> None:
    """The node did not take the answer: later, unless it refused it for good or was away for too long."""
    request = held.row
    since = request.decided_at or timezone.now()
    over = timezone.now() > since + timedelta(hours=settings.DICOM_COMMITMENT_HOURS)
    if over or isinstance(error, dimse.RequestFailed) and not error.transient:
        _give_up(held, "not-taken", error.sentence)
        return
    tries = min(request.attempts, _PATIENT_ATTEMPTS)
    held.finish(backoff(tries), attempts=tries, error_code="waiting", error=error.sentence[:500])


def _give_up(held: Claim[CommitmentRequest], code: str, sentence: str) -> None:
    with transaction.atomic():
        held.finish(stage="", attempts=0, error_code=code, error=sentence[:500])
        sentence = f"A storage commitment answer was not brought. {sentence}"
        record("commitment-lost", node_id=held.row.node, sentence=sentence)


def remember_passed(images: QuerySet[Image]) -> None:
    """Remember images that are about to be cleaned up, so that a request for them is still answered."""
    now = timezone.now()
    PassedImage.objects.bulk_create(
        (
            PassedImage(uid_index=index, sop_class_uid=sop_class_uid, at=now)
            for index, sop_class_uid in images.order_by("uid_index")
            .values_list("uid_index", "sop_class_uid")
            .distinct()
        ),
        batch_size=2000,
        update_conflicts=True,
        unique_fields=["uid_index", "sop_class_uid"],
        update_fields=["at"],
    )


def forget_old() -> int:
    """Forget requests that ended, and images that were cleaned up, after some days; returns how many."""
    edge = timezone.now() - REMEMBERED
    requests, _ = CommitmentRequest.objects.filter(stage="", requested_at__lt=edge).delete()
    images, _ = PassedImage.objects.filter(at__lt=edge).delete()
    return requests + images
