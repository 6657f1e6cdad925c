"""The folder broker under the races that end kombu's own ``filesystem://`` transport."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection, Exchange, Queue
from kombu.asynchronous import Hub
from kombu.exceptions import ChannelError

from sendit import transport
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
BELLS = Queue("bells", Exchange("bells", type="direct"), routing_key="bells")
fork = multiprocessing.get_context("fork")

transport.register()


def connect(folder: Path) -> Connection:
    return Connection(transport.url(folder), transport_options={"polling_interval": 0.01})


def ring(connection: Connection, text: str, **options: object) -> None:
    connection.Producer().publish(text, exchange=BELLS.exchange, routing_key="bells", declare=[BELLS], **options)


def take(connection: Connection) -> str | None:
    message = BELLS(connection.default_channel).get(no_ack=True)
    return message and message.payload


def waiting(folder: Path) -> list[Path]:
    return sorted((folder / "queues" / "bells").iterdir())


def together(target: Callable[..., None], processes: int, *args: object) -> list[list[str]]:
    """Run `target` in several processes that start at the same moment; return what each of them reports."""
    barrier, results = fork.Barrier(processes), fork.SimpleQueue()
    children = [fork.Process(target=target, args=(n, barrier, results, *args)) for n in range(processes)]
    for child in children:
        child.start()
    reports = [results.get() for _ in children]
    for child in children:
        child.join(20)
    assert [child.exitcode for child in children] == [0] * processes
    return reports


# Races ---------------------------------------------------------------------------------------------------------------


def _trade(number: int, barrier, results, folder: Path) -> None:
    received: list[str] = []
    try:
        with connect(folder) as connection:
            barrier.wait(10)
            for n in range(2000):
                ring(connection, f"{number}-{n}")
                received += filter(None, [take(connection)])
            barrier.wait(60)  # everything is published; None now means that every message has found its consumer
            while (text := take(connection)) is not None:
                received.append(text)
    finally:
        results.put(received)


def test_four_processes_trade_8000_messages_and_none_is_lost_or_doubled(tmp_path):
    received = Counter(text for report in together(_trade, 4, tmp_path) for text in report)
    assert len(received) == 8000
    assert set(received.values()) == {1}
    assert not list(tmp_path.rglob("*.tmp"))
    assert not (tmp_path / "bad").exists()


def _declare(number: int, barrier, results, folder: Path) -> None:
    done: list[str] = []
    try:
        for n in range(30):
            barrier.wait(10)
            with connect(folder) as connection:
                ring(connection, f"{number}-{n}")
            done.append(f"{number}-{n}")
    finally:
        results.put(done)


def test_240_connections_that_declare_at_the_same_moment_do_not_disturb_each_other(tmp_path):
    assert sum(len(report) for report in together(_declare, 8, tmp_path / "not" / "there" / "yet")) == 240
    with connect(tmp_path / "not" / "there" / "yet") as connection:
        assert len({take(connection) for _ in range(240)}) == 240


def test_a_deleted_folder_comes_back_by_itself(tmp_path):
    folder, stop, failures = tmp_path / "broker", threading.Event(), []

    def publish() -> None:
        with connect(folder) as connection:
            while not stop.is_set():
                try:
                    ring(connection, "in the storm")
                except Exception as error:
                    failures.append(error)
                    raise

    publisher = threading.Thread(target=publish)
    publisher.start()
    with connect(folder) as connection:
        eventually(lambda: take(connection) is not None, 5, "a first message")
        for _ in range(30):
            subprocess.run(["rm", "-rf", folder], check=False, stderr=subprocess.DEVNULL)
            take(connection)
        stop.set()
        publisher.join(10)
        assert not failures
        shutil.rmtree(folder, ignore_errors=True)
        ring(connection, "after the storm")
        assert take(connection) == "after the storm"


def test_a_backlog_of_10000_is_taken_at_the_pace_of_a_small_one(tmp_path, monkeypatch):
    listings = Counter()
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listings.update([str(path)]) or listdir(path))
    with connect(tmp_path) as connection:
        ring(connection, "0")
        original = waiting(tmp_path)[0]
        for n in range(1, 10_000):
            copy = original.with_name(f"{n:032x}.msg".rjust(len(original.name), "9"))
            copy.write_bytes(original.read_bytes())
        listings.clear()
        assert all(take(connection) == "0" for _ in range(10_000))
        assert take(connection) is None
        queue_listings = listings[str(original.parent)]
    assert queue_listings <= 4, f"the queue was listed {queue_listings} times for 10,000 messages"


# Bad messages --------------------------------------------------------------------------------------------------------

GARBAGE = {
    "empty": b"",
    "half": b'{"body": "W1tdLCB7fV0=", "headers": {"lang',
    "binary": bytes(range(256)),
    "list": b"[1, 2, 3]",
    "null": b"null",
    "no-properties": b'{"body": "x"}',
    "properties-are-text": b'{"body": "x", "properties": "y"}',
    "headers-are-a-number": b'{"body": "x", "headers": 5, "properties": {"delivery_tag": "t"}}',
    "unknown-encoding": b'{"body": "x", "properties": {"delivery_tag": "t", "body_encoding": "rot13"}}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_message_that_cannot_be_read_is_set_aside_and_the_next_one_is_delivered(tmp_path, kind):
    with connect(tmp_path) as connection:
        ring(connection, "good")
        (tmp_path / "queues" / "bells" / "0.msg").write_bytes(GARBAGE[kind])
        assert take(connection) == "good"
    [aside] = (tmp_path / "bad").iterdir()
    assert aside.read_bytes() == GARBAGE[kind]


def test_a_folder_named_like_a_message_is_set_aside(tmp_path):
    with connect(tmp_path) as connection:
        ring(connection, "good")
        (tmp_path / "queues" / "bells" / "0.msg").mkdir()
        assert take(connection) == "good"


# Expiry, size, purge, tidying ----------------------------------------------------------------------------------------


def test_an_expired_message_is_dropped_without_being_opened(tmp_path):
    with connect(tmp_path) as connection:
        ring(connection, "late", headers={"expires": "2020-01-01T00:00:00+00:00"})
        ring(connection, "naive and late", headers={"expires": "2020-01-01T00:00:00"})
        ring(connection, "in time", headers={"expires": "2999-01-01T00:00:00+00:00"})
        ring(connection, "in time too", expiration=60)
        for path in filter(lambda path: "-15778" in path.name, waiting(tmp_path)):  # seconds since 1970 of 2020-01-01
            path.write_bytes(b"would be set aside if it were opened")
        assert BELLS(connection.default_channel).queue_declare(passive=True).message_count == 2
        assert [take(connection), take(connection), take(connection)] == ["in time", "in time too", None]
    assert waiting(tmp_path) == []
    assert not (tmp_path / "bad").exists()


def test_nobody_listens_and_the_backlog_of_expired_messages_does_not_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(transport, "TIDY_EVERY", 0.0)
    with connect(tmp_path) as connection:
        for _ in range(50):
            ring(connection, "late", headers={"expires": "2020-01-01T00:00:00+00:00"})
    assert waiting(tmp_path) == []


def test_what_a_dead_publisher_left_half_written_is_removed_but_not_what_is_being_written(tmp_path):
    with connect(tmp_path) as connection:
        ring(connection, "x")
        queue = tmp_path / "queues" / "bells"
        (queue / ".old.msg.tmp").write_bytes(b"half")
        (queue / ".new.msg.tmp").write_bytes(b"half")
        os.utime(queue / ".old.msg.tmp", (time.time() - 3600,) * 2)
    with connect(tmp_path) as connection:
        assert [take(connection), take(connection)] == ["x", None]
    assert [path.name for path in waiting(tmp_path)] == [".new.msg.tmp"]


def test_purge_and_delete(tmp_path):
    with connect(tmp_path) as connection:
        for n in range(5):
            ring(connection, str(n))
        queue = BELLS(connection.default_channel)
        assert queue.purge() == 5
        assert take(connection) is None
        ring(connection, "again")
        queue.delete()
        assert not (tmp_path / "queues" / "bells").exists()


def test_messages_come_in_the_order_in_which_they_were_sent(tmp_path):
    with connect(tmp_path) as connection:
        for n in range(100):
            ring(connection, str(n))
        assert [take(connection) for _ in range(100)] == [str(n) for n in range(100)]


# Addresses and failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["broker", "with space", "100% &co;#?+@", "Bücher"])
def test_any_folder_has_an_address(tmp_path, name):
    with connect(tmp_path / name) as connection:
        ring(connection, "x")
        assert take(connection) == "x"
    assert (tmp_path / name / "queues" / "bells").is_dir()


@pytest.mark.parametrize("address", ["sendit://", "sendit:///", "sendit://data/broker", "sendit://relative"])
def test_an_address_that_is_not_an_absolute_path_is_refused_with_an_example(address):
    with pytest.raises(ValueError, match="sendit:///var/lib/sendit/broker"):
        Connection(address).connect()


@pytest.mark.parametrize("queue", ["..", ".", "../../etc", "/etc/passwd"])
def test_a_queue_name_cannot_leave_the_folder(tmp_path, queue):
    with connect(tmp_path / "broker") as connection:
        with suppress(ChannelError):
            connection.default_channel.queue_declare(queue)
        assert [path.name for path in tmp_path.iterdir()] == ["broker"]
        assert {path.name for path in (tmp_path / "broker").iterdir()} <= {"queues"}


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing_behind(tmp_path):
    """A filesystem of 64 kB in a mount namespace of its own, where the machine allows that."""
    script = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from kombu import Connection
from sendit import transport
transport.register()
folder = Path({str(tmp_path)!r})
with Connection(transport.url(folder)) as connection:
    publish = lambda text: connection.Producer().publish(text, exchange="", routing_key="bells", retry=False)
    publish("fits")
    try:
        for _ in range(100):
            publish("x" * 10_000)
    except transport.BrokerUnavailable as error:
        print(error)
    assert not list(folder.rglob("*.tmp"))
    taken = 0
    while connection.default_channel.basic_get("bells", no_ack=True):
        taken += 1
    publish("fits again")
    print(taken, "taken")
"""
    mount = f'mount -t tmpfs -o size=64k none {tmp_path} && exec {sys.executable} -c "$SCRIPT"'
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount], env={**os.environ, "SCRIPT": script}, capture_output=True, text=True
    )
    if "unshare failed" in result.stderr or "permission denied" in result.stderr:
        pytest.skip("needs a mount namespace: run as root or enable kernel.unprivileged_userns_clone")
    assert result.returncode == 0, result.stderr
    assert "No space left on device. No work is lost" in result.stdout
    assert int(result.stdout.split()[-2]) > 2


