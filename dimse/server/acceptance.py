"""Negotiation from the other side: an association request that we receive, and what we answer (PS3.8 9.3.2-9.3.4).

The bytes are pynetdicom's work; the request is foreign, so nothing of it is trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationVersionNameNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext

from dimse.negotiation import APPLICATION_CONTEXT, usable_pdu, user_information

REQUEST = 0x01
ACCEPTED, CLASS_NOT_SUPPORTED, SYNTAX_NOT_SUPPORTED = 0, 3, 4

# Called with an abstract syntax and the transfer syntaxes that are proposed for it: the one to accept, an empty string
# when none of them will do, None when the abstract syntax is not offered.
Chosen = Callable[[str, Sequence[str]], str | None]


@dataclass
class Request:
    """An association request; `accepted` has the transfer syntax of each context id that we accepted.

    Texts are as they came, without surrounding spaces.
    """

    primitive: A_ASSOCIATE
    calling_ae_title: str
    called_ae_title: str
    implementation: str
    max_pdu: int
    accepted: dict[int, str] = field(default_factory=dict)


def read_request(pdu: bytes) -> Request | None:
    """Read an A-ASSOCIATE-RQ; None when it is none."""
    request = A_ASSOCIATE_RQ()
    try:
        request.decode(pdu)
        primitive = request.to_primitive()
        return Request(
            primitive,
            (primitive.calling_ae_title or "").strip(),
            (primitive.called_ae_title or "").strip(),
            _implementation(primitive),
            usable_pdu(primitive.maximum_length_received),
        )
    except Exception:  # noqa: BLE001  # a decoder of foreign bytes raises whatever it meets
        return None


def answer(request: Request, chosen: Chosen, max_pdu: int) -> bytes:
    """Return the A-ASSOCIATE-AC PDU that accepts what `chosen` chooses, and note it in `request`."""
    results = []
    offered: set[str] = set()
    for asked in request.primitive.presentation_context_definition_list:
        syntax = chosen(str(asked.abstract_syntax), [str(uid) for uid in asked.transfer_syntax])
        result = PresentationContext()
        result.context_id = asked.context_id
        result.transfer_syntax = [UID(syntax) if syntax else asked.transfer_syntax[0]]
        result.result = CLASS_NOT_SUPPORTED if syntax is None else ACCEPTED if syntax else SYNTAX_NOT_SUPPORTED
        if syntax and asked.context_id is not None:
            request.accepted[asked.context_id] = syntax
            offered.add(str(asked.abstract_syntax))
        results.append(result)
    reply = A_ASSOCIATE()
    reply.application_context_name = UID(APPLICATION_CONTEXT)
    reply.calling_ae_title = request.primitive.calling_ae_title
    reply.called_ae_title = request.primitive.called_ae_title
    reply.result = 0
    reply.result_source = 1
    reply.presentation_context_definition_results_list = results
    reply.user_information = [*user_information(max_pdu), *_roles(request, offered)]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(reply)
    return bytes(pdu.encode())


def rejection_pdu(result: int, source: int, reason: int) -> bytes:
    """Return an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return bytes((3, 0, 0, 0, 0, 4, 0, result, source, reason))


def _implementation(primitive: A_ASSOCIATE) -> str:
    for item in primitive.user_information:
        if isinstance(item, ImplementationVersionNameNotification):
            return str(item.implementation_version_name or "").strip()
    return ""


def _roles(request: Request, offered: set[str]) -> list[Any]:
    """Agree to the roles that the requestor proposes for what we offer (PS3.7 D.3.3.4)."""
    roles = []
    for item in request.primitive.user_information:
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation) and str(item.sop_class_uid) in offered:
            role = SCP_SCU_RoleSelectionNegotiation()
            role.sop_class_uid = item.sop_class_uid
            role.scu_role = bool(item.scu_role)
            role.scp_role = bool(item.scp_role)
            roles.append(role)
    return roles
