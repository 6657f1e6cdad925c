"""SENT means proven; a destination that is down, refuses, hangs, lies or is full loses nothing and blocks no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from dimse import CommitmentListener
from main import work
from main.models import Batch, Commitment, Delivery, Destination, Event, Image, Release, Series
from tests.main.conftest import Node, copy_of, statuses
from tests.peers import Orthanc
from tests.peers.scripted import ABORT, CANNOT_UNDERSTAND, FULL, HANG, LIE, Reject, ScriptedSCP
from tests.waiting import eventually

State = Delivery.State


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[ScriptedSCP]:
    with ScriptedSCP(tmp_path, commitment="absent") as peer:
        yield peer


@pytest.fixture(autouse=True)
def quick_timeouts(settings: Any) -> None:
    settings.DICOM_PEER_TIMEOUT = 4.0


def send_to(peer: ScriptedSCP | Orthanc, **columns: Any) -> Destination:
    """Make `peer` a destination beside the outbox."""
    options = {"host": "127.0.0.1", "port": peer.dicom_port, "ae_title": peer.ae_title}
    if isinstance(peer, Orthanc) and columns.pop("rest", True):
        options["rest_url"] = peer.rest_url
    columns = {"name": "pacs", "kind": "dicom", "recipe": "basic", "settings": options, **columns}
    return Destination.objects.create(**columns)


def series_of(images: int, ct: Dataset) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        for number in range(images):
            ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            ct.save_as(folder / f"{number}.dcm")

    return fill


def later() -> None:
    """Let every wait be over."""
    past = timezone.now()
    Delivery.objects.filter(due_at__isnull=False).update(due_at=past)
    Destination.objects.update(retry_at=None)


def deliveries(destination: Destination) -> dict[str, int]:
    states = list(Delivery.objects.filter(destination=destination).values_list("state", flat=True))
    return {state: states.count(state) for state in set(states)}


def test_orthanc_gets_every_image_once_and_its_bytes_are_read_back(
    node: Node, ct: Dataset, empty_orthanc: Orthanc
) -> None:
    destination = send_to(empty_orthanc)
    batch = node.drop("d", series_of(5, ct))
    assert statuses(batch) == {"SENT": 5}
    assert set(Delivery.objects.filter(destination=destination).values_list("proof", flat=True)) == {"content"}
    assert sorted(empty_orthanc.instances()) == sorted(Release.objects.values_list("sop_instance_uid", flat=True))


def test_without_rest_the_proof_is_a_query(node: Node, ct: Dataset, empty_orthanc: Orthanc) -> None:
    send_to(empty_orthanc, rest=False)
    batch = node.drop("d", series_of(2, ct))
    assert statuses(batch) == {"SENT": 2}
    assert set(Delivery.objects.filter(destination__name="pacs").values_list("proof", flat=True)) == {"found"}


def worked_off(batch: Batch) -> Batch:
    """Try now what waits for an answer that was late."""
    Delivery.objects.filter(token=None, error_code="commitment-open").update(due_at=timezone.now())
    work.drain(seconds=30)
    return batch


@pytest.mark.django_db(transaction=True)
def test_storage_commitment_is_the_proof_where_a_port_for_it_is_set(
    node: Node, ct: Dataset, tmp_path: Path, settings: Any
) -> None:
    listener = CommitmentListener("127.0.0.1", 0, "SENDIT", Commitment.answer)
    listener.start()
    settings.DICOM_COMMITMENT_PORT = listener.port
    try:
        with ScriptedSCP(tmp_path, answer_to=("127.0.0.1", listener.port, "SENDIT")) as peer:
            send_to(peer)
            batch = node.drop("d", series_of(3, ct))
            eventually(lambda: statuses(worked_off(batch)) == {"SENT": 3}, what="the answer to the request")
    finally:
        listener.stop()
    assert set(Delivery.objects.filter(destination__name="pacs").values_list("proof", flat=True)) == {"committed"}


def test_a_destination_that_is_down_holds_only_its_own(node: Node, ct: Dataset, scripted: ScriptedSCP) -> None:
    scripted.stop()
    destination = send_to(scripted)
    batch = node.drop("d", series_of(2, ct))
    assert len(node.out()) == 2, "the other destination has them"
    assert statuses(batch) == {"DONEPROCESSING": 2}
    destination.refresh_from_db()
    assert destination.error_code == "association-refused"
    assert "SCRIPTED" in destination.error
    assert destination.retry_at is not None
    scripted.start()
    later()
    work.drain(seconds=20)
    assert statuses(batch) == {"SENT": 2}
    assert len(scripted.received) == 2
    assert len(node.out()) == 2


def test_the_outbox_is_not_told_twice_when_another_destination_fails(
    node: Node, ct: Dataset, scripted: ScriptedSCP
) -> None:
    scripted.behaviour.default = FULL
    send_to(scripted)
    node.drop("d", series_of(1, ct))
    before = node.out()[0].stat().st_mtime_ns
    for _ in range(3):
        later()
        work.drain(seconds=10)
    assert node.out()[0].stat().st_mtime_ns == before
    scripted.behaviour.default = type(FULL)()
    later()
    work.drain(seconds=10)
    assert set(Image.objects.values_list("status", flat=True)) == {"SENT"}


@pytest.mark.parametrize(
    ("behaviour", "state", "code"),
    [
        ({"associate": Reject()}, State.BLOCKED, "association-rejected"),
        ({"associate": "hang"}, State.PENDING, "association-timeout"),
        ({"default": HANG}, State.PENDING, "no-answer"),
        ({"default": ABORT}, State.PENDING, "no-answer"),
        ({"default": FULL}, State.PENDING, "status-a700"),
        ({"default": CANNOT_UNDERSTAND}, State.BLOCKED, "status-c000"),
        ({"default": LIE}, State.PENDING, "not-found"),
    ],
    ids=["rejects", "hangs at once", "hangs in mid-store", "aborts", "full", "cannot understand", "lies"],
)
def test_a_failing_peer_is_said_clearly_and_nothing_counts_as_sent(
    node: Node, ct: Dataset, scripted: ScriptedSCP, behaviour: dict[str, Any], state: str, code: str
) -> None:
    for name, value in behaviour.items():
        setattr(scripted.behaviour, name, value)
    destination = send_to(scripted)
    began = time.monotonic()
    batch = node.hand_over("d", series_of(1, ct))
    for stage in ("register", "identify", "deidentify"):
        assert work.work_one(stage)
    while work.work_one("deliver"):
        pass
    assert time.monotonic() - began < 15
    delivery = Delivery.objects.get(destination=destination)
    assert (delivery.state, delivery.error_code) == (state, code)
    assert delivery.error
    assert delivery.proof == ""
    assert statuses(batch) == {"DONEPROCESSING": 1}


def test_an_abort_after_some_images_sends_the_rest_later_and_none_twice(
    node: Node, ct: Dataset, scripted: ScriptedSCP
) -> None:
    scripted.behaviour.script = {3: ABORT}
    destination = send_to(scripted)
    node.drop("d", series_of(8, ct))
    assert deliveries(destination).get("PROVEN", 0) >= 3
    scripted.behaviour.script = {}
    later()
    work.drain(seconds=20)
    assert deliveries(destination) == {"PROVEN": 8}
    uids = [uid for uid, _ in scripted.received]
    assert len(set(uids)) == 8
    assert len(uids) <= 9, "only the one in hand may go twice"


def test_orthanc_with_other_content_under_the_uid_is_not_believed(
    node: Node, ct: Dataset, empty_orthanc: Orthanc
) -> None:
    destination = send_to(empty_orthanc)
    node.drop("d", series_of(1, ct))
    stored = dcmread(node.out()[0])
    empty_orthanc.clear()
    stored.PatientSex = "O"
    other = node.outbox / "other.dcm"
    stored.save_as(other)
    empty_orthanc.rest_bytes("/instances", other.read_bytes())
    from main.pipeline.replay import replay

    replay(Series.objects.get(), "deliver", "tester")
    work.drain(seconds=20)
    delivery = Delivery.objects.get(destination=destination)
    assert (delivery.state, delivery.error_code) == (State.BLOCKED, "other-content")


def test_a_changed_release_is_never_sent(node: Node, ct: Dataset) -> None:
    node.hand_over("d", series_of(1, ct))
    for stage in ("register", "identify", "deidentify"):
        assert work.work_one(stage)
    release = Release.objects.get()
    with open(release.path, "r+b") as file:
        file.seek(release.size - 1)
        file.write(b"X")
    assert work.work_one("deliver")
    assert not node.out()
    assert Delivery.objects.get().error_code == "release-changed"


def test_a_held_destination_gets_nothing_until_it_is_let_go(node: Node, ct: Dataset) -> None:
    Destination.objects.update(held=True)
    batch = node.drop("d", series_of(1, ct))
    assert not node.out()
    Destination.objects.update(held=False)
    work.drain(seconds=10)
    assert statuses(batch) == {"SENT": 1}


def test_less_proof_must_be_asked_for(node: Node, ct: Dataset, scripted: ScriptedSCP) -> None:
    scripted.behaviour.default = LIE
    send_to(scripted, required_proof="accepted")
    batch = node.drop("d", series_of(1, ct))
    assert statuses(batch) == {"SENT": 1}
    assert Delivery.objects.get(destination__name="pacs").proof == "accepted"


def test_originals_go_only_to_a_trusted_destination_and_the_database_says_so(node: Node, tmp_path: Path) -> None:
    from django.db import IntegrityError, transaction

    columns = {
        "name": "originals",
        "kind": "folder",
        "recipe": "none",
        "settings": {"path": str(tmp_path / "originals")},
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        Destination.objects.create(**columns)
    Destination.objects.create(**columns, trusted=True)
    batch = node.drop("d", copy_of("CT_small.dcm"))
    assert statuses(batch) == {"SENT": 1}
    original = next((tmp_path / "originals").rglob("*.dcm"))
    assert dcmread(original).PatientName == "CompressedSamples^CT1"
    assert dcmread(node.out()[0]).PatientName != "CompressedSamples^CT1"
    assert set(Release.objects.values_list("recipe", flat=True)) == {"none", "basic"}


def test_a_disk_that_is_full_at_the_outbox_waits(node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import shutil

    real = shutil.copyfile

    def full(source: Path, target: Path) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr("main.destinations.folder.shutil.copyfile", full)
    batch = node.drop("d", series_of(1, ct))
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.error_code) == (State.PENDING, "os-enospc")
    assert str(node.outbox) not in delivery.error
    monkeypatch.setattr("main.destinations.folder.shutil.copyfile", real)
    later()
    work.drain(seconds=10)
    assert statuses(batch) == {"SENT": 1}


def test_no_series_is_delivered_without_its_event(node: Node, ct: Dataset) -> None:
    batch = node.drop("d", series_of(3, ct))
    kinds = list(Event.objects.filter(series_id=Series.objects.get().pk).values_list("kind", "count"))
    assert ("sent", 3) in kinds
    assert ("proven", 3) in kinds
    assert Batch.objects.get(pk=batch.pk).stage == ""
