"""A receiver inside the test's process: real port, real folder, and in place of the database a list of who may store."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from dimse import Instance, Peer
from dimse.association import Association
from dimse.messages import C_STORE_RQ, C_STORE_RSP, Command, Message
from dimse.negotiation import Proposal
from dimse.server import Caller, Limits, Listener
from receiver.drops import SOURCE, Drops, Handover
from receiver.instance import Terms
from receiver.services import Offer, Receiver
from receiver.slots import Slots
from tests.peers.images import dataset_bytes

AE_TITLE = "DICOMRCV"
PROJECT = "TRIAL"


@dataclass(frozen=True)
class Known:
    """A caller that may store."""

    name: str = "ct1"
    node: int | None = 7
    quiet: float | None = None


@dataclass
class Guests:
    """Everybody may store but those who are called STRANGER; notes who was refused and why."""

    allows: bool = True
    known: bool = True
    seen: list[tuple[str, str, str, str]] = field(default_factory=list)

    def may_connect(self, address: str) -> bool:
        return self.allows

    def is_known(self) -> bool:
        return self.known

    def is_called(self, title: str) -> bool:
        return title == PROJECT

    def admitted(self, caller: Caller) -> Known | None:
        return None if caller.calling_ae_title == "STRANGER" else Known()

    def refused(self, address: str, calling: str, called: str, why: str) -> None:
        self.seen.append((address, calling, called, why))

    def reasons(self) -> list[str]:
        return [why for *_, why in self.seen]


def no_commitment(
    message: Message, transfer_syntax_uid: str, *, node: int | None, calling_ae_title: str
) -> Message | None:
    return None


class Door:
    """A receiver on a free port of 127.0.0.1; what was handed over appears in `inbox`."""

    def __init__(
        self,
        folder: Path,
        *,
        associations: int = 50,
        limits: Limits | None = None,
        handover: Handover | None = None,
        sop_classes: Collection[str] = (),
        modalities: Collection[str] = (),
    ) -> None:
        self.inbox = folder / "received"
        self.inbox.mkdir(parents=True, exist_ok=True)
        self.guests = Guests()
        self.room = True
        self.drops = Drops(self.inbox, handover)
        terms = Terms(lambda: self.room, 1 << 30, modalities)
        slots = Slots(folder / "slots", associations)
        self.receiver = Receiver(
            Offer(AE_TITLE, self.guests, no_commitment, self.drops, slots, terms, 60.0, sop_classes)
        )
        self.listener = Listener("127.0.0.1", 0, self.receiver, limits)

    def __enter__(self) -> Self:
        self.listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.listener.stop(5.0)
        self.drops.close()

    @property
    def port(self) -> int:
        return self.listener.port

    def peer(self, calling: str = "MODALITY", called: str = AE_TITLE) -> Peer:
        return Peer("127.0.0.1", self.port, called, calling)

    def handed_over(self) -> list[Path]:
        """Return the drops that were handed over."""
        return handed_over(self.inbox)

    def files(self) -> list[Path]:
        """Return the files of the drops that were handed over."""
        return [path for drop in self.handed_over() for path in sorted(drop.glob("*.dcm"))]


def handed_over(inbox: Path) -> list[Path]:
    """Return the drops that lie in a watched folder."""
    return sorted(path for path in inbox.iterdir() if not path.name.startswith("."))


def source_of(drop: Path) -> dict[str, object]:
    """Return what a drop says about where it comes from."""
    found: dict[str, object] = json.loads((drop / SOURCE).read_text())
    return found


def send(association: Association, instance: Instance, **told: str) -> int:
    """Send an instance and return the status that was answered.

    Keyword arguments go before what the instance says: `sop_instance_uid`, `sop_class_uid`.
    """
    return send_bytes(association, instance, dataset_bytes(instance), **told)


def send_bytes(association: Association, instance: Instance, dataset: bytes, **told: str) -> int:
    """Send these bytes as the data set of an instance and return the status that was answered."""
    context = association.accepted(proposal(instance))
    assert context is not None, association.refusal(proposal(instance))
    command: Command = {
        "CommandField": C_STORE_RQ,
        "AffectedSOPClassUID": told.get("sop_class_uid", instance.sop_class_uid),
        "AffectedSOPInstanceUID": told.get("sop_instance_uid", instance.sop_instance_uid),
        "Priority": 0,
    }
    status = association.answer(C_STORE_RSP, association.ask(context, command, dataset)).number("Status")
    assert status is not None
    return status


def proposal(instance: Instance) -> Proposal:
    """Return the presentation context of an instance."""
    return Proposal(instance.sop_class_uid, (instance.transfer_syntax_uid,))
