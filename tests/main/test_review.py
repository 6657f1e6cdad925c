"""Rules that a hostile reading of the pipeline found broken: nothing lost, nothing stuck, nothing leaves that a person stopped."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pydicom import Dataset
from pydicom.uid import generate_uid

from main import work
from main.claims import claim
from main.management.commands import cleanup as cleanup_command  # noqa: F401
from main.models import Batch, Delivery, Destination, FileOutcome, Image, Series, SeriesIdentifiers, Subject
from main.pipeline import take as taking
from main.pipeline.register import register
from main.pipeline.replay import discard_files, discard_images, replay, requeue_files, requeue_images, retry_blocked
from main.pipeline.sweep import tidy as tidy_up
from main.pipeline.take import recover, take, take_copy
from tests.main.conftest import Node, copy_of, counts_add_up, one, statuses


def save(ct: Dataset, folder: Path, number: int, **changes: Any) -> None:
    ct.SOPInstanceUID = generate_uid()
    ct.file_meta.MediaStorageSOPInstanceUID = ct.SOPInstanceUID
    for k, v in changes.items():
        setattr(ct, k, v)
    ct.save_as(folder / f"{number:04}.dcm")


def fill_with(ct: Dataset, count: int):
    def fill(folder: Path) -> None:
        for n in range(count):
            save(ct, folder, n)
    return fill


# A
def test_cleanup_switched_on_later_removes_what_is_due(node: Node, settings: Any) -> None:
    settings.SENDIT_RETENTION_HOURS = 0.0
    batch = node.drop("d", copy_of("CT_small.dcm"))
    settings.SENDIT_CLEANUP = True
    tidy_up()
    work.drain(seconds=10)
    assert not Image.objects.exists()


# B
def test_a_replay_of_a_series_sends_nothing_that_a_person_discarded(node: Node, ct: Dataset) -> None:
    from main import states
    Destination.objects.update(held=True)
    node.drop("d", fill_with(ct, 2))
    first = Image.objects.order_by("pk").first()
    states.move(Series.objects.get(), Image.objects.filter(pk=first.pk), "QUARANTINED", code="leak", sentence="Test.")
    discard_images([first.pk], "tester", "name burned in")
    Destination.objects.update(held=False)
    work.drain(seconds=10)
    assert len(node.out()) == 1
    replay(Series.objects.get(), "identify", "tester")
    work.drain(seconds=10)
    first.refresh_from_db()
    assert first.status == "EXCLUDED"
    assert len(node.out()) == 1


# C
def test_a_file_requeued_while_its_drop_is_registered_is_not_lost(node: Node, monkeypatch: Any) -> None:
    monkeypatch.setattr("main.pipeline.register.CHUNK", 1)
    def fill(folder: Path) -> None:
        (folder / "a.txt").write_bytes(b"no image" * 100)
        os.utime(folder / "a.txt", (0, 0))
        copy_of("CT_small.dcm", "b.dcm")(folder)
    batch = node.hand_over("d", fill)
    import main.pipeline.register as r
    real = r.rows.write
    calls = []
    def write(*a):
        if len(calls) == 1:
            pass
        res = real(*a)
        calls.append(1)
        return res
    real_look = r._look
    def look(held, path, size):
        if path.endswith("b.dcm") and FileOutcome.objects.filter(held=True).exists():
            assert requeue_files(list(FileOutcome.objects.values_list("pk", flat=True)), "tester") == 1
        return real_look(held, path, size)
    monkeypatch.setattr(r, "_look", look)
    work.drain(seconds=10)
    monkeypatch.setattr(r, "_look", real_look)
    work.drain(seconds=10)
    batch.refresh_from_db()
    assert (batch.stage, batch.due_at) == ("", None)
    assert FileOutcome.objects.filter(batch=batch).count() == 1


# D
def test_a_drop_partly_cleaned_and_requeued_still_adds_up(node: Node, settings: Any) -> None:
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0
    def fill(folder: Path) -> None:
        copy_of("CT_small.dcm")(folder)
        (folder / "letter.txt").write_bytes(b"Dear colleague" * 10)
    batch = node.drop("d", fill)
    assert counts_add_up(batch)
    requeue_files([one(batch).pk], "tester")
    work.drain(seconds=10)
    batch.refresh_from_db()
    from main.overview import balance
    print(balance(batch))
    assert counts_add_up(batch)


# E
def test_a_replay_of_one_series_leaves_the_others_of_its_study_alone(node: Node, ct: Dataset) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    second = ct
    second.SeriesInstanceUID = generate_uid()
    node.hand_over("e", lambda folder: save(second, folder, 0))
    work.work_one("register"); work.work_one("identify")
    done, waiting = Series.objects.order_by("pk")
    assert waiting.stage == "deidentify"
    replay(done, "identify", "tester")
    while work.work_one("deidentify"): pass
    work.drain(seconds=10)
    assert set(Image.objects.values_list("status", flat=True)) == {"SENT"}, list(Image.objects.values_list("status", "code"))


# F
def test_a_corrected_image_sent_again_goes_out_after_the_wrong_one_was_discarded(node: Node, ct: Dataset) -> None:
    from main import states
    Destination.objects.update(held=True)
    node.drop("d", lambda folder: ct.save_as(folder / "a.dcm"))
    states.move(Series.objects.get(), Image.objects.all(), "QUARANTINED", code="leak", sentence="Test.")
    discard_images(list(Image.objects.values_list("pk", flat=True)), "tester", "wrong")
    Destination.objects.update(held=False)
    ct.PatientComments = ""
    ct.StudyDescription = "corrected"
    batch = node.drop("e", lambda folder: ct.save_as(folder / "a.dcm"))
    print(list(FileOutcome.objects.values_list("outcome", "code", "sentence")))
    assert len(node.out()) == 1


def test_an_image_whose_original_is_gone_can_be_sent_again(node: Node, ct: Dataset) -> None:
    batch = node.hand_over("d", lambda folder: ct.save_as(folder / "a.dcm"))
    work.work_one("register")
    shutil.rmtree(batch.folder / "d")
    work.drain(seconds=10)
    print(list(Image.objects.values_list("status", "code")))
    discard_images(list(Image.objects.values_list("pk", flat=True)), "tester", "as the docs say")
    node.drop("e", lambda folder: ct.save_as(folder / "a.dcm"))
    print(list(FileOutcome.objects.values_list("outcome", "code", "sentence")))
    assert len(node.out()) == 1


# G
def test_originals_queued_for_a_destination_that_is_no_longer_trusted_do_not_leave(node: Node, tmp_path: Path) -> None:
    Destination.objects.update(recipe="none", trusted=True, held=True)
    node.drop("d", copy_of("CT_small.dcm"))
    Destination.objects.update(recipe="basic", trusted=False, held=False)
    work.drain(seconds=10)
    assert not any(b"CompressedSamples" in path.read_bytes() for path in node.out())


# H
def test_one_original_that_cannot_be_read_holds_up_no_other(node: Node, ct: Dataset) -> None:
    batch = node.hand_over("d", fill_with(ct, 5))
    work.work_one("register"); work.work_one("identify")
    bad = batch.folder / "d" / "0003.dcm"
    import errno, main.pipeline.release as rel
    real = rel.original
    bad.unlink(); bad.mkdir()
    work.drain(seconds=3)
    import time; time.sleep(0.5)
    work.drain(seconds=3)
    print(statuses(batch), Series.objects.values_list("error_code", "error"))
    assert statuses(batch).get("SENT") == 4


def test_one_image_that_breaks_the_engine_holds_up_no_other(node: Node, ct: Dataset, monkeypatch: Any) -> None:
    batch = node.hand_over("d", fill_with(ct, 5))
    work.work_one("register"); work.work_one("identify")
    import main.pipeline.release as rel
    real = type(rel.deidentifier("basic")).file
    def file(self, source, *a, **k):
        if str(source).endswith("0003.dcm"):
            raise MemoryError
        return real(self, source, *a, **k)
    monkeypatch.setattr(type(rel.deidentifier("basic")), "file", file)
    for _ in range(60):
        work.drain(seconds=3)
        Series.objects.filter(token=None).exclude(due_at=None).update(due_at=timezone.now())
    print(statuses(batch), Series.objects.values_list("error_code", "error", "attempts"))
    assert statuses(batch).get("SENT") == 4


# I
def test_one_folder_that_cannot_be_listed_holds_up_no_other_file(node: Node) -> None:
    batch = node.hand_over("d", copy_of("CT_small.dcm"))
    at = os.open(batch.folder / "d", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=at)
        new = os.open("x" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at); at = new
    os.close(at)
    import time
    for _ in range(3):
        work.drain(seconds=3); time.sleep(0.2)
    batch.refresh_from_db()
    print(batch.stage, batch.error_code, batch.error, batch.attempts, statuses(batch))
    assert statuses(batch).get("SENT") == 1


# J
def test_a_file_that_appears_in_a_taken_drop_gets_its_outcome(node: Node) -> None:
    batch = node.drop("d", copy_of("CT_small.dcm"))
    copy_of("MR_small.dcm")(batch.folder / "d")
    tidy_up()
    work.drain(seconds=5)
    batch.refresh_from_db()
    assert batch.files == 2


# K
def test_a_stranger_among_the_folders_of_drops_stops_no_tidying(node: Node, settings: Any) -> None:
    (settings.DROPS_DIR / "lost+found").mkdir()
    os.utime(settings.DROPS_DIR / "lost+found", (0, 0))
    tidy_up()


def test_an_interrupted_import_leaves_nothing_behind(node: Node, settings: Any, tmp_path: Path) -> None:
    part = settings.DROPS_DIR / "5f8a1c8e-2a51-4f0a-9bb5-0f8f3b7f3f55.part"
    part.mkdir()
    copy_of("CT_small.dcm")(part)
    for p in (part / "CT_small.dcm", part):
        os.utime(p, (0, 0))
    tidy_up()
    assert not part.exists()


# L
def test_nothing_of_a_patient_whose_file_was_refused_stays_after_the_discard(node: Node, ct: Dataset, settings: Any) -> None:
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0
    def fill(folder: Path) -> None:
        save(ct, folder, 0)
        save(ct, folder, 1, PatientID="OTHER")
    batch = node.drop("d", fill)
    discard_files([one(batch).pk], "tester", "wrong patient")
    tidy_up()
    assert not Subject.objects.exists()


def test_nothing_sealed_of_a_drop_stays_once_its_folder_is_removed(node: Node, settings: Any) -> None:
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0
    batch = node.drop("DOE^JOHN", copy_of("CT_small.dcm"))
    assert not batch.folder.exists()
    from main.identity import unseal
    print(unseal(batch.sealed_name))
    assert not batch.sealed_name


# M
def test_work_of_a_drop_that_stopped_can_be_started_again(node: Node, monkeypatch: Any) -> None:
    import main.pipeline.register as r
    batch = node.hand_over("d", copy_of("CT_small.dcm"))
    real = r.read_structure
    monkeypatch.setattr(r, "read_structure", lambda *a, **k: 1 / 0)
    for _ in range(40):
        work.drain(seconds=3)
        Batch.objects.filter(token=None).exclude(due_at=None).update(due_at=timezone.now())
    monkeypatch.setattr(r, "read_structure", real)
    batch.refresh_from_db()
    print(batch.stage, batch.due_at, batch.error_code, batch.error)
    retry_blocked("tester")
    work.drain(seconds=5)
    assert statuses(batch) == {"SENT": 1}


# N
def test_a_slow_image_is_not_called_a_killer(node: Node, ct: Dataset) -> None:
    node.hand_over("d", fill_with(ct, 1))
    work.work_one("register"); work.work_one("identify")
    image = Image.objects.get()
    for n in range(6):
        held = claim(Series, "deidentify")
        alive = held.take_in_hand(str(image.pk))
        print(n, alive, held.row.attempts)
        if not alive:
            raise AssertionError("no worker died; each was only slower than its lease")
        Series.objects.update(due_at=timezone.now())  # the lease ends while the image is still worked on


# O
def test_counts_of_retry(node: Node) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    Delivery.objects.update(state="BLOCKED", error_code="x", proof="", proven_at=None)
    assert retry_blocked("t") == 1


def test_the_source_of_an_import_is_no_name_from_outside(node: Node, tmp_path: Path) -> None:
    from main.models import Event
    from main.tasks import import_dicomdir
    folder = tmp_path / "DOE^JOHN" / "CT1"
    folder.mkdir(parents=True)
    copy_of("CT_small.dcm")(folder)
    import_dicomdir(str(folder))
    assert "DOE" not in str(list(Batch.objects.values("source"))) + str(list(Event.objects.values("sentence")))
