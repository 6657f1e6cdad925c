"""DIMSE messages: command sets as dictionaries, data sets as bytes, cut into PDVs and put together again.

It reads and writes PS3.7 6.3 and PS3.8 9.3.5 on a connection; what a message is for is known elsewhere.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Literal

from pydicom.config import IGNORE
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dsutils import decode, encode

from dimse.connection import Connection
from dimse.errors import AssociationError

P_DATA_TF = 0x04
A_RELEASE_RQ = 0x05
A_RELEASE_RP = 0x06
A_ABORT = 0x07

RELEASE_RQ_PDU = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"
RELEASE_RP_PDU = b"\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00"
ABORT_PDU = b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"

PDV_HEADER = struct.Struct(">BxIIBB")  # P-DATA-TF type and length, then PDV length, context id, message control header
COMMAND, LAST = 0x01, 0x02

LARGEST_COMMAND = 65_536
LARGEST_DATASET = 16 << 20

Keyword = Literal[
    "AffectedSOPClassUID",
    "RequestedSOPClassUID",
    "CommandField",
    "MessageID",
    "MessageIDBeingRespondedTo",
    "Priority",
    "CommandDataSetType",
    "Status",
    "AffectedSOPInstanceUID",
    "RequestedSOPInstanceUID",
    "EventTypeID",
    "ActionTypeID",
    "ErrorComment",
]
Command = dict[Keyword, int | str]

# The elements of group 0000 that we read or write, in the order of their tags (PS3.7 Table E.1-1).
ELEMENTS: dict[Keyword, int] = {
    "AffectedSOPClassUID": 0x0002,
    "RequestedSOPClassUID": 0x0003,
    "CommandField": 0x0100,
    "MessageID": 0x0110,
    "MessageIDBeingRespondedTo": 0x0120,
    "Priority": 0x0700,
    "CommandDataSetType": 0x0800,
    "Status": 0x0900,
    "ErrorComment": 0x0902,
    "AffectedSOPInstanceUID": 0x1000,
    "RequestedSOPInstanceUID": 0x1001,
    "EventTypeID": 0x1002,
    "ActionTypeID": 0x1008,
}
KEYWORDS = {element: keyword for keyword, element in ELEMENTS.items()}

NO_DATASET = 0x0101
WITH_DATASET = 0x0001

C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_FIND_RQ, C_FIND_RSP = 0x0020, 0x8020
C_ECHO_RQ, C_ECHO_RSP = 0x0030, 0x8030
N_EVENT_REPORT_RQ, N_EVENT_REPORT_RSP = 0x0100, 0x8100
N_ACTION_RQ, N_ACTION_RSP = 0x0130, 0x8130

_ELEMENT = struct.Struct("<HHI")


@dataclass
class Message:
    """A message as it arrived: its presentation context, its command set, and its data set undecoded."""

    context_id: int
    command: Command
    dataset: bytes = b""

    def number(self, keyword: Keyword) -> int | None:
        """Return a numeric element of the command set, None when it is absent."""
        value = self.command.get(keyword)
        return value if isinstance(value, int) else None


def encode_command(command: Command) -> bytes:
    """Encode a command set: Implicit VR Little Endian with its group length in front (PS3.7 6.3.1)."""
    body = bytearray()
    for keyword, element in ELEMENTS.items():
        if keyword not in command:
            continue
        value = command[keyword]
        data = struct.pack("<H", value) if isinstance(value, int) else value.encode("ascii", "replace")
        data += b"\0" * (len(data) % 2)
        body += _ELEMENT.pack(0x0000, element, len(data)) + data
    return _ELEMENT.pack(0x0000, 0x0000, 4) + struct.pack("<I", len(body)) + body


def decode_command(data: bytes) -> Command:
    """Decode a command set; elements that nobody here asks for are passed over.

    Raises
    ------
    ValueError
        When the bytes are no command set.
    """
    command: Command = {}
    at = 0
    while at < len(data):
        if at + _ELEMENT.size > len(data):
            raise ValueError("a command set that ends in the middle of an element")
        group, element, length = _ELEMENT.unpack_from(data, at)
        at += _ELEMENT.size
        value = data[at : at + length]
        at += length
        if group != 0x0000 or len(value) != length:
            raise ValueError("a command set with a wrong group or length")
        keyword = KEYWORDS.get(element)
        if keyword is None:
            continue
        if keyword.endswith("UID") or keyword == "ErrorComment":
            command[keyword] = value.rstrip(b"\0 ").decode("ascii", "replace")
        elif length == 2:
            command[keyword] = int.from_bytes(value, "little")
        elif length:
            raise ValueError("a command set with a number of a wrong length")
    return command


def largest_fragment(max_pdu: int) -> int:
    """Return how many bytes of a message one PDU carries: an even number (PS3.8 9.3.5.1, Annex F)."""
    return (max_pdu - 6) & ~1


def pdus(context_id: int, data: bytes, control: int, max_pdu: int) -> Iterable[bytes]:
    """Yield the P-DATA-TF PDUs that carry `data`; `control` is COMMAND or 0, the last one is marked as such."""
    chunk = largest_fragment(max_pdu)
    for at in range(0, max(len(data), 1), chunk):
        part = data[at : at + chunk]
        flags = control | (LAST if at + chunk >= len(data) else 0)
        yield PDV_HEADER.pack(P_DATA_TF, len(part) + 6, len(part) + 2, context_id, flags) + part


def encode_message(message: Message, max_pdu: int) -> bytes:
    """Return the PDUs of a message whose data set is in memory."""
    kind = WITH_DATASET if message.dataset else NO_DATASET
    command: Command = {**message.command, "CommandDataSetType": kind}
    parts = list(pdus(message.context_id, encode_command(command), COMMAND, max_pdu))
    if message.dataset:
        parts += pdus(message.context_id, message.dataset, 0, max_pdu)
    return b"".join(parts)


def send_message(connection: Connection, max_pdu: int, message: Message) -> None:
    """Send a message whose data set is in memory."""
    connection.send(encode_message(message, max_pdu))


@dataclass
class _Assembly:
    command: bytearray = field(default_factory=bytearray)
    dataset: bytearray = field(default_factory=bytearray)
    decoded: Command | None = None
    context_id: int = 0

    def add(self, context_id: int, control: int, data: memoryview) -> Message | None:
        """Take one PDV; return the message when it is complete."""
        self.context_id = self.context_id or context_id
        if context_id != self.context_id or bool(control & COMMAND) != (self.decoded is None):
            raise ValueError("fragments of different messages are mixed")
        target, limit = (self.command, LARGEST_COMMAND) if control & COMMAND else (self.dataset, LARGEST_DATASET)
        target += data
        if len(target) > limit:
            raise ValueError(f"a message of more than {limit} bytes")
        if not control & LAST:
            return None
        if self.decoded is None:
            self.decoded = decode_command(bytes(self.command))
            if self.decoded.get("CommandDataSetType", NO_DATASET) != NO_DATASET:
                return None
        return Message(context_id, self.decoded, bytes(self.dataset))


def receive_message(connection: Connection, within: float) -> Message | None:
    """Return the next message, or None when the other side asks to release the association.

    Raises
    ------
    AssociationError
        `aborted`, `timeout`, `closed`, or `protocol` when what arrives is no message or too large for one.
    """
    assembly = _Assembly()
    deadline = time.monotonic() + within
    while True:
        kind, body = connection.receive(within)
        if kind == A_RELEASE_RQ:
            return None
        if kind == A_ABORT:
            raise AssociationError("aborted", f"{connection.name} aborted the association. Will retry.")
        if kind != P_DATA_TF:
            raise connection.broken(f"a PDU of type {kind} in the middle of an association")
        try:
            message = _take(assembly, memoryview(body))
        except ValueError as error:
            raise connection.broken(str(error)) from None
        if message is not None:
            return message
        if time.monotonic() > deadline + within:
            raise connection.too_slow()


def _take(assembly: _Assembly, body: memoryview) -> Message | None:
    """Give every PDV of a P-DATA-TF PDU to `assembly` (PS3.8 9.3.5.1)."""
    message = None
    at = 0
    while at < len(body):
        if message is not None or at + 6 > len(body):
            raise ValueError("a P-DATA PDU that does not end with its message")
        length = int.from_bytes(body[at : at + 4], "big")
        if length < 2 or at + 4 + length > len(body):
            raise ValueError("a presentation data value with a wrong length")
        message = assembly.add(body[at + 4], body[at + 5], body[at + 6 : at + 4 + length])
        at += 4 + length
    return message


def encode_dataset(dataset: Dataset, transfer_syntax_uid: str) -> bytes:
    """Encode a small data set (a query, a list of instances) in one of the two little endian syntaxes."""
    encoded = encode(dataset, is_implicit_vr=transfer_syntax_uid != ExplicitVRLittleEndian, is_little_endian=True)
    if not encoded:
        raise ValueError("a data set that cannot be encoded")
    return encoded


def decode_dataset(data: bytes, transfer_syntax_uid: str) -> Dataset:
    """Decode a small data set of one of the two little endian syntaxes."""
    implicit = transfer_syntax_uid != ExplicitVRLittleEndian
    return decode(BytesIO(data), is_implicit_vr=implicit, is_little_endian=True)


def put_uids(dataset: Dataset, keyword: str, *uids: str) -> None:
    """Set a UID element of a data set to be sent, without pydicom's checks, which print what they do not like."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no keyword")
    dataset.add(DataElement(tag, "UI", list(uids), validation_mode=IGNORE))


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return a UID or code of a decoded data set, empty when absent, without pydicom's checks (as `put_uids`)."""
    element = dataset.get_item(keyword)
    value = element.value if element is not None else None
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return text.rstrip("\0 ")
