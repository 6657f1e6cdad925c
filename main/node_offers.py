"""What another application entity takes: asked by proposing presentation contexts, without sending anything.

Names are those of the standard's dictionary (PS3.6), shortened for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.uid import UID
from pynetdicom import AllStoragePresentationContexts

from dimse.association import Association
from dimse.commitment import COMMITMENT
from dimse.find import STUDY_ROOT_FIND
from dimse.negotiation import MAX_CONTEXTS, Proposal
from dimse.peer import Peer

UNCOMPRESSED = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
# What senders compress with, and how people call it.
COMPRESSED = {
    "1.2.840.10008.1.2.1.99": "deflated",
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.70": "JPEG lossless",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "HTJ2K lossless",
    "1.2.840.10008.1.2.4.102": "MPEG-4",
    "1.2.840.10008.1.2.5": "RLE",
}
# The classes for which compressed syntaxes are asked one by one: as many as one association carries.
IMAGES = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.12.1",
    "1.2.840.10008.5.1.4.1.1.128",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.4.1",
)
STORAGE = tuple(str(context.abstract_syntax) for context in AllStoragePresentationContexts)


@dataclass(frozen=True)
class Offers:
    """What a peer takes: storage classes, refused ones, compressed syntaxes by class (by their names), services."""

    storage: list[str]
    refused: list[str]
    compressed: dict[str, list[str]]
    find: bool
    commitment: bool


def offers(peer: Peer) -> Offers:
    """Ask `peer` what it takes; three or four associations.

    Raises
    ------
    AssociationError
        When one of them does not come about.
    """
    plain = {Proposal(uid, UNCOMPRESSED): uid for uid in STORAGE}
    taken = {plain[one] for one in _accepted(peer, tuple(plain))}
    services = _accepted(peer, (STUDY_ROOT_FIND, COMMITMENT))
    asked = [Proposal(uid, (syntax,)) for uid in IMAGES if uid in taken for syntax in COMPRESSED]
    compressed: dict[str, list[str]] = {}
    for one in _accepted(peer, asked):
        compressed.setdefault(class_name(one.sop_class_uid), []).append(COMPRESSED[one.transfer_syntax_uids[0]])
    return Offers(
        [class_name(uid) for uid in STORAGE if uid in taken],
        [class_name(uid) for uid in STORAGE if uid not in taken],
        compressed,
        STUDY_ROOT_FIND in services,
        COMMITMENT in services,
    )


def class_name(uid: str) -> str:
    """Return the name of a storage class without the words that all of them end with."""
    return str(UID(uid).name).removesuffix(" Storage").removesuffix(" Image")


def _accepted(peer: Peer, proposals: Sequence[Proposal]) -> list[Proposal]:
    found: list[Proposal] = []
    for at in range(0, len(proposals), MAX_CONTEXTS):
        some = tuple(proposals[at : at + MAX_CONTEXTS])
        with Association.open(peer, some) as association:
            found += [one for one in some if association.accepted(one)]
    return found
