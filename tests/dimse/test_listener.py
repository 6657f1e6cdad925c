"""The commitment port stands in a network with strangers: it says yes only when the answer is kept, and never hangs."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, build_role
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from dimse import CommitmentListener, Peer, echo
from tests.peers.server import program, wait_for

SILENCE = 2.0


class Answers:
    """What a listener was told, and whether keeping it fails."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, list[Any], list[Any]]] = []
        self.fails = False
        self.arrived = threading.Event()
        self.waits_for = threading.Event()
        self.waits_for.set()

    def keep(self, transaction_uid: str, committed: list[Any], failed: list[Any]) -> None:
        self.arrived.set()
        assert self.waits_for.wait(10)
        if self.fails:
            raise OSError("the disk is full")
        self.kept.append((transaction_uid, committed, failed))


@pytest.fixture
def answers() -> Answers:
    """Return the place where answers are kept."""
    return Answers()


@pytest.fixture
def listener(answers: Answers) -> Iterator[CommitmentListener]:
    """Yield a running listener with few places and little patience."""
    with CommitmentListener(
        "127.0.0.1", 0, "SENDIT", answers.keep, max_associations=3, silence_timeout=SILENCE
    ) as listener:
        yield listener


def report(listener: CommitmentListener, event: Dataset, called: str = "SENDIT") -> int | None:
    """Bring an answer as an archive does; return the status, None when no association came about."""
    ae = AE(ae_title="ARCHIVE")
    ae.add_requested_context(StorageCommitmentPushModel)
    role = build_role(UID(StorageCommitmentPushModel), scp_role=True)
    association = ae.associate("127.0.0.1", listener.port, ae_title=called, ext_neg=[role])
    if not association.is_established:
        return None
    assert association.accepted_contexts[0].as_scp
    status, _ = association.send_n_event_report(
        event, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    association.release()
    return status.Status


def committed(*uids: str) -> Dataset:
    event = Dataset()
    event.TransactionUID = "1.2.3"
    event.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
        event.ReferencedSOPSequence.append(item)
    return event


def test_an_answer_is_confirmed_when_it_is_kept(listener: CommitmentListener, answers: Answers) -> None:
    assert report(listener, committed("1.2", "1.3")) == 0x0000
    assert answers.kept == [("1.2.3", [(CTImageStorage, "1.2"), (CTImageStorage, "1.3")], [])]


def test_the_confirmation_waits_until_it_is_kept(listener: CommitmentListener, answers: Answers) -> None:
    answers.waits_for.clear()
    confirmed: list[int | None] = []
    thread = threading.Thread(target=lambda: confirmed.append(report(listener, committed("1.2"))))
    thread.start()
    assert answers.arrived.wait(10)
    assert (confirmed, answers.kept) == ([], [])
    answers.waits_for.set()
    thread.join(10)
    assert confirmed == [0x0000]


def test_an_answer_that_cannot_be_kept_is_not_confirmed(listener: CommitmentListener, answers: Answers) -> None:
    answers.fails = True
    assert report(listener, committed("1.2")) == 0x0110


def test_an_event_without_a_transaction_is_refused(listener: CommitmentListener, answers: Answers) -> None:
    event = committed("1.2")
    del event.TransactionUID
    assert report(listener, event) == 0x0110
    assert answers.kept == []


def test_two_thousand_instances_fit_into_one_answer(listener: CommitmentListener, answers: Answers) -> None:
    uids = [f"1.2.826.0.1.3680043.8.498.{number}" for number in range(2000)]
    assert report(listener, committed(*uids)) == 0x0000
    assert [uid for _, uid in answers.kept[0][1]] == uids


def test_it_answers_an_echo_of_ours_and_of_dcmtk(listener: CommitmentListener) -> None:
    echo(Peer("127.0.0.1", listener.port, "SENDIT"))
    command = [program("echoscu", "dcmtk"), "-aec", "SENDIT", "127.0.0.1", str(listener.port)]
    assert subprocess.run(command, timeout=10, check=False).returncode == 0


def test_who_calls_another_title_is_rejected(listener: CommitmentListener, answers: Answers) -> None:
    assert report(listener, committed("1.2"), called="STRANGER") is None
    assert answers.kept == []


def test_it_offers_nothing_else(listener: CommitmentListener) -> None:
    ae = AE()
    ae.add_requested_context(CTImageStorage)
    ae.add_requested_context(Verification)
    association = ae.associate("127.0.0.1", listener.port, ae_title="SENDIT")
    assert [context.abstract_syntax for context in association.accepted_contexts] == [Verification]
    association.release()


@pytest.mark.parametrize(
    "opening",
    [
        b"",
        b"GET / HTTP/1.0\r\n\r\n",
        b"\x01\x00\x00\x00\x00\x64" + b"\x00" * 10,
        struct.pack(">BxI", 1, 0xFFFFFFFF),
        struct.pack(">BxI", 4, 100) + b"\xff" * 100,
        struct.pack(">BxI", 1, 100) + b"\xff" * 100,
    ],
    ids=["silent", "http", "unfinished", "4 GiB announced", "data before an association", "garbage"],
)
def test_a_stranger_is_closed_in_time(listener: CommitmentListener, opening: bytes) -> None:
    with socket.create_connection(("127.0.0.1", listener.port), timeout=SILENCE + 2) as stranger:
        stranger.sendall(opening)
        while stranger.recv(1000):
            pass
    echo(Peer("127.0.0.1", listener.port, "SENDIT"))


@pytest.mark.parametrize("kind", [1, 4, 99])
def test_a_pdu_larger_than_agreed_or_of_no_kind_ends_the_connection_at_once(
    listener: CommitmentListener, kind: int
) -> None:
    with socket.create_connection(("127.0.0.1", listener.port), timeout=SILENCE / 2) as stranger:
        stranger.sendall(struct.pack(">BxI", kind, 0xFFFFFFFF))
        while stranger.recv(1000):
            pass


def test_a_stranger_that_drips_is_closed_in_time(listener: CommitmentListener) -> None:
    with socket.create_connection(("127.0.0.1", listener.port)) as stranger:
        stranger.sendall(struct.pack(">BxI", 1, 1000))
        started = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT012  # whichever of the two sees the end first
            while time.monotonic() - started < 10:
                stranger.sendall(b"\x00")
                stranger.settimeout(0.1)
                try:
                    if not stranger.recv(1000):
                        raise ConnectionResetError
                except TimeoutError:
                    continue
        assert time.monotonic() - started < SILENCE + 1


def test_many_strangers_are_closed_at_once_and_leave_the_places_free(listener: CommitmentListener) -> None:
    strangers = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(50)]
    threads = [thread for thread in threading.enumerate() if thread.name == "association"]
    assert len(threads) <= 3

    def answers_again() -> bool:
        try:
            echo(Peer("127.0.0.1", listener.port, "SENDIT"))
        except Exception:  # noqa: BLE001  # any refusal counts as not yet
            return False
        return True

    wait_for(answers_again, "the listener answering again", within=SILENCE + 2)
    for stranger in strangers:
        stranger.close()


