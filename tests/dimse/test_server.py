"""What a caller sends arrives byte by byte as it was sent, whatever way it is cut, and success is said when it is kept."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynetdicom import AE

from dimse import Instance, Peer, store
from dimse import echo as echoes
from dimse.messages import COMMAND, LAST
from dimse.server import Limits, Rejected, StoreRefused
from tests.dimse import serving as raw
from tests.dimse.serving import CT, EXPLICIT, IMPLICIT, MR, VERIFICATION, Raw, Shelf, serving
from tests.peers.images import dataset_bytes, make_series
from tests.peers.server import program
from tests.waiting import eventually


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> list[Instance]:
    """Return three CT images of 530 kB."""
    return make_series(tmp_path_factory.mktemp("series"), 3)


def kept(shelf: Shelf) -> list[bytes]:
    return [data for _, data in shelf.kept]


@pytest.mark.parametrize("size", [4_096, 16_384, 65_535, 131_072])
def test_storescu_with_any_pdu_size(series: list[Instance], size: int) -> None:
    shelf = Shelf()
    with serving(shelf, Limits(max_pdu=size)) as listener:
        command = [program("storescu", "dcmtk"), "-xs", "-aec", "SENDIT", "--max-send-pdu", str(size), "127.0.0.1"]
        files = [str(instance.path) for instance in series]
        subprocess.run([*command, str(listener.port), *files], check=True, timeout=30)
        eventually(lambda: shelf.endings == ["released"])
    for data, instance in zip(kept(shelf), series, strict=True):
        assert dataset_bytes(instance).startswith(data)  # storescu leaves the padding at the end away
        assert len(data) > 520_000
    assert [request.sop_instance_uid for request, _ in shelf.kept] == [one.sop_instance_uid for one in series]


def test_dcmsend_and_pynetdicom_and_our_own_sender(series: list[Instance]) -> None:
    shelf = Shelf()
    with serving(shelf) as listener:
        subprocess.run(
            [program("dcmsend", "dcmtk"), "-aec", "SENDIT", "127.0.0.1", str(listener.port), str(series[0].path)],
            check=True,
            timeout=30,
        )
        ae = AE()
        ae.add_requested_context(CT, EXPLICIT)
        association = ae.associate("127.0.0.1", listener.port, ae_title="SENDIT")
        assert association.send_c_store(str(series[1].path)).Status == 0
        association.release()
        (result,) = store(Peer("127.0.0.1", listener.port, "SENDIT"), [series[2]])
        assert result.outcome == "accepted"
    assert dataset_bytes(series[0]).startswith(kept(shelf)[0])
    assert kept(shelf)[2] == dataset_bytes(series[2])
    assert len(kept(shelf)[1]) > 520_000


def test_who_calls_is_told_to_the_services() -> None:
    shelf = Shelf()
    with serving(shelf) as listener:
        echoes(Peer("127.0.0.1", listener.port, "SENDIT", calling_ae_title="CT1"))
    (caller,) = shelf.callers
    assert (caller.address, caller.calling_ae_title, caller.called_ae_title) == ("127.0.0.1", "CT1", "SENDIT")
    assert caller.implementation.startswith("PYNETDICOM")


cuts = st.lists(st.integers(1, 400), max_size=12)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut `data` into parts of these sizes and the rest; a data set of nothing is one part of nothing."""
    parts, at = [], 0
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    return [part for part in [*parts, data[at:]] if part] or [b""]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_fragmentation_gives_the_same_bytes(data: st.DataObject, one_association: tuple[Shelf, Raw]) -> None:
    """Commands and data in any number of values, values in any number of PDUs, PDUs in any number of TCP segments."""
    shelf, caller = one_association
    dataset = data.draw(st.binary(max_size=1500))
    command = cut(raw.store_command(), data.draw(cuts))
    content = cut(dataset, data.draw(cuts))
    values = [raw.pdv(part, COMMAND | (LAST if part is command[-1] else 0)) for part in command]
    values += [raw.pdv(part, LAST if number == len(content) - 1 else 0) for number, part in enumerate(content)]
    stream, together = b"", b""
    for value in values:
        together += value
        if data.draw(st.booleans()):
            stream, together = stream + raw.pdu(4, together), b""
    stream += raw.pdu(4, together) if together else b""
    for segment in cut(stream, data.draw(cuts)):
        caller.send(segment)
    answer = caller.command()
    assert (answer["Status"], answer["MessageIDBeingRespondedTo"]) == (0, 7)
    assert shelf.kept.pop()[1] == dataset


@pytest.fixture(scope="module")
def one_association() -> Any:
    """Yield a shelf and an association with it, for many messages."""
    shelf = Shelf()
    with serving(shelf, Limits()) as listener, Raw(listener.port) as caller:
        caller.associate()
        yield shelf, caller


def test_each_context_has_its_own_class_and_syntax() -> None:
    shelf = Shelf()
    contexts = [
        (CT, [EXPLICIT]),
        ("1.2.840.10008.1.20.1", [IMPLICIT]),
        (MR, [IMPLICIT, EXPLICIT]),
        (VERIFICATION, [IMPLICIT]),
    ]
    with serving(shelf) as listener, Raw(listener.port) as caller:
        caller.associate(contexts)
        for context_id in (5, 1):
            caller.send(raw.store(b"abcd", context_id=context_id))
            assert caller.status() == 0
        caller.send(raw.echo(7))
        assert caller.status() == 0
        caller.send(raw.RELEASE_RQ)
        assert caller.pdu()[0] == raw.RELEASE
    assert [request.transfer_syntax_uid for request, _ in shelf.kept] == [IMPLICIT, EXPLICIT]


