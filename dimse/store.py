"""C-STORE (PS3.4 Annex B, PS3.7 9.1.1): many instances over one association, each with its own result.

Files are sent as they are, in the transfer syntax they are in; nothing is decoded, transcoded or held in memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dimse.association import Association
from dimse.errors import AssociationError
from dimse.messages import C_STORE_RQ, C_STORE_RSP, WITH_DATASET, Command, Message
from dimse.negotiation import MAX_CONTEXTS, Proposal
from dimse.outgoing import DatasetChanged, DatasetSender
from dimse.peer import Instance, Peer
from dimse.status import STORAGE, Outcome, meaning_of

STORED_PER_SECOND = 20 << 20
UID_CHARACTERS = re.compile(r"[0-9.]{1,64}")


@dataclass(frozen=True)
class StoreResult:
    """What became of one instance.

    Attributes
    ----------
    instance : Instance
    status : int or None
        The status that the peer answered, None when it answered none.
    outcome : str
        `accepted`; `warning` (it has it, with a remark); `transient` (it has it not, try again); `permanent` (a person
        must act); `unknown` (it may have it: look before sending the same bytes again).
    sentence : str
        For the person on call; empty when accepted.
    """

    instance: Instance
    status: int | None
    outcome: Outcome
    sentence: str


def store(peer: Peer, instances: Sequence[Instance]) -> Iterator[StoreResult]:
    """Send `instances` to `peer` in their order and yield the result of each as soon as it is known.

    One association carries them all, unless they need more than its 128 presentation contexts. When it breaks, the
    instance in hand is `unknown` and the ones behind it are `transient`: they were not attempted.

    Raises
    ------
    AssociationError
        When an association cannot be opened; what has no result yet was not attempted.
    """
    for group in associations(instances):
        proposals = tuple(dict.fromkeys(map(proposal_of, filter(is_sendable, group))))
        if not proposals:
            yield from (_malformed(instance) for instance in group)
            continue
        with Association.open(peer, proposals) as association:
            yield from _store_on(association, group)


def proposal_of(instance: Instance) -> Proposal:
    """Return the presentation context that an instance needs: its class in its own transfer syntax, nothing else."""
    return Proposal(instance.sop_class_uid, (instance.transfer_syntax_uid,))


def is_sendable(instance: Instance) -> bool:
    """Say whether the UIDs of an instance fit into a request at all (PS3.5 9.1)."""
    uids = (instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid)
    return all(UID_CHARACTERS.fullmatch(uid) for uid in uids)


def associations(instances: Sequence[Instance]) -> Iterator[list[Instance]]:
    """Cut `instances` where an association would need more than 128 presentation contexts."""
    group: list[Instance] = []
    proposals: set[Proposal] = set()
    for instance in instances:
        proposal = proposal_of(instance)
        if is_sendable(instance):
            if proposal not in proposals and len(proposals) == MAX_CONTEXTS:
                yield group
                group, proposals = [], set()
            proposals.add(proposal)
        group.append(instance)
    if group:
        yield group


def _store_on(association: Association, group: list[Instance]) -> Iterator[StoreResult]:
    sender = DatasetSender(association.connection, association.max_pdu, association.peer)
    for number, instance in enumerate(group):
        try:
            yield _store_one(association, sender, instance)
        except (AssociationError, DatasetChanged) as error:
            association.abort()
            if isinstance(error, DatasetChanged):
                yield StoreResult(
                    instance, None, "transient", f"{error} {association.peer} did not get it. Will retry."
                )
            else:
                yield StoreResult(instance, None, "unknown", f"{error.sentence} The image in hand may have arrived.")
            for rest in group[number + 1 :]:
                sentence = f"Not sent to {association.peer}: the association broke at an earlier image. Will retry."
                yield StoreResult(rest, None, "transient", sentence)
            return


def _store_one(association: Association, sender: DatasetSender, instance: Instance) -> StoreResult:
    if not is_sendable(instance):
        return _malformed(instance)
    peer = association.peer
    proposal = proposal_of(instance)
    context = association.accepted(proposal)
    if context is None:
        sentence = (
            f"{peer} {association.refusal(proposal)} (SOP class {instance.sop_class_uid}, transfer syntax "
            f"{instance.transfer_syntax_uid}). Will not retry; it is not transcoded here, so enable that at the peer."
        )
        return StoreResult(instance, None, "permanent", sentence)
    try:
        file = os.open(instance.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        sentence = f"The file of an image cannot be read ({os.strerror(error.errno or 0)}). It was not sent to {peer}."
        lasting = isinstance(error, FileNotFoundError | PermissionError)
        return StoreResult(instance, None, "permanent" if lasting else "transient", sentence)
    try:
        size = os.fstat(file).st_size - instance.dataset_offset
        if size <= 0:
            return StoreResult(instance, None, "permanent", f"A file without a data set. It was not sent to {peer}.")
        message_id = association.next_message_id()
        sender.send(context.context_id, _command(instance, message_id), file, instance.dataset_offset, size)
    finally:
        os.close(file)
    return _result(peer, instance, association.answer(C_STORE_RSP, message_id, more_time=size / STORED_PER_SECOND))


def _malformed(instance: Instance) -> StoreResult:
    sentence = "An image with a malformed UID was not sent: a UID has digits and dots, at most 64. Will not retry."
    return StoreResult(instance, None, "permanent", sentence)


def _command(instance: Instance, message_id: int) -> Command:
    return {
        "AffectedSOPClassUID": instance.sop_class_uid,
        "CommandField": C_STORE_RQ,
        "MessageID": message_id,
        "Priority": 0,
        "CommandDataSetType": WITH_DATASET,
        "AffectedSOPInstanceUID": instance.sop_instance_uid,
    }


def _result(peer: Peer, instance: Instance, answer: Message) -> StoreResult:
    uid = answer.command.get("AffectedSOPInstanceUID")
    if uid and uid != instance.sop_instance_uid:
        raise AssociationError("protocol", f"{peer} answered for another SOP Instance UID than the one that was sent.")
    status = answer.number("Status") or 0
    meaning = meaning_of(status, STORAGE)
    if meaning.outcome == "accepted":
        return StoreResult(instance, status, "accepted", "")
    what_next = {"transient": " Will retry.", "permanent": " Will not retry."}.get(meaning.outcome, "")
    sentence = f"{peer} answered 0x{status:04X}, {meaning.meaning}.{what_next}"
    return StoreResult(instance, status, meaning.outcome, sentence)
