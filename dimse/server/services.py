"""What the user of a listener brings: who may come in, what they may do, and where their images go.

Protocols only, and the values that pass through them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dimse.messages import Message

PERMANENT, TRANSIENT = 1, 2
USER, ACSE, PRESENTATION = 1, 2, 3


class Rejected(Exception):
    """The association is rejected (PS3.8 Table 9-21).

    Parameters
    ----------
    result, source, reason : int
        As in an A-ASSOCIATE-RJ.
    """

    def __init__(self, result: int, source: int, reason: int) -> None:
        super().__init__(result, source, reason)
        self.result, self.source, self.reason = result, source, reason


CALLING_AE_NOT_RECOGNISED = (PERMANENT, USER, 3)
CALLED_AE_NOT_RECOGNISED = (PERMANENT, USER, 7)
TOO_MANY_ASSOCIATIONS = (TRANSIENT, PRESENTATION, 2)
CONGESTED = (TRANSIENT, PRESENTATION, 1)


class StoreRefused(Exception):
    """An instance is not taken; the caller hears `status` (PS3.4 Table B.2-1) when it has sent all of it."""

    def __init__(self, status: int, comment: str = "") -> None:
        super().__init__(f"0x{status:04X}")
        self.status = status
        self.comment = comment


@dataclass(frozen=True)
class Caller:
    """Who asks for an association.

    Attributes
    ----------
    address : str
        IP address of the other side.
    calling_ae_title, called_ae_title : str
        As they came, without surrounding spaces; foreign text, never part of a path.
    tls_subject : str
        Subject of the client certificate in the form of RFC 4514 (`CN=CT1,O=Hospital`); empty without one.
    implementation : str
        Implementation version name, or class UID; foreign text.
    """

    address: str
    calling_ae_title: str
    called_ae_title: str
    tls_subject: str = ""
    implementation: str = ""


@dataclass(frozen=True)
class StoreRequest:
    """A C-STORE request (PS3.7 9.3.1.1) before its data set."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


class Incoming(Protocol):
    """An instance that is arriving."""

    def write(self, data: memoryview) -> None:
        """Take the next bytes of the data set; raises StoreRefused or OSError."""

    def complete(self) -> int:
        """Make it durable and return the status to answer; raises StoreRefused or OSError."""

    def discard(self) -> None:
        """Forget it: it will not be complete, or was refused."""


class Session(Protocol):
    """One association, from its acceptance to its end."""

    def chosen(self, sop_class_uid: str, transfer_syntax_uids: Sequence[str]) -> str | None:
        """Return the transfer syntax to accept for a presentation context; None refuses the SOP class."""

    def roles(self, sop_class_uid: str) -> tuple[bool, bool]:
        """Tell whether the caller may be the user (SCU) and the provider (SCP) of this SOP class, when it asks."""

    def store(self, request: StoreRequest) -> Incoming:
        """Begin to take an instance; raises StoreRefused."""

    def answer(self, message: Message, transfer_syntax_uid: str) -> Message | None:
        """Answer any other request; None when it is not offered, and the association is aborted."""

    def ended(self, how: str) -> None:
        """It is over: ``released``, ``aborted``, ``lost`` or ``stopped``."""


class Services(Protocol):
    """What a listener offers; called from several threads. What it raises is logged and costs that connection only."""

    def allows(self, address: str) -> bool:
        """Tell whether this address may connect at all; asked before anything is read."""

    def open(self, caller: Caller) -> Session:
        """Let an association in; raises Rejected."""

    def refused(self, address: str, why: str) -> None:
        """Note that a connection was closed or an association request could not be read."""
