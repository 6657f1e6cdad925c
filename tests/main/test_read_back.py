"""What was accepted is read back while the rest is being sent; a REST interface that fails loses nothing, sends nothing twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Sum
from pydicom import Dataset

from main import work
from main.destinations import kind_of
from main.destinations.orthanc_rest import TOGETHER
from main.models import Delivery, Destination, Event
from main.pipeline.release import OpenRelease, open_release
from tests.main.conftest import Node, statuses
from tests.main.test_deliver import deliveries, later, send_to, series_of
from tests.peers import Orthanc
from tests.peers.relay import Manner, Relay
from tests.waiting import eventually

IMAGES = 2 * TOGETHER + 8


@pytest.fixture
def relay(empty_orthanc: Orthanc, settings: Any) -> Iterator[Relay]:
    settings.DICOM_PEER_TIMEOUT = 1.0
    with Relay(empty_orthanc.http_port) as way:
        yield way


@pytest.fixture
def destination(empty_orthanc: Orthanc, relay: Relay) -> Destination:
    """Orthanc, whose REST interface is reached by the relay; nothing else is a destination."""
    Destination.objects.all().delete()
    destination = send_to(empty_orthanc)
    destination.settings["rest_url"] = f"http://127.0.0.1:{relay.port}"
    destination.save()
    return destination


@pytest.fixture
def released(node: Node, ct: Dataset, destination: Destination) -> list[OpenRelease]:
    """A series that waits to be sent."""
    node.hand_over("d", series_of(IMAGES, ct))
    for stage in ("register", "identify", "deidentify"):
        assert work.work_one(stage)
    waiting = Delivery.objects.filter(destination=destination).select_related("release").order_by("pk")
    return [open_release(one.release, one.pk) for one in waiting]


def test_what_was_accepted_is_read_back_while_the_rest_is_still_to_be_sent(
    released: list[OpenRelease], destination: Destination, relay: Relay
) -> None:
    with closing(kind_of(destination)) as kind:
        sending = kind.send(released)
        for release, _ in zip(released[:TOGETHER], sending, strict=False):
            kind.begin_to_prove(release)
        size = sum(release.size - release.dataset_offset for release in released[:TOGETHER])
        eventually(lambda: relay.passed > size, what="the reading back")
        receipts = list(kind.prove(released[:TOGETHER]))
    assert [receipt.delivery_id for receipt in receipts] == [release.delivery_id for release in released[:TOGETHER]]
    assert {(receipt.outcome, receipt.proof) for receipt in receipts} == {("proven", "content")}


@pytest.mark.parametrize("manner", ["refuses", "hangs", "drips", "cuts"])
def test_a_rest_interface_that_fails_delays_the_proof_and_sends_nothing_twice(
    released: list[OpenRelease], destination: Destination, relay: Relay, manner: Manner
) -> None:
    relay.manner = manner
    began = time.monotonic()
    assert work.work_one("deliver")
    assert time.monotonic() - began < 20, "it is given up once, not once for each image"
    unproven = Delivery.objects.exclude(state="PROVEN")
    assert unproven.count() >= IMAGES - 1, "one arrived before the cut"
    assert set(unproven.values_list("state", "proof", "error_code")) == {("ACCEPTED", "accepted", "rest-unreachable")}
    relay.manner = "passes"
    later()
    work.drain(seconds=20)
    assert deliveries(destination) == {"PROVEN": IMAGES}
    assert Event.objects.filter(kind="sent").aggregate(n=Sum("count"))["n"] == IMAGES


def test_an_image_that_cannot_be_compared_holds_up_no_other(
    released: list[OpenRelease], destination: Destination
) -> None:
    with closing(kind_of(destination)) as kind:
        assert {receipt.outcome for receipt in kind.send(released)} == {"sent"}
        released[3].path.unlink()
        found = {receipt.delivery_id: (receipt.outcome, receipt.code) for receipt in kind.prove(released)}
    assert found.pop(released[3].delivery_id) == ("sent", "os-enoent")
    assert set(found.values()) == {("proven", "")}


def test_the_reading_thread_touches_no_database_and_ends_with_its_load(
    released: list[OpenRelease], destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    real: Callable[[BaseDatabaseWrapper], None] = BaseDatabaseWrapper.ensure_connection

    def ensure(connection: BaseDatabaseWrapper) -> None:
        asked.add(threading.current_thread().name)
        real(connection)

    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", ensure)
    assert work.work_one("deliver")
    assert deliveries(destination) == {"PROVEN": IMAGES}
    assert asked == {threading.current_thread().name}
    eventually(lambda: not [one for one in threading.enumerate() if one.name.startswith("read-back")])


def test_a_worker_that_lost_its_lease_while_it_sent_writes_nothing(
    released: list[OpenRelease], destination: Destination, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SENDIT_LEASE_SECONDS = 0.0  # so that it is renewed with each image
    monkeypatch.setattr("main.pipeline.deliver.reach", lambda name: name == "deliver:claimed" and take_over())

    def take_over() -> None:
        Delivery.objects.update(token="00000000-0000-0000-0000-000000000001")

    assert work.work_one("deliver")
    assert deliveries(destination) == {"PENDING": IMAGES}
    assert not Event.objects.filter(kind__in=["sent", "proven"])


def test_another_object_of_the_series_does_not_stand_for_ours(
    node: Node, ct: Dataset, destination: Destination, empty_orthanc: Orthanc
) -> None:
    """The UIDs are asked for as a list; what is missing of it is sent again, alone."""
    batch = node.drop("d", series_of(3, ct))
    assert statuses(batch) == {"SENT": 3}
    missing = Delivery.objects.order_by("pk")[1]
    stored = {
        empty_orthanc.rest(f"/instances/{one}")["MainDicomTags"]["SOPInstanceUID"]: one
        for one in empty_orthanc.rest("/instances")
    }
    empty_orthanc.rest(f"/instances/{stored[missing.release.sop_instance_uid]}", method="DELETE")
    Delivery.objects.update(state="ACCEPTED", proof="accepted", proven_at=None, due_at=missing.release.at)
    assert work.work_one("deliver")
    missing.refresh_from_db()
    assert (missing.state, missing.error_code) == ("PENDING", "not-found")
    assert deliveries(destination) == {"PROVEN": 2, "PENDING": 1}
