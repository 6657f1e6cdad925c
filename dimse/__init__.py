"""DICOM networking for a node that passes images on: echo, store, find, storage commitment, with results in words.

No Django and no pipeline here. Every wait has an end, whatever the peer does, and nothing that is logged or raised
contains a value from a data set.
"""

from dimse.commitment import CommitmentAnswer, request_commitment
from dimse.echo import echo
from dimse.errors import AssociationError, DimseError, NotSupported, RequestFailed
from dimse.find import find_instances
from dimse.listener import CommitmentListener
from dimse.peer import Instance, Peer
from dimse.store import StoreResult, store

__all__ = [
    "AssociationError",
    "CommitmentAnswer",
    "CommitmentListener",
    "DimseError",
    "Instance",
    "NotSupported",
    "Peer",
    "RequestFailed",
    "StoreResult",
    "echo",
    "find_instances",
    "request_commitment",
    "store",
]