def test_an_empty_queue_says_so(tmp_path):
    with connect(tmp_path) as connection:
        channel = connection.default_channel
        with pytest.raises(Empty):
            channel._get("never declared")


def listening(folder: Path, heard: list[str]) -> tuple[Connection, Hub]:
    """A consumer on a real event loop that would look by itself once a minute only."""
    hub = Hub()
    connection = Connection(transport.url(folder), transport_options={"polling_interval": 60})
    connection.transport.polling_interval = 60
    consumer = connection.Consumer([BELLS], callbacks=[lambda body, message: (heard.append(body), message.ack())])
    consumer.consume()
    connection.transport.register_with_event_loop(connection.connection, hub)
    return connection, hub


def until_heard(hub: Hub, heard: list[str], text: str) -> None:
    until = time.monotonic() + 5
    hub.call_later(5, lambda: None)
    while text not in heard and time.monotonic() < until:
        hub.run_once()
    assert text in heard


def test_an_idle_consumer_hears_a_message_at_once(tmp_path):
    heard: list[str] = []
    with connect(tmp_path) as publisher:
        connection, hub = listening(tmp_path, heard)
        ring(publisher, "one")
        until_heard(hub, heard, "one")
        ring(publisher, "two")
        until_heard(hub, heard, "two")
        connection.close()
        assert not list((tmp_path / "ears").iterdir())


def test_the_ear_of_a_dead_consumer_holds_nobody_up_and_goes(tmp_path):
    with connect(tmp_path) as publisher:
        (tmp_path / "ears").mkdir()
        os.mkfifo(tmp_path / "ears" / "dead")
        ring(publisher, "one")
        assert not list((tmp_path / "ears").iterdir())
        assert take(publisher) == "one"


def test_an_ear_that_is_full_holds_nobody_up(tmp_path):
    connection, _ = listening(tmp_path, [])
    [ear] = (tmp_path / "ears").iterdir()
    handle = os.open(ear, os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(handle, b"!" * 4096)
    with connect(tmp_path) as publisher:
        ring(publisher, "one")
    os.close(handle)
    connection.close()
