"""Deliveries and what else writes to them never wait for each other, and what the database broke off goes on at once."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from pydicom import Dataset

from main import work
from main.models import Delivery, Destination, Series
from main.pipeline import deliver, replay
from tests.main.conftest import Node
from tests.main.test_deliver import deliveries, send_to, series_of
from tests.main.test_lock_order import Meeting
from tests.peers.scripted import ScriptedSCP

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def waiting(node: Node, ct: Dataset) -> None:
    """A series that waits to be sent to the outbox."""
    node.hand_over("d", series_of(3, ct))
    for stage in ("register", "identify", "deidentify"):
        assert work.work_one(stage)


def broken_off(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the database said when it broke off the writing of outcomes."""
    said: list[str] = []
    whole = deliver._write_groups

    def recorded(*args: Any) -> None:
        try:
            whole(*args)
        except OperationalError as error:
            said.append(str(error).splitlines()[0])
            raise

    monkeypatch.setattr(deliver, "_write_groups", recorded)
    return said


def test_a_delivery_and_a_retry_of_everything(waiting: None, monkeypatch: pytest.MonkeyPatch) -> None:
    said = broken_off(monkeypatch)
    meeting = Meeting(monkeypatch)
    meeting.stand(deliver, "_update_destination")
    meeting.arrive(replay, "record")
    meeting.run(lambda: work.work_one("deliver"), lambda: replay.retry_blocked("tester"))
    assert not meeting.ended
    assert not said
    assert set(Delivery.objects.values_list("state", flat=True)) == {"PROVEN"}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one lock, so nobody waits in a circle")
def test_the_victim_of_a_deadlock_writes_again_and_sends_nothing_twice(
    node: Node, ct: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = broken_off(monkeypatch)
    has_destination, has_series = threading.Event(), threading.Event()

    def take_them_in_the_wrong_order() -> None:
        with transaction.atomic():
            connection.cursor().execute("SET LOCAL deadlock_timeout = '60s'")  # so that the other one is the victim
            Destination.objects.select_for_update().get(name="pacs")
            has_destination.set()
            assert has_series.wait(30)
            Series.objects.select_for_update().get()
        connection.close()

    whole = deliver._update_destination

    def update(*args: Any) -> None:
        has_series.set()
        whole(*args)

    monkeypatch.setattr(deliver, "_update_destination", update)
    with ScriptedSCP(tmp_path, commitment="absent") as peer:
        Destination.objects.all().delete()
        destination = send_to(peer)
        node.hand_over("d", series_of(3, ct))
        for stage in ("register", "identify", "deidentify"):
            assert work.work_one(stage)
        other = threading.Thread(target=take_them_in_the_wrong_order)
        other.start()
        assert has_destination.wait(30)
        assert work.work_one("deliver")
        other.join(30)
        assert len(peer.received) == 3
    assert len(said) == 1
    assert "deadlock" in said[0]
    assert deliveries(destination) == {"PROVEN": 3}


def test_what_the_database_breaks_off_is_due_again_in_seconds(waiting: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(*args: Any) -> None:
        raise OperationalError("deadlock detected")

    monkeypatch.setattr(deliver, "_write_groups", break_off)
    with pytest.raises(OperationalError):
        work.work_one("deliver")
    soon = timezone.now() + timedelta(seconds=10)
    assert Delivery.objects.filter(token=None, state="PENDING", due_at__lt=soon).count() == 3
    assert Destination.objects.get().failures == 0, "it says nothing about the destination"
