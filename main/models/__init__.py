"""What the node knows: drops, studies, series, images, their identifiers, deliveries, nodes and history.

Rows only. Statuses are written by `main/states.py`, patient values go in and out through `main/identity.py`.
"""

from main.models.arrival import Batch, FileOutcome
from main.models.commitment import Commitment
from main.models.commitment_requests import CommitmentRequest, PassedImage
from main.models.crosswalk import Pseudonym
from main.models.delivery import Delivery, Destination, Release
from main.models.history import Event, Heartbeat, KeyRecord, LedgerEntry
from main.models.imaging import Image, Series, SeriesIdentifiers, Study, Subject
from main.models.nodes import Node, ReceiverProcess, Refusal
from main.models.sequence import PatientNumber
from main.models.tokens import ApiToken
from main.models.vault import VaultEntry

__all__ = [
    "ApiToken",
    "Batch",
    "Commitment",
    "CommitmentRequest",
    "Delivery",
    "Destination",
    "Event",
    "FileOutcome",
    "Heartbeat",
    "Image",
    "KeyRecord",
    "LedgerEntry",
    "Node",
    "PassedImage",
    "PatientNumber",
    "Pseudonym",
    "ReceiverProcess",
    "Refusal",
    "Release",
    "Series",
    "SeriesIdentifiers",
    "Study",
    "Subject",
    "VaultEntry",
]
