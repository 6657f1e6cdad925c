"""C-FIND (PS3.4 Annex C) of the one kind that a proof needs: which of these instances does the peer have?"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time from the standard's table
    StudyRootQueryRetrieveInformationModelFind,
)

from dimse.association import Association
from dimse.errors import NotSupported, RequestFailed
from dimse.messages import C_FIND_RQ, C_FIND_RSP, Command, decode_dataset, encode_dataset, put_uids, text_of
from dimse.negotiation import Accepted, Proposal
from dimse.peer import Peer
from dimse.status import FIND, PENDING, SUCCESS, meaning_of

STUDY_ROOT_FIND = Proposal(
    str(StudyRootQueryRetrieveInformationModelFind), (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
)
ASKED_AT_ONCE = 100
MOST_MATCHES_PER_QUESTION = 20


def find_instances(peer: Peer, study_uid: str, series_uid: str, sop_uids: Collection[str]) -> set[str]:
    """Ask `peer` at IMAGE level for `sop_uids` of one series and return those that it has.

    The UIDs are asked for by list matching (PS3.4 C.2.2.2.2), a few hundred at once, so that neither a limit on
    matches nor the size of the series decides what is found.

    Raises
    ------
    AssociationError
        When no association comes about or it ends before the last answer.
    NotSupported
        When the peer offers no Study Root C-FIND.
    RequestFailed
        When it answers with a failure.
    """
    wanted = list(dict.fromkeys(sop_uids))
    found: set[str] = set()
    if not wanted:
        return found
    with Association.open(peer, (STUDY_ROOT_FIND,)) as association:
        context = association.accepted(STUDY_ROOT_FIND)
        if context is None:
            refusal = association.refusal(STUDY_ROOT_FIND)
            raise NotSupported(f"{peer} {refusal} (Study Root C-FIND); it cannot say which images it has.")
        for at in range(0, len(wanted), ASKED_AT_ONCE):
            found |= _ask(association, context, study_uid, series_uid, wanted[at : at + ASKED_AT_ONCE])
    return found.intersection(wanted)


def _ask(association: Association, context: Accepted, study_uid: str, series_uid: str, uids: Sequence[str]) -> set[str]:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    put_uids(identifier, "StudyInstanceUID", study_uid)
    put_uids(identifier, "SeriesInstanceUID", series_uid)
    put_uids(identifier, "SOPInstanceUID", *uids)
    encoded = encode_dataset(identifier, context.transfer_syntax_uid)
    command: Command = {"CommandField": C_FIND_RQ, "AffectedSOPClassUID": STUDY_ROOT_FIND.sop_class_uid, "Priority": 0}
    request = association.ask(context, command, encoded)
    found: set[str] = set()
    for _ in range(len(uids) * MOST_MATCHES_PER_QUESTION + 1):
        answer = association.answer(C_FIND_RSP, request)
        status = answer.number("Status") or SUCCESS
        if status == SUCCESS:
            return found
        if status not in PENDING:
            meaning = meaning_of(status, FIND)
            sentence = f"{association.peer} answered a C-FIND with 0x{status:04X}, {meaning.meaning}."
            raise RequestFailed(status, sentence, transient=meaning.outcome == "transient")
        found.add(_sop_instance_uid(answer.dataset, context, association))
    raise association.connection.broken("it answered a C-FIND with far more matches than were asked for")


def _sop_instance_uid(identifier: bytes, context: Accepted, association: Association) -> str:
    try:
        return text_of(decode_dataset(identifier, context.transfer_syntax_uid), "SOPInstanceUID")
    except Exception as error:  # noqa: BLE001  # a parser of foreign bytes raises whatever it meets
        raise association.connection.broken("it answered a C-FIND with a match that cannot be read") from error
