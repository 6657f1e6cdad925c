"""What the tests of `dimse.server` share: a shelf that keeps what arrives, and a caller that writes its own bytes."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from dimse.messages import COMMAND, LAST, Command, Message, decode_command, encode_command
from dimse.server import Caller, Incoming, Limits, Listener, Rejected, StoreRefused, StoreRequest

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
ABORT, RELEASE = 7, 6
RELEASE_RQ = b"\5\0\0\0\0\4\0\0\0\0"

IMPATIENT = Limits(request_within=2, idle=4, progress=2)


@dataclass
class Shelf:
    """Services that let everybody in and keep every data set in memory, unless they are told otherwise."""

    kept: list[tuple[StoreRequest, bytes]] = field(default_factory=list)
    discarded: int = 0
    callers: list[Caller] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)
    rejects: Rejected | None = None
    refuses: StoreRefused | OSError | None = None
    fails: BaseException | None = None
    keeps: bool = True
    completing: threading.Event = field(default_factory=threading.Event)
    may_complete: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.may_complete.set()

    def allows(self, address: str) -> bool:
        return True

    def open(self, caller: Caller) -> Session:
        self.callers.append(caller)
        if self.rejects is not None:
            raise self.rejects
        return Session(self)

    def refused(self, address: str, why: str) -> None:
        self.refusals.append(why)


class Session:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def chosen(self, sop_class_uid: str, transfer_syntax_uids: Sequence[str]) -> str | None:
        return transfer_syntax_uids[0] if sop_class_uid in (CT, MR, VERIFICATION) else None

    def roles(self, sop_class_uid: str) -> tuple[bool, bool]:
        return True, False

    def store(self, request: StoreRequest) -> Incoming:
        if self._shelf.refuses is not None:
            raise self._shelf.refuses
        return Arriving(self._shelf, request)

    def answer(self, message: Message, transfer_syntax_uid: str) -> Message | None:
        return None

    def ended(self, how: str) -> None:
        self._shelf.endings.append(how)


class Arriving:
    def __init__(self, shelf: Shelf, request: StoreRequest) -> None:
        self._shelf, self._request, self._data = shelf, request, bytearray()

    def write(self, data: memoryview) -> None:
        if self._shelf.fails is not None:
            raise self._shelf.fails
        if self._shelf.keeps:
            self._data += data

    def complete(self) -> int:
        self._shelf.completing.set()
        assert self._shelf.may_complete.wait(10)
        self._shelf.kept.append((self._request, bytes(self._data)))
        return 0

    def discard(self) -> None:
        self._shelf.discarded += 1


@contextmanager
def serving(shelf: Shelf, limits: Limits | None = None, **options: Any) -> Iterator[Listener]:
    """Yield a listener on a free port."""
    with Listener("127.0.0.1", 0, shelf, limits or IMPATIENT, **options) as listener:
        yield listener


class Raw:
    """A caller that writes what a test tells it to, and reads PDUs."""

    def __init__(self, port: int, sock: socket.socket | None = None) -> None:
        self.socket = sock or socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def pdu(self) -> tuple[int, bytes]:
        """Return kind and body of the next PDU; kind 0 when the connection was closed."""
        header = self._exactly(6)
        if header is None:
            return 0, b""
        kind, length = struct.unpack(">BxI", header)
        return kind, self._exactly(length) or b""

    def associate(self, contexts: Sequence[tuple[str, Sequence[str]]] = ((CT, [EXPLICIT]),)) -> bytes:
        """Ask for an association and return the body of the acceptance."""
        self.send(request(contexts))
        kind, body = self.pdu()
        assert kind == 2
        return body

    def status(self) -> int | str | None:
        """Return the status of the next message."""
        return self.command().get("Status")

    def command(self) -> Command:
        """Return the command set of the next message."""
        kind, body = self.pdu()
        assert kind == 4, f"a PDU of type {kind} instead of an answer"
        return decode_command(body[6:])

    def closed(self) -> bool:
        """Read to the end; True when the other side closed, with or without an abort before."""
        try:
            while self.pdu()[0]:
                pass
        except ConnectionError:
            pass
        return True

    def _exactly(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                return None
            data += more
        return data


def request(
    contexts: Sequence[tuple[str, Sequence[str]]] = ((CT, [EXPLICIT]),),
    *,
    user: bytes = b"",
    application: bytes = APPLICATION_CONTEXT,
    version: int = 1,
    ids: Iterable[int] | None = None,
) -> bytes:
    """Return an A-ASSOCIATE-RQ; `user` is added to its user information."""
    items = item(0x10, application)
    for number, (abstract_syntax, transfer_syntaxes) in zip(ids or range(1, 1 << 20, 2), contexts, strict=False):
        subitems = item(0x30, abstract_syntax.encode()) + b"".join(
            item(0x40, uid.encode()) for uid in transfer_syntaxes
        )
        items += item(0x20, bytes((number & 0xFF, 0, 0, 0)) + subitems)
    items += item(0x50, item(0x51, struct.pack(">I", 16_384)) + item(0x52, b"1.2.3.4") + user)
    return pdu(1, struct.pack(">HH16s16s32x", version, 0, b"SENDIT".ljust(16), b"RAW".ljust(16)) + items)


def item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(body)) + body


def pdv(data: bytes, control: int, context_id: int = 1) -> bytes:
    return struct.pack(">IBB", len(data) + 2, context_id, control) + data


def store_command(uid: str = "1.2.3", sop_class: str = CT, **changes: Any) -> bytes:
    """Return the command set of a C-STORE request."""
    command: Command = {
        "AffectedSOPClassUID": sop_class,
        "CommandField": 1,
        "MessageID": 7,
        "Priority": 0,
        "CommandDataSetType": 1,
        "AffectedSOPInstanceUID": uid,
        **changes,
    }
    return encode_command(command)


def store(data: bytes, uid: str = "1.2.3", context_id: int = 1) -> bytes:
    """Return a C-STORE request in two PDUs."""
    first = pdu(4, pdv(store_command(uid), COMMAND | LAST, context_id))
    return first + pdu(4, pdv(data, LAST, context_id))


def echo(context_id: int = 1) -> bytes:
    command: Command = {
        "AffectedSOPClassUID": VERIFICATION,
        "CommandField": 0x30,
        "MessageID": 1,
        "CommandDataSetType": 0x0101,
    }
    return pdu(4, pdv(encode_command(command), COMMAND | LAST, context_id))
