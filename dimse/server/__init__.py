"""The side that listens: associations that others open, bounded in time, memory and number whoever they are.

What a caller may do is decided by `Services`, which the user of this package brings; nothing here knows of images.
"""

from dimse.server.limits import Limits
from dimse.server.listening import Listener
from dimse.server.services import Caller, Incoming, Rejected, Services, Session, StoreRefused, StoreRequest

__all__ = [
    "Caller",
    "Incoming",
    "Limits",
    "Listener",
    "Rejected",
    "Services",
    "Session",
    "StoreRefused",
    "StoreRequest",
]