def test_many_requests_before_the_first_answer_is_read() -> None:
    shelf = Shelf()
    with serving(shelf) as listener, Raw(listener.port) as caller:
        caller.associate()
        caller.send(b"".join(raw.store(bytes([number]) * 10, f"1.{number}") for number in range(50)))
        assert [caller.command()["AffectedSOPInstanceUID"] for _ in range(50)] == [f"1.{n}" for n in range(50)]
    assert kept(shelf) == [bytes([number]) * 10 for number in range(50)]


@pytest.mark.parametrize(
    ("where", "what", "status"),
    [
        ("refuses", StoreRefused(0xA900, "no"), 0xA900),
        ("refuses", OSError(28, "x"), 0xA700),
        ("fails", StoreRefused(0xC000), 0xC000),
        ("fails", OSError(28, "No space left on device"), 0xA700),
    ],
)
def test_what_is_refused_is_read_to_its_end_and_answered_and_the_next_one_is_taken(
    where: str, what: Exception, status: int
) -> None:
    shelf = Shelf()
    with serving(shelf) as listener, Raw(listener.port) as caller:
        caller.associate()
        setattr(shelf, where, what)
        caller.send(raw.store(bytes(300_000)))
        assert caller.status() == status
        setattr(shelf, where, None)
        caller.send(raw.store(b"good"))
        assert caller.status() == 0
    assert kept(shelf) == [b"good"]
    assert shelf.discarded == (where == "fails")


def test_a_rejection_carries_its_reason() -> None:
    shelf = Shelf(rejects=Rejected(2, 3, 2))
    with serving(shelf) as listener, Raw(listener.port) as caller:
        caller.send(raw.request())
        assert caller.pdu() == (3, bytes((0, 2, 3, 2)))
        assert caller.closed()
    assert shelf.endings == []


def test_an_error_of_ours_is_no_success_and_costs_one_association(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf(fails=RuntimeError("Mueller^Anna"))
    with serving(shelf) as listener, Raw(listener.port) as caller:
        caller.associate()
        caller.send(raw.store(b"data"))
        assert caller.pdu()[0] == raw.ABORT
        shelf.fails = None
        eventually(lambda: shelf.endings == ["aborted"])
        with Raw(listener.port) as other:
            other.associate()
            other.send(raw.store(b"data"))
            assert other.status() == 0
    assert "RuntimeError" in caplog.text
    assert "Mueller" not in caplog.text


def test_stopping_finishes_the_instance_in_hand_and_aborts_who_waits() -> None:
    shelf = Shelf()
    shelf.may_complete.clear()
    with serving(shelf, Limits()) as listener, Raw(listener.port) as busy, Raw(listener.port) as idle:
        busy.associate()
        idle.associate()
        busy.send(raw.store(b"in hand") + raw.store(b"behind it"))
        assert shelf.completing.wait(10)
        stopping = threading.Thread(target=listener.stop, args=(10,))
        stopping.start()
        assert idle.pdu()[0] == raw.ABORT
        shelf.may_complete.set()
        assert busy.status() == 0
        assert busy.pdu()[0] == raw.ABORT
        stopping.join(10)
        assert not stopping.is_alive()
    assert kept(shelf) == [b"in hand"]
    assert shelf.endings == ["stopped", "stopped"]


def test_a_sender_with_nagles_delay_is_not_held_up(series: list[Instance]) -> None:
    """storescu writes each PDU in two pieces; a late acknowledgement would cost 40 ms for many of them."""
    shelf = Shelf(keeps=False)
    without = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    seconds: dict[str, list[float]] = {"delay": [], "no delay": []}
    with serving(shelf) as listener:
        command = [program("storescu", "dcmtk"), "-aec", "SENDIT", "127.0.0.1", str(listener.port)]
        command += [str(instance.path) for instance in series] * 10
        for _ in range(3):
            for name, environment in (("delay", without), ("no delay", {**without, "TCP_NODELAY": "1"})):
                before = time.perf_counter()
                subprocess.run(command, check=True, timeout=60, env=environment)
                seconds[name].append(time.perf_counter() - before)
    assert min(seconds["delay"]) < 5 * min(seconds["no delay"]), seconds


def test_two_listeners_share_a_port() -> None:
    shelves = Shelf(), Shelf()
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(serving(shelves[0], shared=True))
        second = raw.Listener("127.0.0.1", first.port, shelves[1], raw.IMPATIENT, shared=True)
        stack.enter_context(second)
        for _ in range(40):
            echoes(Peer("127.0.0.1", first.port, "SENDIT"))
    assert all(shelf.callers for shelf in shelves)
    assert sum(len(shelf.callers) for shelf in shelves) == 40


def test_a_large_pdu_passes_through_a_small_buffer() -> None:
    """One PDU may be as large as sixteen megabytes, whatever was agreed to: it passes through the same buffer."""
    shelf = Shelf()
    with serving(shelf) as listener, Raw(listener.port) as caller:
        caller.associate()
        data = bytes(range(256)) * 40_000
        caller.send(raw.store(data))
        assert caller.status() == 0
    assert kept(shelf) == [data]
