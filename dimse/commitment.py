"""Storage commitment (PS3.4 Annex J): asking the peer to take responsibility, and reading its answer.

The answer usually comes on an association that the peer opens, hours later or at once: `dimse.listener` waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time from the standard's table
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from dimse.association import Association
from dimse.errors import AssociationError, NotSupported, RequestFailed
from dimse.messages import (
    N_ACTION_RQ,
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
from dimse.negotiation import Accepted, Proposal
from dimse.peer import Instance, Peer
from dimse.status import GENERAL, SUCCESS, meaning_of

COMMITMENT = Proposal(str(StorageCommitmentPushModel), (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)))
REQUEST_COMMITMENT = 1
SHORT_WAIT = 0.3
REFUSED_FOR_GOOD = (0x0112, 0x0118, 0x0122, 0x0123, 0x0124, 0x0211)
CANNOT_PROCESS = 0x0110


@dataclass(frozen=True)
class CommitmentAnswer:
    """What the peer takes responsibility for, and what not and why (`dimse.status.COMMITMENT_FAILURES`).

    Attributes
    ----------
    transaction_uid : str
        The one of the request; compare it, for whoever reaches our port can send an answer.
    committed : list of (SOP Class UID, SOP Instance UID)
    failed : list of (SOP Class UID, SOP Instance UID, failure reason)
    """

    transaction_uid: str
    committed: list[tuple[str, str]]
    failed: list[tuple[str, str, int]]


def request_commitment(
    peer: Peer, transaction_uid: str, instances: Collection[Instance], *, wait: float = SHORT_WAIT
) -> CommitmentAnswer | None:
    """Ask `peer` to commit to `instances` (N-ACTION, PS3.4 J.3.2) and return when it has taken the request.

    Ask for some hundreds at once: the time that Orthanc takes to answer grows with the square of their number
    (0.3 s for 500, 8 s for 2,000).

    Returns
    -------
    CommitmentAnswer or None
        The answer when it comes on this association within `wait` seconds, else None: it will come to the listener.

    Raises
    ------
    AssociationError
        When no association comes about or it ends before the request is taken.
    NotSupported
        When the peer does not offer storage commitment, or aborts when it is asked (Orthanc does to who is unknown).
    RequestFailed
        When it cannot process the request now.
    """
    with Association.open(peer, (COMMITMENT,)) as association:
        context = association.accepted(COMMITMENT)
        if context is None:
            raise NotSupported(f"{peer} {association.refusal(COMMITMENT)}: no storage commitment there.")
        command: Command = {
            "CommandField": N_ACTION_RQ,
            "RequestedSOPClassUID": COMMITMENT.sop_class_uid,
            "RequestedSOPInstanceUID": str(StorageCommitmentPushModelInstance),
            "ActionTypeID": REQUEST_COMMITMENT,
        }
        wanted = encode_dataset(_referenced(transaction_uid, instances), context.transfer_syntax_uid)
        request = association.ask(context, command, wanted)
        early: list[Message] = []
        try:
            status = association.answer(N_ACTION_RSP, request, aside=early).number("Status") or SUCCESS
        except AssociationError as error:
            if error.kind != "aborted":
                raise
            sentence = (
                f"{peer} aborts when it is asked for storage commitment: it may not know {peer.calling_ae_title}."
            )
            raise NotSupported(f"{sentence} Register it there with its address (Orthanc: DicomModalities).") from error
        _check(peer, status)
        return _answer_at_once(association, context, transaction_uid, wait, early)


def read_event_report(message: Message, transfer_syntax_uid: str) -> CommitmentAnswer:
    """Read the event information of an N-EVENT-REPORT (PS3.4 J.3.3).

    Raises
    ------
    ValueError
        When it is not one of storage commitment, or cannot be read.
    """
    if message.command.get("AffectedSOPClassUID") != COMMITMENT.sop_class_uid:
        raise ValueError("an event report of something else than storage commitment")
    try:
        event = decode_dataset(message.dataset, transfer_syntax_uid)
        committed = [_reference(item) for item in event.get("ReferencedSOPSequence") or ()]
        failed = [(*_reference(item), int(item.FailureReason)) for item in event.get("FailedSOPSequence") or ()]
        transaction_uid = text_of(event, "TransactionUID")
    except Exception as error:  # noqa: BLE001  # a parser of foreign bytes raises whatever it meets
        raise ValueError("an event report that cannot be read") from error
    if not transaction_uid:
        raise ValueError("an event report without its transaction UID")
    return CommitmentAnswer(transaction_uid, committed, failed)


def event_report_reply(message: Message, status: int) -> Message:
    """Return the N-EVENT-REPORT response to `message`."""
    command: Command = {
        "CommandField": N_EVENT_REPORT_RSP,
        "MessageIDBeingRespondedTo": message.number("MessageID") or 0,
        "AffectedSOPClassUID": COMMITMENT.sop_class_uid,
        "AffectedSOPInstanceUID": str(StorageCommitmentPushModelInstance),
        "Status": status,
    }
    event_type = message.number("EventTypeID")
    if event_type is not None:
        command["EventTypeID"] = event_type
    return Message(message.context_id, command)


def _referenced(transaction_uid: str, instances: Collection[Instance]) -> Dataset:
    action = Dataset()
    put_uids(action, "TransactionUID", transaction_uid)
    items = []
    for instance in instances:
        item = Dataset()
        put_uids(item, "ReferencedSOPClassUID", instance.sop_class_uid)
        put_uids(item, "ReferencedSOPInstanceUID", instance.sop_instance_uid)
        items.append(item)
    action.ReferencedSOPSequence = items
    return action


def _reference(item: Dataset) -> tuple[str, str]:
    named = text_of(item, "ReferencedSOPClassUID"), text_of(item, "ReferencedSOPInstanceUID")
    if not all(named):
        raise ValueError("a reference without its UIDs")
    return named


def _check(peer: Peer, status: int) -> None:
    if status == SUCCESS:
        return
    meaning = meaning_of(status, GENERAL)
    sentence = f"{peer} answered a storage commitment request with 0x{status:04X}, {meaning.meaning}."
    if status in REFUSED_FOR_GOOD:
        raise NotSupported(sentence)
    raise RequestFailed(status, sentence, transient=meaning.outcome == "transient")


def _answer_at_once(
    association: Association, context: Accepted, transaction_uid: str, wait: float, early: list[Message]
) -> CommitmentAnswer | None:
    """Wait a moment for the answer on our own association; the request is taken, so nothing here is an error.

    A peer that is quick reports before it has confirmed the request: such a report is in `early`.
    """
    deadline = time.monotonic() + wait
    try:
        while early or time.monotonic() < deadline:
            message = early.pop() if early else association.receive(deadline - time.monotonic())
            if message.number("CommandField") != N_EVENT_REPORT_RQ:
                return None
            answer = _read_or_none(message, context.transfer_syntax_uid)
            ours = answer is not None and answer.transaction_uid == transaction_uid
            association.reply(event_report_reply(message, SUCCESS if ours else CANNOT_PROCESS))
            if ours:
                return answer
    except AssociationError:
        return None
    return None


def _read_or_none(message: Message, transfer_syntax_uid: str) -> CommitmentAnswer | None:
    try:
        return read_event_report(message, transfer_syntax_uid)
    except ValueError:
        return None
