"""What callers ask us to take responsibility for is read without trust; the answer goes to their own port, in our role."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from dimse import (
    ActionRefused,
    AssociationError,
    CommitmentAction,
    CommitmentAnswer,
    NotSupported,
    Peer,
    RequestFailed,
    read_action,
    report_commitment,
)
from dimse.commitment_provider import MOST_REFERENCES
from dimse.messages import N_ACTION_RQ, Command, Message, encode_dataset, put_uids
from tests.peers.committer import Answer, Committer
from tests.peers.server import free_port

CLASS, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


def action(references: list[tuple[str, str]], transaction: str | None = "1.2.3") -> Dataset:
    """The action information of a request (PS3.4 Table J.3-1)."""
    asked = Dataset()
    if transaction is not None:
        put_uids(asked, "TransactionUID", transaction)
    items = []
    for sop_class_uid, sop_instance_uid in references:
        item = Dataset()
        put_uids(item, "ReferencedSOPClassUID", sop_class_uid)
        put_uids(item, "ReferencedSOPInstanceUID", sop_instance_uid)
        items.append(item)
    asked.ReferencedSOPSequence = items
    return asked


def request(dataset: bytes, **changes: Any) -> Message:
    """An N-ACTION request."""
    command: Command = {
        "CommandField": N_ACTION_RQ,
        "MessageID": 7,
        "RequestedSOPClassUID": CLASS,
        "RequestedSOPInstanceUID": INSTANCE,
        "ActionTypeID": 1,
    }
    return Message(1, {**command, **changes}, dataset)  # type: ignore[typeddict-item]


@pytest.mark.parametrize("syntax", [str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)])
def test_a_request_is_read_and_each_instance_counts_once(syntax: str) -> None:
    asked = action([(CT, "1.2.1"), (CT, "1.2.2"), (CT, "1.2.1")])
    found = read_action(request(encode_dataset(asked, syntax)), syntax)
    assert found == CommitmentAction("1.2.3", ((CT, "1.2.1"), (CT, "1.2.2")))


GOOD = encode_dataset(action([(CT, "1.2.1")]), str(ExplicitVRLittleEndian))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"RequestedSOPClassUID": CT}, 0x0118),
        ({"RequestedSOPInstanceUID": "1.2.3"}, 0x0112),
        ({"ActionTypeID": 2}, 0x0123),
        ({"ActionTypeID": ""}, 0x0123),
    ],
)
def test_what_is_no_request_for_commitment_is_said(changes: dict[str, Any], status: int) -> None:
    with pytest.raises(ActionRefused) as caught:
        read_action(request(GOOD, **changes), str(ExplicitVRLittleEndian))
    assert caught.value.status == status


@pytest.mark.parametrize(
    "asked",
    [
        action([(CT, "1.2.1")], None),
        action([(CT, "1.2.1")], ""),
        action([(CT, "1.2.1")], "../../etc"),
        action([]),
        action([(CT, "")]),
        action([("", "1.2.1")]),
        action([(CT, "1.2.1"), (CT, "1" * 65)]),
        action([(CT, "1.2\\3.4")]),
        action([(CT, "Xyz^Abc")]),
    ],
)
def test_a_request_without_usable_uids_is_refused_without_a_word_of_them(asked: Dataset) -> None:
    encoded = encode_dataset(asked, str(ExplicitVRLittleEndian))
    with pytest.raises(ActionRefused) as caught:
        read_action(request(encoded), str(ExplicitVRLittleEndian))
    assert caught.value.status == 0x0115
    assert "1.2" not in str(caught.value)
    assert "Xyz" not in str(caught.value)
    assert len(caught.value.comment) <= 64


@given(cut=st.integers(0, len(GOOD)), at=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255), more=st.binary())
def test_every_damaged_request_is_read_or_refused(cut: int, at: int, byte: int, more: bytes) -> None:
    damaged = bytearray(GOOD)
    damaged[at] = byte
    for data in (GOOD[:cut], bytes(damaged), GOOD + more, more):
        for syntax in (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)):
            with suppress(ActionRefused):
                assert read_action(request(data), syntax).references


def test_sequences_in_one_another_are_no_way_to_stop_us() -> None:
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x99\x11SQ\x00\x00\xff\xff\xff\xff"
    deep = b"\x08\x00\x99\x11SQ\x00\x00\xff\xff\xff\xff" + item * (MOST_REFERENCES - 1)
    began = time.monotonic()
    with pytest.raises(ActionRefused) as caught:
        read_action(request(deep), str(ExplicitVRLittleEndian))
    assert caught.value.status == 0x0115
    assert time.monotonic() - began < 10


def test_the_largest_request_is_read_in_time_and_a_larger_one_is_refused_unread() -> None:
    many = [(CT, f"1.2.{number}") for number in range(MOST_REFERENCES)]
    encoded = encode_dataset(action(many), str(ExplicitVRLittleEndian))
    assert len(read_action(request(encoded), str(ExplicitVRLittleEndian)).references) == MOST_REFERENCES
    encoded = encode_dataset(action([*many, (CT, "1.2.9")]), str(ExplicitVRLittleEndian))
    with pytest.raises(ActionRefused) as caught:
        read_action(request(encoded), str(ExplicitVRLittleEndian))
    assert caught.value.status == 0x0213


def peer_of(modality: Committer) -> Peer:
    return Peer("127.0.0.1", modality.port, modality.ae_title, "SENDIT", silence_timeout=5)


@pytest.mark.parametrize("agrees", [True, False], ids=["agrees to the roles", "says nothing about roles"])
def test_an_answer_is_brought_to_the_modality(agrees: bool) -> None:
    transaction = generate_uid()
    with Committer(agrees=agrees) as modality:
        report_commitment(peer_of(modality), CommitmentAnswer(transaction, [(CT, "1.2.1")], [(CT, "1.2.2", 0x0112)]))
        report_commitment(peer_of(modality), CommitmentAnswer(transaction, [(CT, "1.2.1")], []))
        report_commitment(peer_of(modality), CommitmentAnswer(transaction, [], [(CT, "1.2.2", 0x0119)]))
    assert modality.answers == [
        Answer(transaction, 2, [(CT, "1.2.1")], [(CT, "1.2.2", 0x0112)]),
        Answer(transaction, 1, [(CT, "1.2.1")], []),
        Answer(transaction, 2, [], [(CT, "1.2.2", 0x0119)]),
    ]


def test_a_modality_that_does_not_take_the_answer_is_said() -> None:
    answer = CommitmentAnswer("1.2.3", [(CT, "1.2.1")], [])
    with Committer(offers=False) as modality, pytest.raises(NotSupported) as unsupported:
        report_commitment(peer_of(modality), answer)
    assert "it takes no storage commitment answers there" in unsupported.value.sentence
    for status, transient in ((0x0110, True), (0x0115, False)):
        with Committer(status=status) as modality, pytest.raises(RequestFailed) as failed:
            report_commitment(peer_of(modality), answer)
        assert (failed.value.status, failed.value.transient) == (status, transient)
    with pytest.raises(AssociationError) as away:
        report_commitment(Peer("127.0.0.1", free_port(), "MODALITY1", "SENDIT"), answer)
    assert away.value.kind == "refused"
