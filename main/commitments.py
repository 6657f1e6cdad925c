"""Storage commitment as the receiver hears of it: what is asked is kept before it is acknowledged, and answered later.

What is answered is decided and brought by `main/pipeline/commitment.py`. No UID is logged here.
"""

from __future__ import annotations

import json
import logging

from django.db import connection, transaction
from django.utils import timezone

from dimse import ActionRefused, CommitmentAction, action_reply, read_action
from dimse.commitment import CANNOT_PROCESS, event_report_reply, read_event_report
from dimse.commitment_provider import INVALID_VALUE, NOT_AUTHORISED, PROCESSING_FAILURE, RESOURCE_LIMITATION
from dimse.messages import N_ACTION_RQ, N_EVENT_REPORT_RQ, Message
from dimse.status import SUCCESS
from main import bells, identity
from main.claims import ANEW
from main.errors import describe
from main.models import Commitment, CommitmentRequest, Node

log = logging.getLogger(__name__)

# Requests of one node that wait for their answer at a time.
MOST_OPEN = 1000


def answer(
    message: Message, transfer_syntax_uid: str, *, node: int | None, calling_ae_title: str = ""
) -> Message | None:
    """Answer a message of storage commitment; None when it is none. Nothing is raised.

    Parameters
    ----------
    message : Message
        An N-ACTION by which a caller asks for commitment, or an N-EVENT-REPORT that answers a request of ours.
    node : int or None
        The node that was let in; one that is not registered cannot be answered.
    """
    field = message.number("CommandField")
    if field not in (N_ACTION_RQ, N_EVENT_REPORT_RQ):
        return None
    try:
        if field == N_EVENT_REPORT_RQ:
            return event_report_reply(message, _keep_answer(message, transfer_syntax_uid))
        requested(node, calling_ae_title, read_action(message, transfer_syntax_uid))
    except ActionRefused as refused:
        log.warning("A request for storage commitment was refused: %s.", refused.comment)
        return action_reply(message, refused.status, refused.comment)
    except Exception as error:  # noqa: BLE001 - whatever the database raises, the caller must hear that we have it not
        log.error("A request for storage commitment could not be kept: %s", describe(error)[1])
        return action_reply(message, PROCESSING_FAILURE)
    finally:
        if not connection.in_atomic_block:
            connection.close()  # an association's thread ends with it
    return action_reply(message, SUCCESS)


def requested(node: int | None, calling_ae_title: str, action: CommitmentAction) -> None:
    """Keep a request; the same one again is answered again.

    Raises
    ------
    ActionRefused
        When the answer could not be brought to anybody, the transaction is another one, or too many are open.
    """
    asker = Node.objects.filter(pk=node, port__isnull=False).exclude(host="").first() if node is not None else None
    if asker is None:
        raise ActionRefused(NOT_AUTHORISED, "no host and port are registered to answer to")
    now = timezone.now()
    facts = {"transaction": action.transaction_uid, "references": action.references}
    due = {
        "content_index": identity.blind_index("commitment", json.dumps(sorted(action.references))),
        "sealed": identity.seal(facts),
        "instances": len(action.references),
        "sender": asker.name,
        "calling_ae_title": calling_ae_title[:16],
        "stage": "commitment",
        "due_at": now,
        "requested_at": now,
    }
    index = identity.blind_index("transaction", action.transaction_uid)
    with transaction.atomic():
        open_ones = CommitmentRequest.objects.filter(node=asker.pk, stage="commitment")
        if open_ones.count() >= MOST_OPEN:
            raise ActionRefused(RESOURCE_LIMITATION, "too many requests are open")
        found, created = CommitmentRequest.objects.get_or_create(node=asker.pk, transaction_index=index, defaults=due)
        if not created and found.content_index != due["content_index"]:
            raise ActionRefused(INVALID_VALUE, "the Transaction UID is in use for other instances")
        if not created:
            again = CommitmentRequest.objects.filter(pk=found.pk, stage="")
            again.update(**due, decided_at=None, answered_at=None, **ANEW)
        bells.ring("commitment")


def _keep_answer(message: Message, transfer_syntax_uid: str) -> int:
    """Keep the answer to a request of ours; what was not asked for is ignored."""
    try:
        found = read_event_report(message, transfer_syntax_uid)
        Commitment.answer(found.transaction_uid, found.committed, found.failed)
    except Exception as error:  # noqa: BLE001 - what cannot be read or kept is answered so
        log.error("A storage commitment answer could not be kept: %s.", type(error).__name__)
        return CANNOT_PROCESS
    return SUCCESS
