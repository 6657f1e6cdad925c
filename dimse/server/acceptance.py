"""Negotiation from the other side: an association request that we receive, and what we answer (PS3.8 9.3.2-9.3.4).

The request is foreign, so it is read here byte by byte, in one pass; what is not needed is passed over: extended
negotiation, user identity and asynchronous operations are not answered, which declines them (PS3.7 D.3.3).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

from dimse.negotiation import APPLICATION_CONTEXT, usable_pdu
from dimse.server.services import PERMANENT, USER, Rejected

REQUEST = 0x01
ACCEPTED, NO_REASON, CLASS_NOT_SUPPORTED, SYNTAX_NOT_SUPPORTED = 0, 2, 3, 4

_TITLES, _ITEMS = slice(4, 36), 68
_ITEM = struct.Struct(">BxH")
_CONTEXT, _CONTEXT_ANSWERED, _USER_INFORMATION, _APPLICATION = 0x20, 0x21, 0x50, 0x10
_ABSTRACT, _TRANSFER = 0x30, 0x40
_MAX_LENGTH, _CLASS_UID, _ROLE, _VERSION_NAME = 0x51, 0x52, 0x54, 0x55
# Rejections by PS3.8 Table 9-21: no bit of the protocol version that we know; another application context.
_VERSION_NOT_SUPPORTED = (PERMANENT, 2, 2)
_CONTEXT_NOT_SUPPORTED = (PERMANENT, USER, 2)

# Called with an abstract syntax and the transfer syntaxes that are proposed for it: the one to accept, an empty string
# when none of them will do, None when the abstract syntax is not offered.
Chosen = Callable[[str, Sequence[str]], str | None]
# Called with an abstract syntax: whether the caller may be its user (SCU), and its provider (SCP).
Roles = Callable[[str], tuple[bool, bool]]


@dataclass
class Request:
    """An association request; `accepted` has the transfer syntax of each context id that we accepted.

    Texts are as they came, without surrounding spaces.
    """

    titles: bytes
    calling_ae_title: str
    called_ae_title: str
    implementation: str = ""
    max_pdu: int = usable_pdu(None)
    proposed: dict[int, tuple[str, list[str]]] = field(default_factory=dict)
    roles: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    accepted: dict[int, str] = field(default_factory=dict)


def read_request(body: bytes) -> Request:
    """Read what follows the header of an A-ASSOCIATE-RQ PDU.

    Raises
    ------
    ValueError
        When it is none.
    Rejected
        When it is one of another protocol than ours.
    """
    if len(body) < _ITEMS:
        raise ValueError("an association request that is too short")
    if not body[1] & 1:
        raise Rejected(*_VERSION_NOT_SUPPORTED)
    request = Request(body[_TITLES], _text(body[20:36]), _text(body[4:20]))
    application = ""
    for kind, item in _items(body[_ITEMS:]):
        if kind == _APPLICATION:
            application = _text(item)
        elif kind == _CONTEXT:
            _read_context(request, item)
        elif kind == _USER_INFORMATION:
            _read_user_information(request, item)
    if application != APPLICATION_CONTEXT:
        raise Rejected(*_CONTEXT_NOT_SUPPORTED)
    return request


def answer(request: Request, chosen: Chosen, roles: Roles, max_pdu: int) -> bytes:
    """Return the A-ASSOCIATE-AC PDU that accepts what `chosen` chooses, and note it in `request`.

    A role that the caller proposes is agreed to where `roles` lets it have it (PS3.7 D.3.3.4); a context of a class of
    which it may then be neither user nor provider is refused.
    """
    agreed: dict[str, bytes] = {}
    items = [_item(_APPLICATION, APPLICATION_CONTEXT.encode())]
    for context_id, (abstract_syntax, transfer_syntaxes) in request.proposed.items():
        syntax = chosen(abstract_syntax, transfer_syntaxes)
        result = CLASS_NOT_SUPPORTED if syntax is None else ACCEPTED if syntax else SYNTAX_NOT_SUPPORTED
        if result == ACCEPTED and abstract_syntax in request.roles:
            both = zip(request.roles[abstract_syntax], roles(abstract_syntax), strict=True)
            agreed[abstract_syntax] = bytes(wanted and may for wanted, may in both)
            result = ACCEPTED if any(agreed[abstract_syntax]) else NO_REASON
        if syntax and result == ACCEPTED:
            request.accepted[context_id] = syntax
        head = bytes((context_id, 0, result, 0))
        items.append(_item(_CONTEXT_ANSWERED, head + _item(_TRANSFER, _encoded(syntax or transfer_syntaxes[0]))))
    user = [
        _item(_MAX_LENGTH, max_pdu.to_bytes(4, "big")),
        _item(_CLASS_UID, PYNETDICOM_IMPLEMENTATION_UID.encode()),
        *(_item(_ROLE, _sized(_encoded(uid)) + both) for uid, both in agreed.items()),
        _item(_VERSION_NAME, PYNETDICOM_IMPLEMENTATION_VERSION.encode()),
    ]
    items.append(_item(_USER_INFORMATION, b"".join(user)))
    body = b"\0\1\0\0" + request.titles + bytes(32) + b"".join(items)
    return struct.pack(">BxI", 2, len(body)) + body


def rejection_pdu(result: int, source: int, reason: int) -> bytes:
    """Return an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return bytes((3, 0, 0, 0, 0, 4, 0, result, source, reason))


def _read_context(request: Request, item: bytes) -> None:
    context_id = item[0] if item else 0
    if not context_id & 1 or context_id in request.proposed:
        raise ValueError("an association request with a wrong presentation context id")
    abstract_syntax, transfer_syntaxes = "", []
    for kind, value in _items(item[4:]):
        if kind == _ABSTRACT:
            abstract_syntax = _text(value)
        elif kind == _TRANSFER:
            transfer_syntaxes.append(_text(value))
    if not abstract_syntax or not transfer_syntaxes:
        raise ValueError("an association request with half a presentation context")
    request.proposed[context_id] = abstract_syntax, transfer_syntaxes


def _read_user_information(request: Request, item: bytes) -> None:
    for kind, value in _items(item):
        if kind == _MAX_LENGTH:
            request.max_pdu = usable_pdu(int.from_bytes(value, "big"))
        elif kind == _VERSION_NAME or (kind == _CLASS_UID and not request.implementation):
            request.implementation = _text(value)
        elif kind == _ROLE and len(value) > 4:
            end = 2 + int.from_bytes(value[:2], "big")
            if len(value) != end + 2:
                raise ValueError("an association request with half a role selection")
            request.roles[_text(value[2:end])] = value[end] == 1, value[end + 1] == 1


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of the items that fill `data` (PS3.8 9.3.2)."""
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise ValueError("an association request that ends in the middle of an item")
        kind, length = _ITEM.unpack_from(data, at)
        at += 4
        if at + length > len(data):
            raise ValueError("an association request that ends in the middle of an item")
        yield kind, data[at : at + length]
        at += length


def _item(kind: int, content: bytes) -> bytes:
    return bytes((kind, 0)) + _sized(content)


def _sized(content: bytes) -> bytes:
    return len(content).to_bytes(2, "big") + content


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").strip(" \0")


def _encoded(text: str) -> bytes:
    return text.encode("ascii", "replace")
