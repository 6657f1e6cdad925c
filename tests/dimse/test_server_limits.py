"""How many may come at once: connections are counted before they cost a thread, and one caller leaves room for others."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

import psutil
import pytest

from dimse import AssociationError, Peer
from dimse import echo as echoes
from dimse.server import Limits, Listener, Rejected
from tests.dimse import serving as raw
from tests.dimse.serving import Raw, Shelf, serving
from tests.waiting import eventually


@pytest.fixture
def shelf() -> Shelf:
    """Return a shelf for what arrives."""
    return Shelf()


def threads() -> int:
    return sum(thread.name == "association" for thread in threading.enumerate())


def test_one_silent_connection_after_the_other_never_has_more_threads_than_places(shelf: Shelf) -> None:
    with serving(shelf, Limits(request_within=2, connections=5)) as listener:
        strangers = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(100)]
        eventually(lambda: len(shelf.refusals) >= 95)
        assert threads() <= 5
        eventually(lambda: _answers(listener))
        for stranger in strangers:
            stranger.close()


def _answers(listener: Listener) -> bool:
    try:
        echoes(Peer("127.0.0.1", listener.port, "SENDIT"))
    except AssociationError:
        return False
    return True


def test_one_address_leaves_places_for_others(shelf: Shelf) -> None:
    with serving(shelf, Limits(connections=5, connections_per_address=3)) as listener:
        strangers = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(10)]
        eventually(lambda: len(shelf.refusals) == 7)
        elsewhere = socket.create_connection(("127.0.0.1", listener.port), source_address=("127.0.0.2", 0))
        with Raw(listener.port, elsewhere) as caller:
            caller.associate()
        for stranger in strangers:
            stranger.close()


def test_sixty_associations_at_a_limit_of_fifty_ten_hear_that_it_is_transient(shelf: Shelf) -> None:
    places = threading.Semaphore(50)
    opened = shelf.open

    def open_if_free(caller: raw.Caller) -> raw.Session:
        if not places.acquire(blocking=False):
            raise Rejected(2, 3, 2)
        return opened(caller)

    shelf.open = open_if_free  # type: ignore[method-assign]
    with serving(shelf, Limits()) as listener, contextlib.ExitStack() as stack:
        callers = [stack.enter_context(Raw(listener.port)) for _ in range(60)]
        for caller in callers:
            caller.send(raw.request())
        answers = [caller.pdu() for caller in callers]
        assert [kind for kind, _ in answers].count(2) == 50
        assert [body for kind, body in answers if kind == 3] == [bytes((0, 2, 3, 2))] * 10
        for caller, (kind, _) in zip(callers, answers, strict=True):
            if kind == 2:
                caller.send(raw.store(b"data"))
        assert all(caller.status() == 0 for caller, (kind, _) in zip(callers, answers, strict=True) if kind == 2)


def test_a_refused_address_is_closed_before_a_thread_exists(shelf: Shelf) -> None:
    shelf.allows = lambda address: False  # type: ignore[method-assign]
    eventually(lambda: threads() == 0)  # of the tests before
    with serving(shelf) as listener:
        for _ in range(20):
            with Raw(listener.port) as stranger:
                assert stranger.closed()
        assert threads() == 0
    assert shelf.refusals == ["address"] * 20


def test_services_that_fail_cost_the_connection_only(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    def fails(address: str) -> bool:
        raise LookupError("10.0.0.7")

    with serving(shelf) as listener:
        allows, shelf.allows = shelf.allows, fails  # type: ignore[method-assign]
        with Raw(listener.port) as stranger:
            assert stranger.closed()
        shelf.allows = allows  # type: ignore[method-assign]
        echoes(Peer("127.0.0.1", listener.port, "SENDIT"))
    assert "LookupError" in caplog.text


def test_commands_and_announced_sizes_cost_no_memory(shelf: Shelf) -> None:
    process = psutil.Process()
    with serving(shelf, Limits(connections=200, connections_per_address=200, request_within=5)) as listener:
        before = process.memory_info().rss
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                stranger = stack.enter_context(Raw(listener.port))
                stranger.send(struct.pack(">BxI", 1, 262_000) + bytes(200_000))
            eventually(lambda: threads() >= 100)
            assert process.memory_info().rss - before < 100 << 20