def test_an_endless_message_is_cut_off_and_costs_no_memory(listener: CommitmentListener) -> None:
    ae = AE()
    ae.add_requested_context(StorageCommitmentPushModel)
    before = psutil.Process().memory_info().rss
    association = ae.associate("127.0.0.1", listener.port, ae_title="SENDIT")
    connection: socket.socket = association.dul.socket.socket
    connection.settimeout(5)
    fragment = struct.pack(">BxIIBB", 4, 60_006, 60_002, 1, 0x01) + bytes(60_000)
    sent = 0
    try:
        while sent < 200 << 20:
            sent += connection.send(fragment)
    except OSError:
        pass
    assert sent < 64 << 20
    assert psutil.Process().memory_info().rss - before < 64 << 20
    association.kill()


def test_a_stopped_listener_has_freed_its_port_and_may_start_again(answers: Answers) -> None:
    listener = CommitmentListener("127.0.0.1", 0, "SENDIT", answers.keep).start()
    echo(Peer("127.0.0.1", listener.port, "SENDIT"))
    with socket.create_connection(("127.0.0.1", listener.port), timeout=5) as waiting:
        listener.stop()
        with contextlib.suppress(ConnectionResetError):
            while waiting.recv(100):
                pass
    with listener:
        echo(Peer("127.0.0.1", listener.port, "SENDIT"))


def test_stopping_waits_for_the_answer_in_hand(listener: CommitmentListener, answers: Answers) -> None:
    answers.waits_for.clear()
    confirmed: list[int | None] = []
    thread = threading.Thread(target=lambda: confirmed.append(report(listener, committed("1.2"))))
    thread.start()
    assert answers.arrived.wait(10)
    threading.Timer(0.2, answers.waits_for.set).start()
    listener.stop()
    assert len(answers.kept) == 1
    thread.join(40)  # pynetdicom may wait 30 s for the answer to its release, which is an abort here
    assert confirmed == [0x0000]
