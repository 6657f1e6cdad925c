"""C-ECHO (PS3.4 Annex A): does the peer answer, and does it know us."""

from __future__ import annotations

from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time from the standard's table

from dimse.association import Association
from dimse.errors import NotSupported, RequestFailed
from dimse.messages import C_ECHO_RQ, C_ECHO_RSP
from dimse.negotiation import Proposal
from dimse.peer import Peer
from dimse.status import GENERAL, SUCCESS, meaning_of

VERIFICATION = Proposal(str(Verification), (str(ImplicitVRLittleEndian),))


def echo(peer: Peer) -> None:
    """Return when `peer` has answered a C-ECHO with success (PS3.7 9.1.5).

    Raises
    ------
    AssociationError
        When no association comes about or it ends without the answer.
    NotSupported
        When the peer does not offer verification.
    RequestFailed
        When it answers with another status.
    """
    with Association.open(peer, (VERIFICATION,)) as association:
        context = association.accepted(VERIFICATION)
        if context is None:
            raise NotSupported(f"{peer} {association.refusal(VERIFICATION)}: no C-ECHO there, its state is unknown.")
        request = association.ask(
            context, {"CommandField": C_ECHO_RQ, "AffectedSOPClassUID": VERIFICATION.sop_class_uid}
        )
        status = association.answer(C_ECHO_RSP, request).number("Status") or SUCCESS
    if status != SUCCESS:
        meaning = meaning_of(status, GENERAL)
        sentence = f"{peer} answered a C-ECHO with 0x{status:04X}, {meaning.meaning}."
        raise RequestFailed(status, sentence, transient=meaning.outcome == "transient")
