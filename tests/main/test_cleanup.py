"""Nothing is removed before it is proven, and then nothing is left but a line without patient values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pydicom import Dataset
from pydicom.uid import generate_uid

from main import work
from main.models import Batch, Delivery, Destination, FileOutcome, Image, LedgerEntry, Release, Series, Study, Subject
from main.pipeline.replay import discard_files, discard_images, replay, requeue_files
from main.pipeline.sweep import tidy as tidy_up
from tests.main.conftest import Node, copy_of, counts_add_up, one


@pytest.fixture
def tidy(settings: Any) -> None:
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0


def test_after_cleanup_only_the_ledger_remains(node: Node, tidy: None, settings: Any) -> None:
    batch = node.drop("d", copy_of("CT_small.dcm"))
    assert [model.objects.count() for model in (Image, Release, Delivery, Series, Study, Subject)] == [0] * 6
    entry = LedgerEntry.objects.get()
    assert (entry.images, entry.destinations) == (1, {"outbox": "content"})
    assert not batch.folder.exists()
    assert not list(settings.RELEASES_DIR.iterdir())
    assert counts_add_up(batch)
    assert batch.cleaned == 1
    assert len(node.out()) == 1, "what was delivered stays delivered"


def test_off_by_default(node: Node) -> None:
    batch = node.drop("d", copy_of("CT_small.dcm"))
    assert not work.work_one("cleanup")
    assert (batch.folder / "d" / "CT_small.dcm").exists()


def test_one_unproven_destination_keeps_everything(node: Node, tidy: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Destination.objects.create(name="b", kind="folder", recipe="basic", settings={"path": str(tmp_path / "file" / "x")})
    batch = node.drop("d", copy_of("CT_small.dcm"))
    Series.objects.update(stage="cleanup", due_at=timezone.now())
    assert work.work_one("cleanup")
    assert (batch.folder / "d" / "CT_small.dcm").exists()
    assert Image.objects.get().status == "DONEPROCESSING"


def test_a_receipt_that_vanished_stops_the_cleanup(node: Node, settings: Any) -> None:
    batch = node.drop("d", copy_of("CT_small.dcm"))
    settings.SENDIT_CLEANUP = True
    Delivery.objects.all().delete()
    Series.objects.update(stage="cleanup", due_at=timezone.now())
    assert work.work_one("cleanup")
    assert Series.objects.get().error_code == "no-receipt"
    assert (batch.folder / "d" / "CT_small.dcm").exists()


def test_a_held_file_keeps_its_drop_until_a_person_decides(node: Node, tidy: None) -> None:
    def fill(folder: Path) -> None:
        copy_of("CT_small.dcm")(folder)
        (folder / "letter.txt").write_bytes(b"Dear colleague, the images follow." * 10)

    batch = node.drop("d", fill)
    assert (batch.folder / "d" / "letter.txt").exists()
    assert not (batch.folder / "d" / "CT_small.dcm").exists()
    assert discard_files([one(batch).pk], "tester", "a letter") == 1
    tidy_up()
    assert not batch.folder.exists()
    batch.refresh_from_db()
    assert counts_add_up(batch)
    assert one(batch).outcome == FileOutcome.Outcome.DISCARDED


def test_a_requeued_file_is_registered_again(node: Node, ct: Dataset) -> None:
    ct.StudyInstanceUID = ""
    batch = node.drop("d", lambda folder: ct.save_as(folder / "a.dcm"))
    assert one(batch).held
    ct.StudyInstanceUID = generate_uid()
    ct.save_as(batch.folder / "d" / "a.dcm")
    assert requeue_files([one(batch).pk], "tester") == 1
    work.drain(seconds=10)
    batch.refresh_from_db()
    assert len(node.out()) == 1
    assert counts_add_up(batch)


def test_a_discarded_image_lets_its_series_finish(node: Node, ct: Dataset, settings: Any) -> None:
    Destination.objects.update(held=True)

    def fill(folder: Path) -> None:
        for number in range(2):
            ct.SOPInstanceUID = generate_uid()
            ct.save_as(folder / f"{number}.dcm")

    batch = node.drop("d", fill)
    from main import states

    first = Image.objects.order_by("pk").first()
    assert first is not None
    states.move(Series.objects.get(), Image.objects.filter(pk=first.pk), "QUARANTINED", code="test", sentence="Test.")
    assert discard_images([first.pk], "tester", "not wanted") == 1
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0
    Destination.objects.update(held=False)
    work.drain(seconds=10)
    assert len(node.out()) == 1, "the discarded one never leaves"
    entry = LedgerEntry.objects.get()
    assert (entry.images, entry.excluded) == (1, 1)
    batch.refresh_from_db()
    assert counts_add_up(batch)


@pytest.mark.parametrize("start", ["identify", "deidentify", "deliver"])
def test_a_replay_gives_the_same_bytes(node: Node, start: Any) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    before = node.out()[0].read_bytes()
    node.out()[0].unlink()
    assert replay(Series.objects.get(), start, "tester") == 1
    work.drain(seconds=10)
    assert [path.read_bytes() for path in node.out()] == [before]
    assert Image.objects.get().status == "SENT"


def test_a_resend_after_cleanup_arrives_as_the_same_object(node: Node, tidy: None) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    before = {path: path.read_bytes() for path in node.out()}
    batch = node.drop("d", copy_of("CT_small.dcm"))
    assert {path: path.read_bytes() for path in node.out()} == before
    assert Batch.objects.get(pk=batch.pk).cleaned == 1
