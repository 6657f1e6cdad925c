"""Storage commitment as its provider (PS3.4 Annex J): reading what a caller asks us to take responsibility for, answering.

The answer goes over an association that we open, as it may take hours. What is answered is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset
from pynetdicom.sop_class import StorageCommitmentPushModelInstance

from dimse.association import Association
from dimse.commitment import COMMITMENT, REQUEST_COMMITMENT, CommitmentAnswer
from dimse.errors import NotSupported, RequestFailed
from dimse.messages import (
    N_ACTION_RSP,
    N_EVENT_REPORT_RQ,
    N_EVENT_REPORT_RSP,
    Command,
    Message,
    decode_dataset,
    encode_dataset,
    put_uids,
    text_of,
)
from dimse.negotiation import Proposal
from dimse.peer import Peer
from dimse.status import GENERAL, SUCCESS, meaning_of

ALL_COMMITTED, SOME_FAILED = 1, 2

# The largest request: it is read at once, and its answer is one message.
MOST_REFERENCES = 20_000

NO_SUCH_INSTANCE, INVALID_VALUE, NO_SUCH_CLASS, NO_SUCH_ACTION = 0x0112, 0x0115, 0x0118, 0x0123
NOT_AUTHORISED, PROCESSING_FAILURE, RESOURCE_LIMITATION = 0x0124, 0x0110, 0x0213

_INSTANCE = str(StorageCommitmentPushModelInstance)
_ITEM = b"\xfe\xff\x00\xe0"  # (FFFE,E000) in little endian; nothing else of such a request can look so
_UID = re.compile(r"[0-9.]{1,64}")
_REPORT: Proposal = replace(COMMITMENT, as_provider=True)


class ActionRefused(Exception):
    """A request is not taken.

    Parameters
    ----------
    status : int
        What is answered (PS3.7 10.1.4.1.10).
    comment : str
        Why, in at most 64 ASCII characters, without a value of the request.
    """

    def __init__(self, status: int, comment: str) -> None:
        super().__init__(f"0x{status:04X}: {comment}")
        self.status, self.comment = status, comment


@dataclass(frozen=True)
class CommitmentAction:
    """What a caller asks for (PS3.4 J.3.2).

    Attributes
    ----------
    transaction_uid : str
    references : tuple of (SOP Class UID, SOP Instance UID)
        Each once, in the order of the request.
    """

    transaction_uid: str
    references: tuple[tuple[str, str], ...]


def read_action(message: Message, transfer_syntax_uid: str) -> CommitmentAction:
    """Read an N-ACTION request.

    Raises
    ------
    ActionRefused
        When it is not one of storage commitment, names something that is no UID, or names more than 20,000 instances.
    """
    if message.command.get("RequestedSOPClassUID") != COMMITMENT.sop_class_uid:
        raise ActionRefused(NO_SUCH_CLASS, "only storage commitment is offered")
    if message.command.get("RequestedSOPInstanceUID") != _INSTANCE:
        raise ActionRefused(NO_SUCH_INSTANCE, "not the well-known instance")
    if message.number("ActionTypeID") != REQUEST_COMMITMENT:
        raise ActionRefused(NO_SUCH_ACTION, "only action type 1 is offered")
    if message.dataset.count(_ITEM) > MOST_REFERENCES:
        raise ActionRefused(RESOURCE_LIMITATION, f"more than {MOST_REFERENCES} instances at once")
    try:
        action = decode_dataset(message.dataset, transfer_syntax_uid)
        transaction_uid = text_of(action, "TransactionUID")
        items = list(action.get("ReferencedSOPSequence") or ())
        found = [(text_of(item, "ReferencedSOPClassUID"), text_of(item, "ReferencedSOPInstanceUID")) for item in items]
    except Exception:  # noqa: BLE001  # a parser of foreign bytes raises whatever it meets
        raise ActionRefused(INVALID_VALUE, "the request cannot be read") from None
    if not _UID.fullmatch(transaction_uid):
        raise ActionRefused(INVALID_VALUE, "no Transaction UID")
    if not found or not all(_UID.fullmatch(uid) for pair in found for uid in pair):
        raise ActionRefused(INVALID_VALUE, "no instances, or one without its UIDs")
    return CommitmentAction(transaction_uid, tuple(dict.fromkeys(found)))


def action_reply(message: Message, status: int, comment: str = "") -> Message:
    """Return the N-ACTION response to `message`."""
    command: Command = {
        "CommandField": N_ACTION_RSP,
        "MessageIDBeingRespondedTo": message.number("MessageID") or 0,
        "AffectedSOPClassUID": COMMITMENT.sop_class_uid,
        "AffectedSOPInstanceUID": _INSTANCE,
        "Status": status,
    }
    if comment:
        command["ErrorComment"] = comment[:64]
    return Message(message.context_id, command)


def report_commitment(peer: Peer, answer: CommitmentAnswer) -> None:
    """Bring `answer` to `peer` (N-EVENT-REPORT, PS3.4 J.3.3) on an association of its own, in the role of the provider.

    A peer that does not agree to the roles gets it all the same: many do not answer to that item.

    Raises
    ------
    AssociationError
        When no association comes about or it ends before the answer is taken.
    NotSupported
        When the peer does not take such answers here.
    RequestFailed
        When it does not take this one.
    """
    with Association.open(peer, (_REPORT,)) as association:
        context = association.accepted(_REPORT)
        if context is None:
            raise NotSupported(f"{peer} {association.refusal(_REPORT)}: it takes no storage commitment answers there.")
        command: Command = {
            "CommandField": N_EVENT_REPORT_RQ,
            "AffectedSOPClassUID": COMMITMENT.sop_class_uid,
            "AffectedSOPInstanceUID": _INSTANCE,
            "EventTypeID": SOME_FAILED if answer.failed else ALL_COMMITTED,
        }
        request = association.ask(context, command, encode_dataset(_event(answer), context.transfer_syntax_uid))
        status = association.answer(N_EVENT_REPORT_RSP, request).number("Status") or SUCCESS
    meaning = meaning_of(status, GENERAL)
    if meaning.outcome not in ("accepted", "warning"):
        sentence = f"{peer} answered our storage commitment report with 0x{status:04X}, {meaning.meaning}."
        raise RequestFailed(status, sentence, transient=meaning.outcome == "transient")


def _event(answer: CommitmentAnswer) -> Dataset:
    event = Dataset()
    put_uids(event, "TransactionUID", answer.transaction_uid)
    if answer.committed:
        event.ReferencedSOPSequence = list(_items(answer.committed))
    if answer.failed:
        event.FailedSOPSequence = list(_items(answer.failed))
    return event


def _items(references: Iterable[tuple[str, str] | tuple[str, str, int]]) -> Iterable[Dataset]:
    for sop_class_uid, sop_instance_uid, *reason in references:
        item = Dataset()
        put_uids(item, "ReferencedSOPClassUID", sop_class_uid)
        put_uids(item, "ReferencedSOPInstanceUID", sop_instance_uid)
        if reason:
            item.FailureReason = reason[0]
        yield item
