"""DICOM networking for a node that passes images on: echo, store, find, storage commitment, with results in words.

No Django and no pipeline here. Every wait has an end, whatever the peer does, and nothing that is logged or raised
contains a value from a data set.
"""

from dimse.commitment import CommitmentAnswer, request_commitment
from dimse.commitment_provider import ActionRefused, CommitmentAction, action_reply, read_action, report_commitment
from dimse.echo import echo
from dimse.errors import AssociationError, CertificateError, DimseError, NotSupported, RequestFailed
from dimse.find import count_instances, find_instances
from dimse.listener import CommitmentListener
from dimse.peer import Instance, Peer
from dimse.store import StoreResult, store

__all__ = [
    "ActionRefused",
    "AssociationError",
    "CertificateError",
    "CommitmentAction",
    "CommitmentAnswer",
    "CommitmentListener",
    "DimseError",
    "Instance",
    "NotSupported",
    "Peer",
    "RequestFailed",
    "StoreResult",
    "action_reply",
    "count_instances",
    "echo",
    "find_instances",
    "read_action",
    "report_commitment",
    "request_commitment",
    "store",
]
