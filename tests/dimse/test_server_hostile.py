"""Whatever a caller sends or leaves out: it is cut off in time, costs nobody else anything, and nothing of it is kept."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dimse import Peer
from dimse import echo as echoes
from dimse.messages import COMMAND, LAST
from dimse.server import Limits, Listener
from tests.dimse import serving as raw
from tests.dimse.serving import CT, EXPLICIT, Raw, Shelf, serving
from tests.waiting import eventually

SOON = 3.5  # what IMPATIENT allows, and a busy machine


@pytest.fixture
def shelf() -> Shelf:
    """Return a shelf for what arrives."""
    return Shelf()


@pytest.fixture
def listener(shelf: Shelf) -> Iterator[Listener]:
    """Yield an impatient listener, which has to serve the next caller as if nothing had been."""
    with serving(shelf) as listening:
        yield listening
        echoes(Peer("127.0.0.1", listening.port, "SENDIT"))
        eventually(lambda: len(shelf.endings) == len(shelf.callers))


@pytest.mark.parametrize(
    "opening",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),
        b"\xff" * 1000,
        struct.pack(">BxI", 1, 0xFFFFFFFF),
        struct.pack(">BxI", 1, 300_000) + bytes(10_000),
        struct.pack(">BxI", 1, 100) + b"\xff" * 100,
        struct.pack(">BxI", 4, 100) + bytes(100),
        struct.pack(">BxI", 1, 0),
        raw.RELEASE_RQ,
        raw.request(ids=[2]),
        raw.request([(CT, [EXPLICIT])] * 2, ids=[1, 1]),
        raw.request([(CT, [])]),
        raw.request([("", [EXPLICIT])]),
        raw.request([(CT, [EXPLICIT])] * 3000),
        raw.request(user=b"\x54\x00\x00\x05\x00\xff123"),
        raw.request()[:-3],
    ],
    ids=[
        *("http", "a TLS hello", "garbage", "4 GiB announced", "too large", "garbage in a request"),
        *("data at once", "an empty request", "a release at once", "an even context id", "one context id twice"),
        *("no transfer syntax", "no abstract syntax", "thousands of contexts", "half a role", "a request cut short"),
    ],
)
def test_what_is_no_association_request_ends_at_once(listener: Listener, shelf: Shelf, opening: bytes) -> None:
    with Raw(listener.port) as stranger:
        with contextlib.suppress(ConnectionError):
            stranger.send(opening)
            stranger.socket.shutdown(socket.SHUT_WR)
        assert stranger.closed()
    eventually(lambda: len(shelf.refusals) == 1)
    assert shelf.callers == []


@pytest.mark.parametrize(
    ("request_", "rejection"),
    [
        (raw.request(version=2), (1, 2, 2)),
        (raw.request(application=b"1.2.3"), (1, 1, 2)),
    ],
    ids=["another protocol version", "another application context"],
)
def test_another_protocol_is_rejected_with_its_reason(
    listener: Listener, shelf: Shelf, request_: bytes, rejection: tuple[int, int, int]
) -> None:
    with Raw(listener.port) as stranger:
        stranger.send(request_)
        assert stranger.pdu() == (3, bytes((0, *rejection)))
    assert shelf.refusals == ["protocol"]


WHOLE = raw.request()


@pytest.mark.parametrize("length", [0, 1, 6, 40, len(WHOLE) - 1], ids="first {} bytes".format)
def test_half_a_request_and_silence_is_closed_in_time(listener: Listener, shelf: Shelf, length: int) -> None:
    with Raw(listener.port) as stranger:
        stranger.send(WHOLE[:length])
        began = time.monotonic()
        assert stranger.closed()
        assert time.monotonic() - began < SOON
    eventually(lambda: shelf.refusals == ["timeout"])


def drip(caller: Raw, data: bytes, every: float = 0.1) -> float:
    """Send one byte after the other until the other side closes; return how long it listened."""
    began = time.monotonic()
    caller.socket.settimeout(every)
    for byte in data:
        try:
            caller.send(bytes([byte]))
            if not caller.socket.recv(100):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
        assert time.monotonic() - began < 10
    return time.monotonic() - began


def test_a_request_that_drips_is_closed_in_time(listener: Listener) -> None:
    with Raw(listener.port) as stranger:
        assert drip(stranger, WHOLE) < SOON


def test_a_data_set_that_drips_is_cut_off_in_time(listener: Listener, shelf: Shelf) -> None:
    with Raw(listener.port) as caller:
        caller.associate()
        caller.send(raw.store(b"")[:-12])
        assert drip(caller, raw.pdu(4, raw.pdv(bytes(1000), LAST))) < SOON
    eventually(lambda: shelf.endings == ["aborted"])
    assert (shelf.kept, shelf.discarded) == ([], 1)


def test_tiny_pdus_buy_no_time(listener: Listener, shelf: Shelf) -> None:
    """Each of them is complete and in time, but together they are slower than any network."""
    with Raw(listener.port) as caller:
        caller.associate()
        caller.send(raw.store(b"")[:-12])
        assert drip_pdus(caller, raw.pdu(4, raw.pdv(b"x", 0))) < SOON
    eventually(lambda: shelf.endings == ["aborted"])
    assert (shelf.kept, shelf.discarded) == ([], 1)


def drip_pdus(caller: Raw, pdu: bytes) -> float:
    began = time.monotonic()
    caller.socket.settimeout(0.05)
    while time.monotonic() - began < 10:
        try:
            caller.send(pdu)
            if not caller.socket.recv(100):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.monotonic() - began


def test_a_sender_that_is_slow_but_moves_is_served(shelf: Shelf) -> None:
    with serving(shelf, Limits(progress=0.5, slowest_rate=2_000)) as listener, Raw(listener.port) as caller:
        caller.associate()
        data = bytes(8_000)
        request = raw.store(data)
        for at in range(0, len(request), 800):
            caller.send(request[at : at + 800])
            time.sleep(0.15)
        assert caller.status() == 0
    assert [len(kept) for _, kept in shelf.kept] == [8_000]


def test_time_that_we_take_ourselves_is_not_the_callers(shelf: Shelf) -> None:
    shelf.may_complete.clear()
    with serving(shelf, Limits(progress=0.3, idle=10)) as listener, Raw(listener.port) as caller:
        caller.associate()
        caller.send(raw.store(b"a") + raw.store(b"b"))
        assert shelf.completing.wait(10)
        time.sleep(0.5)
        shelf.may_complete.set()
        assert [caller.status(), caller.status()] == [0, 0]


def test_an_association_that_says_nothing_is_aborted_when_its_time_is_up(shelf: Shelf) -> None:
    with serving(shelf, Limits(idle=0.5)) as listener, Raw(listener.port) as caller:
        caller.associate()
        began = time.monotonic()
        assert caller.pdu()[0] == raw.ABORT
        assert 0.4 < time.monotonic() - began < 2
    assert shelf.endings == ["aborted"]


COMMANDS = COMMAND | LAST


@pytest.mark.parametrize(
    "message",
    [
        struct.pack(">BxI", 4, 0xFFFFFFFF),
        struct.pack(">BxI", 4, 0),
        struct.pack(">BxI", 4, 5) + bytes(5),
        struct.pack(">BxI", 99, 4) + bytes(4),
        raw.request(),
        raw.pdu(4, struct.pack(">IBB", 0xFFFFFFFF, 1, 3)),
        raw.pdu(4, struct.pack(">IBB", 1, 1, 3)),
        raw.pdu(4, struct.pack(">IBB", 100, 1, 3) + bytes(50)),
        raw.pdu(4, raw.pdv(b"\xff" * 100, COMMANDS)),
        raw.pdu(4, raw.pdv(bytes(70_000), COMMANDS)),
        b"".join(raw.pdu(4, raw.pdv(bytes(10_000), COMMAND)) for _ in range(20)),
        raw.pdu(4, raw.pdv(b"data", LAST)),
        raw.store(b"data", context_id=3),
        raw.pdu(4, raw.pdv(raw.store_command(), COMMANDS) + raw.pdv(b"data", LAST, 3)),
        raw.pdu(4, raw.pdv(raw.store_command(), COMMANDS) + raw.pdv(raw.store_command(), COMMANDS)),
        raw.pdu(4, raw.pdv(raw.store_command(CommandField=0x20), COMMANDS) + raw.pdv(b"data", LAST)),
        raw.pdu(4, raw.pdv(raw.store_command(CommandField=0x8001), COMMANDS) + raw.pdv(b"data", LAST)),
        raw.pdu(4, raw.pdv(raw.store_command(CommandDataSetType=0x0101), COMMANDS)),
        raw.pdu(4, raw.pdv(b"", COMMANDS)),
    ],
    ids=[
        *("4 GiB announced", "an empty PDU", "half a value", "an unknown PDU", "a second request"),
        *("a value of 4 GiB", "a value of one byte", "a value longer than its PDU", "garbage as a command"),
        *("a command of zeros", "a command without end", "data without a command", "a context not accepted"),
        *("data in another context", "a command instead of data", "a query", "an answer to nothing"),
        *("a store without data", "no command at all"),
    ],
)
def test_what_is_no_message_ends_the_association_at_once(listener: Listener, shelf: Shelf, message: bytes) -> None:
    with Raw(listener.port) as caller:
        caller.associate()
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            caller.send(message)
        assert caller.closed()
        assert time.monotonic() - began < 1.5, "it was not refused but timed out"
    eventually(lambda: len(shelf.endings) == 1)
    assert shelf.kept == []


def abort(caller: Raw) -> None:
    caller.send(raw.pdu(7, bytes(4)))


def reset(caller: Raw) -> None:
    caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    caller.socket.close()


def close(caller: Raw) -> None:
    caller.socket.close()


def release(caller: Raw) -> None:
    caller.send(raw.RELEASE_RQ)


def say_no_more(caller: Raw) -> None:
    assert caller.closed()


@pytest.mark.parametrize("end", [reset, close, say_no_more])
@pytest.mark.parametrize("missing", [1, 5_000, 20_006], ids="{} bytes missing".format)
def test_a_data_set_that_is_cut_short_is_discarded_and_never_success(
    listener: Listener, shelf: Shelf, end: Callable[[Raw], None], missing: int
) -> None:
    with Raw(listener.port) as caller:
        caller.associate()
        caller.send(raw.store(bytes(20_000))[:-missing])
        end(caller)
        eventually(lambda: len(shelf.endings) == 1)
    assert (shelf.kept, shelf.discarded) == ([], 1)


@pytest.mark.parametrize("end", [abort, release, reset, close, say_no_more])
def test_a_data_set_without_its_last_value_is_discarded_and_never_success(
    listener: Listener, shelf: Shelf, end: Callable[[Raw], None]
) -> None:
    with Raw(listener.port) as caller:
        caller.associate()
        caller.send(raw.pdu(4, raw.pdv(raw.store_command(), COMMANDS)) + raw.pdu(4, raw.pdv(bytes(20_000), 0)))
        end(caller)
        eventually(lambda: len(shelf.endings) == 1)
    assert (shelf.kept, shelf.discarded) == ([], 1)


@pytest.mark.parametrize(
    "uid", ["../../pwned", "/etc/passwd", "1.2\0.3", "1." * 100, "", "\x1b[31m", "1.2.\xff\xfe", "Mueller^Anna"]
)
def test_a_strange_uid_is_passed_on_as_text_and_answered(listener: Listener, shelf: Shelf, uid: str) -> None:
    command = raw.store_command("1.2.3.4.5.6.7.8").replace(
        b"1.2.3.4.5.6.7.8\0", uid.encode("latin-1")[:16].ljust(16, b"\0")
    )
    with Raw(listener.port) as caller:
        caller.associate()
        caller.send(raw.pdu(4, raw.pdv(command, COMMANDS) + raw.pdv(b"data", LAST)))
        assert caller.status() == 0
    assert len(shelf.kept) == 1


def test_a_caller_that_reads_no_answers_is_cut_off(shelf: Shelf) -> None:
    with serving(shelf, Limits(progress=1, idle=1)) as listener, Raw(listener.port) as caller:
        caller.associate([(raw.VERIFICATION, [EXPLICIT])])
        caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(OSError):  # noqa: PT012
            for _ in range(1000):
                caller.send(raw.echo() * 1000)
        eventually(lambda: len(shelf.endings) == 1)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_a_request_with_any_byte_changed_never_harms(seed: int, one_listener: tuple[Shelf, Listener]) -> None:
    shelf, listener = one_listener
    chance = random.Random(seed)
    data = bytearray(raw.request([(CT, [EXPLICIT])] * 3) + raw.store(b"some data") + raw.RELEASE_RQ)
    for _ in range(chance.randrange(1, 8)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    with Raw(listener.port) as caller:
        with contextlib.suppress(ConnectionError):
            caller.send(bytes(data))
            caller.socket.shutdown(socket.SHUT_WR)
        assert caller.closed()
    with Raw(listener.port) as caller:
        caller.associate()
        caller.send(raw.store(b"another"))
        assert caller.status() == 0


@pytest.fixture(scope="module")
def one_listener() -> Iterator[tuple[Shelf, Listener]]:
    """Yield one listener for many callers."""
    shelf = Shelf()
    with serving(shelf) as listening:
        yield shelf, listening
    assert len(shelf.endings) == len(shelf.callers)
