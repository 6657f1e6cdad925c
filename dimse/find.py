"""C-FIND (PS3.4 Annex C): which of these instances does the peer have, and how many does a study have there?"""

from __future__ import annotations

from collections.abc import Collection, Iterator

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
MOST_SERIES, MOST_IMAGES = 10_000, 200_000


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
        context = _context(association)
        for at in range(0, len(wanted), ASKED_AT_ONCE):
            asked = wanted[at : at + ASKED_AT_ONCE]
            identifier = _identifier("IMAGE", StudyInstanceUID=[study_uid], SeriesInstanceUID=[series_uid])
            put_uids(identifier, "SOPInstanceUID", *asked)
            matches = _matches(association, context, identifier, len(asked) * MOST_MATCHES_PER_QUESTION)
            found.update(text_of(match, "SOPInstanceUID") for match in matches)
    return found.intersection(wanted)


def count_instances(peer: Peer, study_uid: str) -> int:
    """Ask `peer` how many instances it has of a study.

    Number of Study Related Instances (0020,1208) is asked for at STUDY level; of a peer that does not say it, the
    instances of each series are counted at IMAGE level.

    Raises
    ------
    AssociationError, NotSupported, RequestFailed
        As `find_instances`.
    """
    with Association.open(peer, (STUDY_ROOT_FIND,)) as association:
        context = _context(association)
        identifier = _identifier("STUDY", StudyInstanceUID=[study_uid])
        identifier.NumberOfStudyRelatedInstances = None
        studies = list(_matches(association, context, identifier, MOST_MATCHES_PER_QUESTION))
        said = [text_of(study, "NumberOfStudyRelatedInstances").strip() for study in studies]
        if all(text.isdecimal() and len(text) < 10 for text in said):
            return max((int(text) for text in said), default=0)
        return _counted(association, context, study_uid)


def _counted(association: Association, context: Accepted, study_uid: str) -> int:
    identifier = _identifier("SERIES", StudyInstanceUID=[study_uid], SeriesInstanceUID=[])
    series = {text_of(match, "SeriesInstanceUID") for match in _matches(association, context, identifier, MOST_SERIES)}
    found: set[str] = set()
    for uid in series:
        identifier = _identifier("IMAGE", StudyInstanceUID=[study_uid], SeriesInstanceUID=[uid], SOPInstanceUID=[])
        matches = _matches(association, context, identifier, MOST_IMAGES)
        found.update(text_of(match, "SOPInstanceUID") for match in matches)
    return len(found)


def _context(association: Association) -> Accepted:
    context = association.accepted(STUDY_ROOT_FIND)
    if context is None:
        refusal = association.refusal(STUDY_ROOT_FIND)
        raise NotSupported(f"{association.peer} {refusal} (Study Root C-FIND); it cannot say which images it has.")
    return context


def _identifier(level: str, **uids: list[str]) -> Dataset:
    """Return an identifier of `level`; a key without a UID asks for its values (PS3.4 C.2.2.2.3)."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, values in uids.items():
        put_uids(identifier, keyword, *values)
    return identifier


def _matches(association: Association, context: Accepted, identifier: Dataset, most: int) -> Iterator[Dataset]:
    """Ask one question and yield the matches."""
    encoded = encode_dataset(identifier, context.transfer_syntax_uid)
    command: Command = {"CommandField": C_FIND_RQ, "AffectedSOPClassUID": STUDY_ROOT_FIND.sop_class_uid, "Priority": 0}
    request = association.ask(context, command, encoded)
    for _ in range(most + 1):
        answer = association.answer(C_FIND_RSP, request)
        status = answer.number("Status") or SUCCESS
        if status == SUCCESS:
            return
        if status not in PENDING:
            meaning = meaning_of(status, FIND)
            sentence = f"{association.peer} answered a C-FIND with 0x{status:04X}, {meaning.meaning}."
            raise RequestFailed(status, sentence, transient=meaning.outcome == "transient")
        yield _decoded(answer.dataset, context, association)
    raise association.connection.broken("it answered a C-FIND with far more matches than were asked for")


def _decoded(identifier: bytes, context: Accepted, association: Association) -> Dataset:
    try:
        return decode_dataset(identifier, context.transfer_syntax_uid)
    except Exception as error:  # noqa: BLE001  # a parser of foreign bytes raises whatever it meets
        raise association.connection.broken("it answered a C-FIND with a match that cannot be read") from error
