"""Negotiation as others' encoders and decoders see it: contexts, roles, and items that are declined by silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from dimse.negotiation import APPLICATION_CONTEXT
from dimse.server import Listener
from dimse.server.acceptance import answer, read_request
from tests.dimse import serving as raw
from tests.dimse.serving import CT, EXPLICIT, IMPLICIT, MR, Raw, Shelf, serving


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Yield a listener that takes CT and MR."""
    with serving(Shelf()) as listening:
        yield listening


def associate(listener: Listener, contexts: list[tuple[str, list[str]]], items: list[Any]) -> Any:
    ae = AE()
    for abstract_syntax, transfer_syntaxes in contexts:
        ae.add_requested_context(abstract_syntax, transfer_syntaxes)
    return ae.associate("127.0.0.1", listener.port, ae_title="SENDIT", ext_neg=items)


def user_identity() -> UserIdentityNegotiation:
    item = UserIdentityNegotiation()
    item.user_identity_type = 2
    item.positive_response_requested = True
    item.primary_field, item.secondary_field = b"anna", b"secret"
    return item


def extended() -> SOPClassExtendedNegotiation:
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = CT, b"\2\0\3\1\0\1"
    return item


def common_extended() -> SOPClassCommonExtendedNegotiation:
    item = SOPClassCommonExtendedNegotiation()
    item.sop_class_uid, item.service_class_uid = CT, "1.2.840.10008.4.2"
    item.related_general_sop_class_identification = [MR]
    return item


def window() -> AsynchronousOperationsWindowNegotiation:
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked = item.maximum_number_operations_performed = 8
    return item


@pytest.mark.parametrize("item", [user_identity, extended, common_extended, window])
def test_an_item_that_is_not_offered_is_declined_by_silence(listener: Listener, item: Any) -> None:
    association = associate(listener, [(CT, [EXPLICIT])], [item()])
    assert association.is_established
    given = association.acceptor.user_information
    assert sorted(type(one).__name__ for one in given) == [
        "ImplementationClassUIDNotification",
        "ImplementationVersionNameNotification",
        "MaximumLengthNotification",
    ]
    association.release()


def test_contexts_are_answered_one_by_one(listener: Listener) -> None:
    association = associate(listener, [(CT, [IMPLICIT, EXPLICIT]), ("1.2.3.4", [IMPLICIT]), (MR, [EXPLICIT])], [])
    accepted = {context.abstract_syntax: context.transfer_syntax for context in association.accepted_contexts}
    assert accepted == {CT: [ImplicitVRLittleEndian], MR: [ExplicitVRLittleEndian]}
    (rejected,) = association.rejected_contexts
    assert (rejected.abstract_syntax, rejected.result) == ("1.2.3.4", 3)
    association.release()


def test_128_contexts_with_many_syntaxes_are_answered(listener: Listener) -> None:
    syntaxes = [EXPLICIT, *(f"1.2.840.10008.1.2.4.{number}" for number in range(50, 94))]
    with Raw(listener.port) as caller:
        body = caller.associate([(CT, syntaxes)] * 128)
    assert body.count(b"\x21\x00") >= 128


@pytest.mark.parametrize(
    ("proposed", "agreed"),
    [
        ({"scu_role": True}, (True, False)),
        ({"scu_role": True, "scp_role": True}, (True, False)),
        ({"scp_role": True}, None),
    ],
    ids=["user", "user and provider", "provider"],
)
def test_a_caller_that_may_only_store_is_no_provider(
    listener: Listener, proposed: dict[str, bool], agreed: tuple[bool, bool] | None
) -> None:
    association = associate(listener, [(CT, [EXPLICIT]), (MR, [EXPLICIT])], [build_role(CT, **proposed)])
    accepted = {context.abstract_syntax: context for context in association.accepted_contexts}
    assert MR in accepted
    if agreed is None:
        assert CT not in accepted
    else:
        assert (accepted[CT].as_scu, accepted[CT].as_scp) == agreed
    association.release()


def test_the_answer_repeats_the_titles_byte_by_byte() -> None:
    request = read_request(raw.request()[6:])
    pdu = answer(request, lambda uid, syntaxes: syntaxes[0], lambda uid: (True, False), 1 << 17)
    assert pdu[10:42] == raw.request()[10:42]
    assert APPLICATION_CONTEXT.encode() in pdu
    assert request.accepted == {1: EXPLICIT}
