"""What the receiver offers to callers: C-ECHO, C-STORE and storage commitment, for those who may store.

Who that is, is said by `Access`; what is answered to a commitment request, by `Commitments`. Both are `main`'s.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from dimse.commitment import COMMITMENT
from dimse.echo import VERIFICATION
from dimse.messages import Message
from dimse.server import Caller, Incoming, Rejected, StoreRefused, StoreRequest
from dimse.server.services import CALLED_AE_NOT_RECOGNISED, CALLING_AE_NOT_RECOGNISED, CONGESTED, TOO_MANY_ASSOCIATIONS
from receiver.drops import Drops
from receiver.instance import OUT_OF_RESOURCES, Instance, Terms
from receiver.slots import Slots
from receiver.storage import UID, is_storage

logger = logging.getLogger(__name__)

INVALID_INSTANCE, CLASS_NOT_SUPPORTED = 0x0117, 0x0122


class Admitted(Protocol):
    """A caller that may store: how it is called here, its node, and the quiet seconds that end its studies."""

    @property
    def name(self) -> str: ...

    @property
    def node(self) -> int | None: ...

    @property
    def quiet(self) -> float | None: ...


class Access(Protocol):
    """Who may do what (`main.access`)."""

    def may_connect(self, address: str) -> bool:
        """Tell whether anybody at this address may do anything."""

    def is_known(self) -> bool:
        """Tell whether it is known yet who may do what."""

    def is_called(self, title: str) -> bool:
        """Tell whether a project is called by this AE title, beside our own."""

    def admitted(self, caller: Caller) -> Admitted | None:
        """Return who that is when it may store."""

    def refused(self, address: str, calling: str, called: str, why: str) -> None:
        """Count a refusal."""


class Commitments(Protocol):
    """Storage commitment (`main.commitments.answer`)."""

    def __call__(
        self, message: Message, transfer_syntax_uid: str, *, node: int | None, calling_ae_title: str
    ) -> Message | None: ...


@dataclass
class Live:
    """An association that is open now; `since` and `last` are time stamps, `last` is 0 before the first instance."""

    association: str
    node: int | None
    name: str
    address: str
    calling_ae_title: str
    since: float
    instances: int = 0
    size: int = 0
    refused: int = 0
    last: float = 0.0


@dataclass(frozen=True)
class Offer:
    """What one receiver process works with.

    Attributes
    ----------
    ae_title : str
        Ours; callers that call neither it nor a project are rejected.
    quiet : float
        Seconds without news that end a study, for callers without a number of their own.
    sop_classes : collection of str
        The only SOP classes to take; empty takes all of storage.
    """

    ae_title: str
    access: Access
    commitments: Commitments
    drops: Drops
    slots: Slots
    terms: Terms
    quiet: float = 60.0
    sop_classes: Collection[str] = ()

    def takes(self, sop_class_uid: str) -> bool:
        """Tell whether instances of this SOP class are taken."""
        return sop_class_uid in self.sop_classes if self.sop_classes else is_storage(sop_class_uid)


class Receiver:
    """The services of one receiver process (see `dimse.server.Services`)."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.instances = self.refusals = 0
        self._lock = threading.Lock()
        self._live: dict[str, Live] = {}

    def live(self) -> list[Live]:
        """Return the associations that are open now, the oldest first."""
        with self._lock:
            return sorted(self._live.values(), key=lambda one: one.since)

    def allows(self, address: str) -> bool:
        return self.offer.access.may_connect(address)

    def refused(self, address: str, why: str) -> None:
        self.offer.access.refused(address, "", "", why)

    def open(self, caller: Caller) -> Session:
        called = caller.called_ae_title
        if called != self.offer.ae_title and not self.offer.access.is_called(called):
            self.note(caller, "called-ae-title")
            raise Rejected(*CALLED_AE_NOT_RECOGNISED)
        if not self.offer.access.is_known():
            raise Rejected(*CONGESTED)
        admitted = self.offer.access.admitted(caller)
        if admitted is None:
            self.note(caller, "unknown")
            raise Rejected(*CALLING_AE_NOT_RECOGNISED)
        slot = self.offer.slots.take()
        if slot is None:
            self.note(caller, "too-many")
            raise Rejected(*TOO_MANY_ASSOCIATIONS)
        session = Session(self, admitted, slot, caller)
        with self._lock:
            self._live[session.live.association] = session.live
        return session

    def note(self, caller: Caller, why: str) -> None:
        """Count a refusal of a caller that said its name."""
        self.offer.access.refused(caller.address, caller.calling_ae_title, caller.called_ae_title, why)

    def ended(self, session: Session) -> None:
        """Hand over what an association sent and free its slot."""
        with self._lock:
            self._live.pop(session.live.association, None)
            self.instances += session.live.instances
            self.refusals += session.live.refused
        try:
            self.offer.drops.end(session.live.association)
        finally:
            self.offer.slots.give_back(session.slot)


class Session:
    """One association of an admitted caller (see `dimse.server.Session`)."""

    def __init__(self, receiver: Receiver, admitted: Admitted, slot: int, caller: Caller) -> None:
        self.slot = slot
        self.live = Live(
            uuid.uuid4().hex, admitted.node, admitted.name, caller.address, caller.calling_ae_title, time.time()
        )
        self._receiver, self._offer, self._caller = receiver, receiver.offer, caller
        self._source = {
            "node": admitted.node,
            "name": admitted.name,
            "calling": caller.calling_ae_title,
            "called": caller.called_ae_title,
            "address": caller.address,
            "association": self.live.association,
            "quiet": self._offer.quiet if admitted.quiet is None else admitted.quiet,
        }

    def chosen(self, sop_class_uid: str, transfer_syntax_uids: Sequence[str]) -> str | None:
        """Accept storage in the first transfer syntax that the caller proposes, whichever it is."""
        if sop_class_uid == COMMITMENT.sop_class_uid:
            wanted = COMMITMENT.transfer_syntax_uids
            return next((uid for uid in transfer_syntax_uids if uid in wanted), "")
        if sop_class_uid != VERIFICATION.sop_class_uid and not self._offer.takes(sop_class_uid):
            return None
        return next((uid for uid in transfer_syntax_uids if UID.fullmatch(uid)), "")

    def roles(self, sop_class_uid: str) -> tuple[bool, bool]:
        """Callers are users of everything; destinations that answer our own requests are providers of commitment."""
        return True, sop_class_uid == COMMITMENT.sop_class_uid

    def store(self, request: StoreRequest) -> Incoming:
        try:
            if not UID.fullmatch(request.sop_instance_uid):
                raise StoreRefused(INVALID_INSTANCE, "SOP Instance UID is no UID")
            if not self._offer.takes(request.sop_class_uid):
                raise StoreRefused(CLASS_NOT_SUPPORTED, "SOP class is not taken here")
            return Instance(
                self._offer.drops, self.live.association, self._source, request, self._offer.terms, self.live
            )
        except (StoreRefused, OSError) as error:
            self.live.refused += 1
            if isinstance(error, OSError) or error.status == OUT_OF_RESOURCES:
                self._receiver.note(self._caller, "no-room")
            raise

    def answer(self, message: Message, transfer_syntax_uid: str) -> Message | None:
        return self._offer.commitments(
            message, transfer_syntax_uid, node=self.live.node, calling_ae_title=self.live.calling_ae_title
        )

    def ended(self, how: str) -> None:
        live = self.live
        logger.info(
            "association of %s %s: %d instances, %d bytes, %d refused",
            live.name,
            how,
            live.instances,
            live.size,
            live.refused,
        )
        self._receiver.ended(self)
