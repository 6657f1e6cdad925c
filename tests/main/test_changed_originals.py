"""A file that is written to after its registration never leaves as what it became, and is not lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from main import identity, work
from main.identifiers import Request, keyed
from main.models import Batch, Event, Image, Series, Study
from main.pipeline import release
from main.pipeline.replay import replay, requeue_images
from tests.main.conftest import Node, counts_add_up, statuses

Write = Callable[[Path], None]


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0" * 16)


def change_in_place(path: Path) -> None:
    """Write other bytes of the same number, a moment later."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size - 100)
        file.write(b"\1" * 50)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def another_patient(path: Path) -> None:
    image = dcmread(path)
    image.PatientID, image.StudyInstanceUID, image.SeriesInstanceUID = "OTHER", generate_uid(), generate_uid()
    image.save_as(path)


def registered(node: Node, ct: Dataset, images: int = 2) -> Batch:
    """A drop that is registered and no further: 0.dcm, 1.dcm, …, of one series."""

    def fill(folder: Path) -> None:
        for number in range(images):
            ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            ct.save_as(folder / f"{number}.dcm")

    batch = node.hand_over("d", fill)
    assert work.work_one("register")
    return batch


@pytest.mark.parametrize("write", [grow, change_in_place, another_patient])
@pytest.mark.parametrize("before", ["identify", "deidentify"])
def test_a_file_that_changed_is_held_and_the_others_go_on(node: Node, ct: Dataset, write: Write, before: str) -> None:
    batch = registered(node, ct)
    if before == "deidentify":
        work.work_one("identify")
    write(batch.folder / "d" / "0.dcm")
    work.drain(seconds=10)
    assert statuses(batch) == {"SENT": 1, "QUARANTINED": 1}
    held = Image.objects.get(status="QUARANTINED")
    assert held.code == "original-changed"
    assert "registered anew" in held.sentence
    assert len(node.out()) == 1
    assert counts_add_up(Batch.objects.get(pk=batch.pk))


def test_no_identifiers_are_asked_for_by_what_a_file_became(node: Node, ct: Dataset) -> None:
    batch = registered(node, ct)
    another_patient(batch.folder / "d" / "0.dcm")
    work.drain(seconds=10)
    [out] = node.out()
    assert dcmread(out).PatientID == node_pseudonym(ct)


def node_pseudonym(ct: Dataset) -> str:
    """The pseudonym of the patient of `ct`."""
    key = identity.patient_key("", str(ct.PatientID), str(ct.StudyInstanceUID))
    return keyed.Provider().identify(Request(key, "", "", "", "")).values["PatientID"]


def test_a_file_that_is_written_to_while_it_is_released_is_held(
    node: Node, ct: Dataset, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = registered(node, ct, images=1)
    work.work_one("identify")
    engine = type(release.deidentifier("basic", "default"))
    whole = engine.file

    def read_and_write(self: Any, source: Path, *args: Any, **options: Any) -> Any:
        found = whole(self, source, *args, **options)
        grow(source)
        return found

    monkeypatch.setattr(engine, "file", read_and_write)
    work.drain(seconds=10)
    assert statuses(batch) == {"QUARANTINED": 1}
    assert not node.out()
    assert not list(settings.RELEASES_DIR.rglob("*.*")), "nothing of it is left where deliverers look"


def test_a_requeue_registers_it_anew(node: Node, ct: Dataset) -> None:
    batch = registered(node, ct, images=1)
    another_patient(batch.folder / "d" / "0.dcm")
    work.drain(seconds=10)
    first = Image.objects.get()
    assert requeue_images([first.pk], "tester") == 1
    work.drain(seconds=10)
    image = Image.objects.get()
    assert (image.status, image.series_id == first.series_id) == ("SENT", False)
    assert Series.objects.count() == Study.objects.count() == 1, "nothing is left of what it was taken for"
    [out] = node.out()
    assert dcmread(out).PatientID not in ("OTHER", "1CT1")
    batch.refresh_from_db()
    assert counts_add_up(batch)
    assert Event.objects.filter(kind="requeued", batch_id=batch.pk, count=1).exists()


def test_a_requeue_of_one_image_leaves_the_others_of_its_series_alone(node: Node, ct: Dataset) -> None:
    batch = registered(node, ct)
    change_in_place(batch.folder / "d" / "0.dcm")
    work.drain(seconds=10)
    held = Image.objects.get(status="QUARANTINED")
    assert requeue_images([held.pk], "tester") == 1
    work.drain(seconds=10)
    assert statuses(batch) == {"SENT": 2}
    assert Series.objects.count() == 1
    assert counts_add_up(Batch.objects.get(pk=batch.pk))


def test_what_a_worker_holds_just_now_waits_for_the_next_requeue(node: Node, ct: Dataset) -> None:
    from main.claims import claim

    batch = registered(node, ct)
    change_in_place(batch.folder / "d" / "0.dcm")
    work.drain(seconds=10)
    Series.objects.update(stage="deidentify", due_at=timezone.now())
    held = claim(Series, "deidentify")
    assert held is not None
    ids = list(Image.objects.filter(status="QUARANTINED").values_list("pk", flat=True))
    assert requeue_images(ids, "tester") == 1, "by the way of all others"
    work.run(held, "deidentify")
    work.drain(seconds=10)
    assert statuses(batch) == {"SENT": 1, "QUARANTINED": 1}


def test_a_replay_does_not_send_it(node: Node, ct: Dataset) -> None:
    batch = registered(node, ct)
    grow(batch.folder / "d" / "0.dcm")
    work.drain(seconds=10)
    replay(Series.objects.get(), "identify", "tester")
    work.drain(seconds=10)
    assert statuses(batch) == {"SENT": 1, "QUARANTINED": 1}
    assert len(node.out()) == 1
