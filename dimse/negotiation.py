"""The association request and its answers: presentation contexts, accepted or refused, and why (PS3.8 9.3.2-9.3.4).

The bytes are pynetdicom's work; here stands what we ask for and what an answer means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID
from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext

from dimse.errors import AssociationError
from dimse.peer import Peer

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
MAX_CONTEXTS = 128
DEFAULT_PDU = 16_384
LARGEST_SENT_PDU = 131_072

# Why a presentation context was not accepted (PS3.8 Table 9-18).
REFUSALS = {
    1: "refused it",
    2: "refused it without a reason",
    3: "does not support the SOP class",
    4: "does not support the transfer syntax",
}

# Why an association was rejected: (source, reason) of an A-ASSOCIATE-RJ (PS3.8 Table 9-21).
REJECTIONS = {
    (1, 1): "no reason given",
    (1, 2): "application context not supported",
    (1, 3): "calling AE title '{calling}' not recognised",
    (1, 7): "called AE title '{called}' not recognised",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "it is congested",
    (3, 2): "it has too many associations",
}
ADVICE = {
    (1, 3): "Register {calling} there or set DICOM_AE_TITLE.",
    (1, 7): "Check the AE title that is configured for it here.",
}


@dataclass(frozen=True)
class Proposal:
    """One presentation context: a SOP class in one of some transfer syntaxes.

    `as_provider`: we are its provider (SCP) although we open the association (PS3.7 D.3.3.4).
    """

    sop_class_uid: str
    transfer_syntax_uids: tuple[str, ...]
    as_provider: bool = False


@dataclass(frozen=True)
class Accepted:
    """A presentation context that the peer accepted, with the transfer syntax that it chose."""

    context_id: int
    transfer_syntax_uid: str


@dataclass(frozen=True)
class Agreement:
    """What an A-ASSOCIATE-AC agreed to; `refused` says for a proposal why it was not accepted."""

    accepted: dict[Proposal, Accepted]
    refused: dict[Proposal, str]
    max_pdu: int


def user_information(max_pdu: int) -> list[Any]:
    """Return the user information items that every request and every acceptance of ours carries (PS3.7 D.3.3)."""
    length = MaximumLengthNotification()
    length.maximum_length_received = max_pdu
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(PYNETDICOM_IMPLEMENTATION_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = PYNETDICOM_IMPLEMENTATION_VERSION
    return [length, implementation, version]


def request(peer: Peer, proposals: tuple[Proposal, ...]) -> bytes:
    """Return the A-ASSOCIATE-RQ PDU that proposes `proposals` (at most 128), with the ids 1, 3, 5, ..."""
    if len(proposals) > MAX_CONTEXTS:
        raise ValueError(f"{len(proposals)} presentation contexts; an association has at most {MAX_CONTEXTS}")
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID(APPLICATION_CONTEXT)
    primitive.calling_ae_title = peer.calling_ae_title
    primitive.called_ae_title = peer.ae_title
    contexts = []
    for number, proposal in enumerate(proposals):
        context = PresentationContext()
        context.context_id = context_id(number)
        context.abstract_syntax = UID(proposal.sop_class_uid)
        context.transfer_syntax = [UID(uid) for uid in proposal.transfer_syntax_uids]
        contexts.append(context)
    primitive.presentation_context_definition_list = contexts
    primitive.user_information = user_information(peer.max_pdu) + _roles(proposals)
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def _roles(proposals: tuple[Proposal, ...]) -> list[Any]:
    roles = []
    for sop_class_uid in sorted({proposal.sop_class_uid for proposal in proposals if proposal.as_provider}):
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid = UID(sop_class_uid)
        role.scu_role, role.scp_role = False, True
        roles.append(role)
    return roles


def context_id(number: int) -> int:
    """Return the id of the n-th proposal: ids are odd (PS3.8 9.3.2.2)."""
    return 2 * number + 1


def agreement(pdu: bytes, proposals: tuple[Proposal, ...]) -> Agreement:
    """Read an A-ASSOCIATE-AC.

    Raises
    ------
    ValueError
        When it is not one.
    """
    answer = A_ASSOCIATE_AC()
    try:
        answer.decode(pdu)
        primitive = answer.to_primitive()
        results = {context.context_id: context for context in primitive.presentation_context_definition_results_list}
        limit = primitive.maximum_length_received
    except Exception as error:  # noqa: BLE001  # a decoder of foreign bytes raises whatever it meets
        raise ValueError("an association acceptance that cannot be read") from error
    accepted: dict[Proposal, Accepted] = {}
    refused: dict[Proposal, str] = {}
    for number, proposal in enumerate(proposals):
        result = results.get(context_id(number))
        chosen = str(result.transfer_syntax[0]) if result is not None and result.transfer_syntax else ""
        if result is not None and result.result == 0 and chosen in proposal.transfer_syntax_uids:
            accepted[proposal] = Accepted(context_id(number), chosen)
        else:
            code = 4 if result is not None and result.result == 0 else getattr(result, "result", None)
            refused[proposal] = REFUSALS.get(code or 1, REFUSALS[1])
    return Agreement(accepted, refused, usable_pdu(limit))


def usable_pdu(limit: int | None) -> int:
    """Return the size of PDU to send to a peer that receives `limit` bytes (0 is no limit, None is not said)."""
    if limit is None:
        return DEFAULT_PDU
    return LARGEST_SENT_PDU if limit == 0 else max(128, min(limit, LARGEST_SENT_PDU))


def rejection(pdu: bytes, peer: Peer) -> AssociationError:
    """Return the error for an A-ASSOCIATE-RJ, in words."""
    answer = A_ASSOCIATE_RJ()
    answer.decode(pdu)
    key = (answer.source or 0, answer.reason_diagnostic or 0)
    names = {"calling": peer.calling_ae_title, "called": peer.ae_title}
    transient = answer.result == 2 or key[0] == 3
    reason = REJECTIONS.get(key, f"source {key[0]}, reason {key[1]}").format(**names)
    advice = "Will retry." if transient else ADVICE.get(key, "Will not retry.").format(**names)
    sentence = f"{peer} rejected the association: {reason}. {advice}"
    return AssociationError("rejected", sentence, transient=transient, reason=key)
