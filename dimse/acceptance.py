"""The other side of negotiation: an association request that we receive, and what we answer (PS3.8 9.3.2-9.3.4).

The bytes are pynetdicom's work; the request is foreign, so nothing of it is trusted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from dimse.connection import HEADER, Connection
from dimse.negotiation import APPLICATION_CONTEXT, Proposal, usable_pdu, user_information

REQUEST = 0x01
MAX_PDU = 65_536
ACCEPTED, CLASS_NOT_SUPPORTED, SYNTAX_NOT_SUPPORTED = 0, 3, 4
CALLED_AE_NOT_RECOGNISED = b"\x03\x00\x00\x00\x00\x04\x00\x01\x01\x07"


@dataclass
class Request:
    """An association request; `accepted` has the transfer syntax of each context id that we accepted."""

    primitive: A_ASSOCIATE
    called_ae_title: str
    max_pdu: int
    accepted: dict[int, str]


def receive_request(connection: Connection, within: float) -> Request:
    """Wait for an A-ASSOCIATE-RQ.

    Raises
    ------
    AssociationError
        When it does not come in time or is none.
    """
    kind, body = connection.receive(within)
    if kind != REQUEST:
        raise connection.broken(f"a PDU of type {kind} where an association request belongs")
    pdu = A_ASSOCIATE_RQ()
    try:
        pdu.decode(HEADER.pack(kind, len(body)) + body)
        primitive = pdu.to_primitive()
        called = (primitive.called_ae_title or "").strip()
        return Request(primitive, called, usable_pdu(primitive.maximum_length_received), {})
    except Exception as error:  # noqa: BLE001  # a decoder of foreign bytes raises whatever it meets
        raise connection.broken("an association request that cannot be read") from error


def accept(request: Request, services: Collection[Proposal]) -> bytes:
    """Return the A-ASSOCIATE-AC PDU that accepts `services` in the proposed roles, and note them in `request`."""
    offered = {service.sop_class_uid: service.transfer_syntax_uids for service in services}
    results = []
    for asked in request.primitive.presentation_context_definition_list:
        syntaxes = offered.get(str(asked.abstract_syntax))
        chosen = next((uid for uid in asked.transfer_syntax if syntaxes and str(uid) in syntaxes), None)
        result = PresentationContext()
        result.context_id = asked.context_id
        result.transfer_syntax = [chosen or asked.transfer_syntax[0]]
        result.result = CLASS_NOT_SUPPORTED if syntaxes is None else ACCEPTED if chosen else SYNTAX_NOT_SUPPORTED
        if chosen is not None and asked.context_id is not None:
            request.accepted[asked.context_id] = str(chosen)
        results.append(result)
    answer = A_ASSOCIATE()
    answer.application_context_name = UID(APPLICATION_CONTEXT)
    answer.calling_ae_title = request.primitive.calling_ae_title
    answer.called_ae_title = request.primitive.called_ae_title
    answer.result = 0
    answer.result_source = 1
    answer.presentation_context_definition_results_list = results
    answer.user_information = [*user_information(MAX_PDU), *_roles(request, offered)]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(answer)
    return bytes(pdu.encode())


def _roles(request: Request, offered: Collection[str]) -> list[Any]:
    """Agree to the roles that the requestor proposes for what we offer (PS3.7 D.3.3.4): it reports, we listen."""
    roles = []
    for item in request.primitive.user_information:
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation) and str(item.sop_class_uid) in offered:
            role = SCP_SCU_RoleSelectionNegotiation()
            role.sop_class_uid = item.sop_class_uid
            role.scu_role = bool(item.scu_role)
            role.scp_role = bool(item.scp_role)
            roles.append(role)
    return roles
