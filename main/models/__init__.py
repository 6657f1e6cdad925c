"""What the node knows: drops, studies, series, images, their identifiers, deliveries and history.

Rows only. Statuses are written by `main/states.py`, patient values go in and out through `main/identity.py`.
"""

from main.models.arrival import Batch, FileOutcome
from main.models.commitment import Commitment
from main.models.delivery import Delivery, Destination, Release
from main.models.history import Event, Heartbeat, KeyRecord, LedgerEntry
from main.models.imaging import Image, Series, SeriesIdentifiers, Study, Subject

__all__ = [
    "Batch",
    "Commitment",
    "Delivery",
    "Destination",
    "Event",
    "FileOutcome",
    "Heartbeat",
    "Image",
    "KeyRecord",
    "LedgerEntry",
    "Release",
    "Series",
    "SeriesIdentifiers",
    "Study",
    "Subject",
]
