"""Messages survive being cut into PDUs of any size, and no sequence of bytes does more than be refused."""

from __future__ import annotations

import contextlib
import socket
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from dimse.connection import Connection
from dimse.errors import AssociationError
from dimse.messages import (
    COMMAND,
    ELEMENTS,
    NO_DATASET,
    WITH_DATASET,
    Command,
    Message,
    decode_command,
    encode_command,
    pdus,
    receive_message,
    send_message,
)

UIDS = st.from_regex(r"[0-9.]{1,64}", fullmatch=True)
NUMBERS = st.integers(0, 0xFFFF)
COMMANDS = st.fixed_dictionaries(
    {},
    optional={
        keyword: UIDS if keyword.endswith("UID") or keyword == "ErrorComment" else NUMBERS for keyword in ELEMENTS
    },
)


@given(COMMANDS)
def test_every_command_set_reads_back_as_it_was_written(command: Command) -> None:
    encoded = encode_command(command)
    assert len(encoded) % 2 == 0
    assert decode_command(encoded) == command


def test_a_command_set_is_what_pynetdicom_writes() -> None:
    theirs = C_STORE()
    theirs.MessageID = 7
    theirs.AffectedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    theirs.AffectedSOPInstanceUID = "1.2.3.4"
    theirs.Priority = 2
    theirs.DataSet = BytesIO(b"data")
    message = C_STORE_RQ()
    message.primitive_to_message(theirs)
    fragment = next(iter(message.encode_msg(1, 16382))).presentation_data_value_list[0][1]
    ours: Command = {
        "AffectedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "CommandField": 0x0001,
        "MessageID": 7,
        "Priority": 2,
        "CommandDataSetType": WITH_DATASET,
        "AffectedSOPInstanceUID": "1.2.3.4",
    }
    assert encode_command(ours) == fragment[1:]


@given(st.binary(max_size=2000), st.integers(128, 400), st.sampled_from([0, COMMAND]))
def test_every_fragment_fits_and_only_the_last_says_so(data: bytes, max_pdu: int, control: int) -> None:
    parts = list(pdus(3, data, control, max_pdu))
    assert b"".join(part[12:] for part in parts) == data
    assert all(len(part) <= max_pdu + 6 and int.from_bytes(part[2:6], "big") == len(part) - 6 for part in parts)
    assert [part[11] for part in parts] == [control] * (len(parts) - 1) + [control | 2]


@given(COMMANDS, st.binary(max_size=1000), st.integers(128, 400))
def test_every_message_arrives_as_it_was_sent(command: Command, dataset: bytes, max_pdu: int) -> None:
    ours, theirs = _pair()
    with ours, theirs:
        send_message(Connection(ours, "us", 1), max_pdu, Message(5, command, dataset))
        arrived = receive_message(Connection(theirs, "them", 1), 1)
    kind = WITH_DATASET if dataset else NO_DATASET
    assert arrived == Message(5, {**command, "CommandDataSetType": kind}, dataset)


@given(st.binary(min_size=1, max_size=200))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    ours, theirs = _pair()
    with ours, theirs:
        theirs.sendall(b"\x04\x00" + len(data).to_bytes(4, "big") + data)
        theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(AssociationError):
            receive_message(Connection(ours, "them", 1), 1)


@given(st.binary(max_size=200))
def test_no_bytes_are_taken_for_a_command_set_unless_they_are_one(data: bytes) -> None:
    try:
        command = decode_command(data)
    except ValueError:
        return
    assert all(isinstance(value, str if keyword.endswith("UID") else int) for keyword, value in command.items())


def test_fragments_of_two_messages_are_not_mixed() -> None:
    ours, theirs = _pair()
    with ours, theirs:
        for context_id in (1, 3):
            theirs.sendall(b"\x04\x00\x00\x00\x00\x08\x00\x00\x00\x04" + bytes([context_id, COMMAND]) + b"ab")
        with pytest.raises(AssociationError) as caught:
            receive_message(Connection(ours, "them", 1), 1)
    assert "fragments of different messages" in caught.value.sentence


def _pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    return ours, theirs
