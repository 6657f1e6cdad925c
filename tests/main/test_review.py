"""Nothing is lost, nothing is stuck, and what a person stopped stays stopped, at the seams between stages, people and crashes."""

from __future__ import annotations

import errno
import io
import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from main import states, work
from main.claims import claim
from main.errors import LostLease
from main.models import Batch, Delivery, Destination, Event, FileOutcome, Image, Series, Study, Subject
from main.pipeline import cleanup, deidentify, register, release
from main.pipeline import take as taking
from main.pipeline.replay import discard_files, discard_images, replay, requeue_files, requeue_images
from main.pipeline.sweep import tidy
from main.pipeline.take import recover, take
from main.tasks import import_dicomdir
from sendit.settings import WatchFolder
from tests.main.conftest import Node, copy_of, counts_add_up, one, statuses

Fill = Callable[[Path], None]


class WorkerDies(BaseException):
    """Ends a stage as `kill -9` does: nothing is written any more."""


def images(ct: Dataset, count: int, **changes: Any) -> Fill:
    """A filler: `count` images of one series."""

    def fill(folder: Path) -> None:
        for number in range(count):
            ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            for keyword, value in changes.items():
                setattr(ct, keyword, value)
            ct.save_as(folder / f"{number:04}.dcm")

    return fill


def work_on(rounds: int) -> None:
    """Work with leases and waits that end at once, and a new worker for one that dies."""
    for _ in range(rounds):
        with suppress(WorkerDies):
            work.drain(seconds=5)
        for model in (Batch, Series, Delivery):
            model._default_manager.exclude(due_at=None).update(due_at=timezone.now())


def quarantine_first(sentence: str = "Test.") -> Image:
    first = Image.objects.order_by("pk").first()
    assert first is not None
    states.move(
        first.series, Image.objects.filter(pk=first.pk), states.Status.QUARANTINED, code="leak", sentence=sentence
    )
    return first


@pytest.fixture
def cleaning(settings: Any) -> None:
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0


# --- taking ---------------------------------------------------------------------------------------------------------------


def test_the_sweep_leaves_a_drop_alone_while_it_is_copied(
    node: Node, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WATCH_FOLDERS = [WatchFolder(node.inbox)]
    (node.inbox / "d").mkdir()
    for number in range(3):
        copy_of("CT_small.dcm", f"{number}.dcm")(node.inbox / "d")
    still_there: list[bool] = []
    copy = taking._copy_file

    def copy_and_sweep(source: Any, target: Any) -> None:
        copy(source, target)
        recover(0)
        still_there.append(Path(target).exists() and not Batch.objects.exists())

    monkeypatch.setattr(taking, "_copy_file", copy_and_sweep)
    monkeypatch.setattr(taking, "_move_in", taking._move_across)
    batch = take([node.inbox / "d"], node.inbox)
    assert still_there == [True] * 3
    assert batch is not None
    assert len(list((batch.folder / "d").iterdir())) == 3


def test_a_stranger_among_the_drops_does_not_stop_the_tidying(node: Node, settings: Any) -> None:
    stranger = settings.DROPS_DIR / "lost+found"
    stranger.mkdir()
    os.utime(stranger, (0, 0))
    tidy()


def test_a_share_that_cannot_be_listed_does_not_stop_the_tidying(node: Node, settings: Any) -> None:
    settings.WATCH_FOLDERS = [WatchFolder(node.inbox)]
    (node.inbox / taking.TAKING).symlink_to(node.inbox / taking.TAKING)
    tidy()


def test_an_import_that_was_killed_leaves_no_originals_behind(node: Node, settings: Any) -> None:
    partial = settings.DROPS_DIR / "5f8a1c8e-2a51-4f0a-9bb5-0f8f3b7f3f55.part"
    partial.mkdir()
    copy_of("CT_small.dcm")(partial)
    for path in (partial / "CT_small.dcm", partial):
        os.utime(path, (0, 0))
    tidy()
    assert not partial.exists()


def test_a_task_with_a_path_writes_no_part_of_it_down(node: Node, tmp_path: Path) -> None:
    folder = tmp_path / "DOE^JOHN" / "CT1"
    folder.mkdir(parents=True)
    copy_of("CT_small.dcm")(folder)
    import_dicomdir(str(folder))
    written = [*Batch.objects.values_list("source", flat=True), *Event.objects.values_list("sentence", flat=True)]
    assert "DOE" not in " ".join(written)


# --- registering ----------------------------------------------------------------------------------------------------------


def test_a_file_requeued_while_its_drop_is_registered_is_not_lost(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "CHUNK", 1)

    def fill(folder: Path) -> None:
        (folder / "a.txt").write_bytes(b"no image" * 100)
        copy_of("CT_small.dcm", "b.dcm")(folder)

    look = register._look

    def look_while_a_person_requeues(held: Any, path: str, size: int) -> Any:
        if path.endswith("b.dcm") and (found := FileOutcome.objects.filter(held=True)):
            requeue_files([one.pk for one in found], "tester")
        return look(held, path, size)

    monkeypatch.setattr(register, "_look", look_while_a_person_requeues)
    batch = node.hand_over("d", fill)
    work.drain(seconds=10)
    monkeypatch.setattr(register, "_look", look)
    work_on(3)
    assert one(batch).held, "the requeued file has its outcome again"


def test_a_drop_that_was_cleaned_in_part_and_requeued_still_adds_up(node: Node, cleaning: None) -> None:
    def fill(folder: Path) -> None:
        copy_of("CT_small.dcm")(folder)
        (folder / "letter.txt").write_bytes(b"Dear colleague" * 10)

    batch = node.drop("d", fill)
    requeue_files([one(batch).pk], "tester")
    work.drain(seconds=10)
    batch.refresh_from_db()
    assert counts_add_up(batch)
    assert batch.files == 2


def test_a_folder_that_cannot_be_listed_holds_up_no_other_file(node: Node) -> None:
    batch = node.hand_over("d", copy_of("CT_small.dcm"))
    here = os.open(batch.folder / "d", os.O_RDONLY)
    for _ in range(20):  # longer than a path may be, as a rename into the data folder can make it
        os.mkdir("x" * 250, dir_fd=here)
        here, before = os.open("x" * 250, os.O_RDONLY, dir_fd=here), here
        os.close(before)
    os.close(here)
    work_on(5)
    assert statuses(batch) == {"SENT": 1}


def test_a_file_that_comes_into_a_drop_after_its_registration_gets_its_outcome(node: Node) -> None:
    batch = node.drop("d", copy_of("CT_small.dcm"))
    copy_of("MR_small.dcm")(batch.folder / "d")  # a producer that held the folder open while it was renamed
    tidy()
    work_on(2)
    batch.refresh_from_db()
    assert batch.files == 2


def test_two_files_that_kill_their_worker_hold_up_no_other(
    node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = register.read_structure

    def read_or_die(path: Path, *args: Any) -> Any:
        if path.name in ("0001.dcm", "0003.dcm"):
            raise WorkerDies
        return read(path, *args)

    monkeypatch.setattr(register, "read_structure", read_or_die)
    batch = node.hand_over("d", images(ct, 5))
    work_on(30)
    assert statuses(batch) == {"SENT": 3}


@pytest.mark.django_db(transaction=True)
def test_drops_with_the_same_series_in_another_order_do_not_end_one_another(node: Node, ct: Dataset) -> None:
    uids = [(generate_uid(), generate_uid()) for _ in range(150)]

    def fill(order: range) -> Fill:
        def write(folder: Path) -> None:
            for number, which in enumerate(order):
                ct.PatientID = f"P{which}"
                ct.StudyInstanceUID, ct.SeriesInstanceUID = uids[which]
                ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
                ct.save_as(folder / f"{number:04}.dcm")

        return write

    ended: list[str] = []

    def register_one(pk: int, together: threading.Barrier) -> None:
        together.wait()
        try:
            work.work_one("register", pk)
        except OperationalError as error:
            ended.append(str(error).splitlines()[0])
        finally:
            connection.close()

    for number in range(3):
        drops = [
            node.hand_over(f"a{number}", fill(range(150))),
            node.hand_over(f"b{number}", fill(range(149, -1, -1))),
        ]
        together = threading.Barrier(2)
        threads = [threading.Thread(target=register_one, args=(drop.pk, together)) for drop in drops]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert not ended


# --- de-identifying -------------------------------------------------------------------------------------------------------


def fail_on(monkeypatch: pytest.MonkeyPatch, error: BaseException, *names: str) -> None:
    """Let the engine raise `error` for these originals (for all without names)."""
    engine = type(release.deidentifier("basic", "default"))
    whole = engine.file

    def file(self: Any, source: Path, *args: Any, **known: Any) -> Any:
        if not names or source.name in names:
            raise error
        return whole(self, source, *args, **known)

    monkeypatch.setattr(engine, "file", file)


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, ""), WorkerDies(), MemoryError()], ids=["eio", "killed", "memory"]
)
def test_two_images_that_cannot_be_worked_on_hold_up_no_other(
    node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    fail_on(monkeypatch, error, "0001.dcm", "0003.dcm")
    batch = node.hand_over("d", images(ct, 5))
    work_on(60)
    assert statuses(batch).get("SENT") == 3


def test_a_full_disk_quarantines_nothing(node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_on(monkeypatch, OSError(errno.ENOSPC, ""))
    batch = node.hand_over("d", images(ct, 1))
    work_on(10)
    assert statuses(batch) == {"PROCESSING": 1}


def test_a_large_image_has_a_lease_of_its_size(node: Node, ct: Dataset, settings: Any) -> None:
    node.hand_over("d", images(ct, 1))
    work.work_one("register")
    work.work_one("identify")
    held = claim(Series, "deidentify")
    assert held is not None
    assert held.take_in_hand("large", 1_000_000_000)
    row = Series.objects.get()
    assert row.due_at is not None
    assert (row.due_at - timezone.now()).total_seconds() > settings.SENDIT_LEASE_SECONDS + 900


def test_the_retention_time_counts_from_the_proof_of_the_last_image(
    node: Node, ct: Dataset, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 24.0
    node.drop("d", images(ct, 1))
    Series.objects.update(proven_at=timezone.now() - timedelta(hours=23))
    node.hand_over("late", images(ct, 1))
    commit = deidentify._commit

    def commit_and_deliver(*args: Any) -> None:
        commit(*args)
        while work.work_one("deliver"):  # another worker is quicker than the one that still holds the series
            pass

    monkeypatch.setattr(deidentify, "_commit", commit_and_deliver)
    for stage in ("register", "identify", "deidentify"):
        work.work_one(stage)
    due = Series.objects.get().due_at
    assert due is not None
    assert due > timezone.now() + timedelta(hours=23)


# --- delivering -----------------------------------------------------------------------------------------------------------


def test_originals_do_not_leave_once_their_destination_is_no_longer_trusted(node: Node, ct: Dataset) -> None:
    Destination.objects.update(recipe="none", trusted=True, held=True)
    node.drop("d", images(ct, 1))
    Destination.objects.update(recipe="basic", trusted=False, held=False)
    work.drain(seconds=10)
    assert not [path for path in node.out() if str(ct.PatientName).encode() in path.read_bytes()]


def test_an_image_that_kills_its_deliverer_holds_up_no_other(
    node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from main.destinations import folder

    copy = shutil.copyfile
    killer: list[str] = []

    def copy_or_die(source: Path, target: Path, **options: Any) -> Any:
        killer.append(str(source))
        if str(source) == killer[0]:
            raise WorkerDies
        return copy(source, target, **options)

    monkeypatch.setattr(folder.shutil, "copyfile", copy_or_die)
    batch = node.hand_over("d", images(ct, 5))
    work_on(60)
    assert statuses(batch).get("SENT") == 4


def test_what_waits_for_a_destination_that_was_taken_away_can_finish(node: Node, ct: Dataset) -> None:
    gone = Destination.objects.create(name="gone", kind="folder", recipe="basic", settings={"path": "/proc/nowhere"})
    batch = node.drop("d", images(ct, 2))
    Destination.objects.filter(pk=gone.pk).update(enabled=False)
    call_command("withdraw", "gone", stdout=io.StringIO())
    work_on(2)
    assert statuses(batch) == {"SENT": 2}


# --- people ---------------------------------------------------------------------------------------------------------------


def test_a_replay_sends_nothing_that_a_person_discarded(node: Node, ct: Dataset) -> None:
    Destination.objects.update(held=True)
    node.drop("d", images(ct, 2))
    discarded = quarantine_first()
    discard_images([discarded.pk], "tester", "a name is burned in")
    Destination.objects.update(held=False)
    work.drain(seconds=10)
    replay(Series.objects.get(), "identify", "tester")
    work.drain(seconds=10)
    discarded.refresh_from_db()
    assert discarded.status == "EXCLUDED"
    assert len(node.out()) == 1


def test_a_replay_from_identify_asks_anew_for_every_series_of_the_study(
    node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from main.identifiers import Answer, keyed

    node.drop("d", images(ct, 1))
    node.drop("e", images(ct, 1, SeriesInstanceUID=generate_uid()))
    corrected = Answer({"PatientID": "CORRECTED", "PatientName": "CORRECTED"})
    monkeypatch.setattr(keyed.Provider, "identify_many", lambda _, asked: [corrected] * len(asked))
    for series in Series.objects.order_by("pk"):
        replay(series, "identify", "tester")
        work.drain(seconds=10)
    ids = {dcmread(path).PatientID for path in node.out()}
    assert ids == {"CORRECTED"}


def test_a_replay_of_one_series_leaves_the_others_of_its_study_alone(node: Node, ct: Dataset) -> None:
    node.drop("d", images(ct, 1))
    batch = node.hand_over("e", images(ct, 1, SeriesInstanceUID=generate_uid()))
    work.work_one("register")
    work.work_one("identify")
    through = Series.objects.order_by("pk").first()
    assert through is not None
    replay(through, "identify", "tester")
    while work.work_one("deidentify"):
        pass
    work.drain(seconds=10)
    assert statuses(batch) == {"SENT": 1}


def test_a_corrected_image_goes_out_after_the_wrong_one_was_discarded(node: Node, ct: Dataset) -> None:
    Destination.objects.update(held=True)
    node.drop("d", images(ct, 1))
    discard_images([quarantine_first().pk], "tester", "wrong")
    Destination.objects.update(held=False)
    ct.StudyDescription = "corrected"
    node.drop("e", lambda folder: ct.save_as(folder / "a.dcm"))
    assert len(node.out()) == 1


def test_an_image_whose_original_is_gone_can_be_sent_again(node: Node, ct: Dataset) -> None:
    batch = node.hand_over("d", images(ct, 1))
    work.work_one("register")
    shutil.rmtree(batch.folder / "d")
    work.drain(seconds=10)
    assert Image.objects.get().code == "no-original"
    discard_images([Image.objects.get().pk], "tester", "sent again")
    node.drop("e", lambda folder: ct.save_as(folder / "a.dcm"))
    assert len(node.out()) == 1


def test_the_time_of_a_requeue_grows_with_what_is_requeued(node: Node) -> None:
    now = timezone.now()
    batch = Batch.objects.create(sealed_name="", source="", received_at=now)
    subject = Subject.objects.create(key_index="s", sealed="", added_at=now)
    study = Study.objects.create(subject=subject, uid_index="s", sealed_uid="", added_at=now)

    def seconds(count: int) -> float:
        Image.objects.all().delete()
        Series.objects.all().delete()
        rows = [
            Series(study=study, uid_index=str(n), sealed_uid="", added_at=now, changed_at=now) for n in range(count)
        ]
        Image.objects.bulk_create(
            Image(series=row, batch=batch, uid_index="i", status="QUARANTINED", code="leak")
            for row in Series.objects.bulk_create(rows)
        )
        start = time.monotonic()
        assert requeue_images(list(Image.objects.values_list("pk", flat=True)), "tester") == count
        return time.monotonic() - start

    assert seconds(1600) < 24 * seconds(200)  # eight times as much; the square would be 64 times


# --- cleaning up ----------------------------------------------------------------------------------------------------------


def test_a_cleanup_that_is_switched_on_later_removes_what_is_due(node: Node, settings: Any) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0
    tidy()
    work.drain(seconds=10)
    assert not Image.objects.exists()


def test_what_was_discarded_while_cleanup_was_off_is_removed_later(node: Node, ct: Dataset, settings: Any) -> None:
    Destination.objects.update(held=True)
    batch = node.drop("d", images(ct, 1))
    discard_images([quarantine_first().pk], "tester", "not wanted")
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0
    tidy()
    work.drain(seconds=10)
    assert not batch.folder.exists()
    assert not Subject.objects.exists()


def test_a_cleanup_that_cannot_end_holds_up_no_other_drop(node: Node, ct: Dataset, settings: Any) -> None:
    node.drop("d", images(ct, 1))
    Series.objects.update(stage="cleanup", status="DONE")
    Image.objects.update(status="DONE")  # cleanup was switched off, or fails, between its mark and its end

    def fill(folder: Path) -> None:
        ct.save_as(folder / "a.dcm")
        copy_of("MR_small.dcm", "b.dcm")(folder)

    batch = node.hand_over("e", fill)
    work_on(5)
    batch.refresh_from_db()
    assert statuses(batch) == {"SENT": 1}
    assert counts_add_up(batch)


def test_an_image_sent_again_during_its_cleanup_needs_nobody(
    node: Node, ct: Dataset, cleaning: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = node.hand_over("d", images(ct, 1))
    reach = cleanup.reach
    again: list[Batch] = []

    def send_again(name: str) -> None:
        if name == "cleanup:removed" and not again:
            again.append(node.hand_over("e", lambda folder: ct.save_as(folder / "a.dcm")))
            work.work_one("register")
        reach(name)

    monkeypatch.setattr(cleanup, "reach", send_again)
    work_on(3)
    assert first.pk != again[0].pk
    assert not FileOutcome.objects.filter(held=True).exists()


def test_nothing_of_a_refused_patient_stays_after_the_discard(node: Node, ct: Dataset, cleaning: None) -> None:
    def fill(folder: Path) -> None:
        images(ct, 1)(folder)
        ct.PatientID = "OTHER"
        ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ct.save_as(folder / "other.dcm")

    batch = node.drop("d", fill)
    discard_files([one(batch).pk], "tester", "another patient's")
    tidy()
    work.drain(seconds=10)
    assert not Subject.objects.exists()


def test_no_name_of_a_drop_or_file_stays_sealed_once_the_drop_is_removed(node: Node, cleaning: None) -> None:
    def fill(folder: Path) -> None:
        copy_of("CT_small.dcm")(folder)
        copy_of("CT_small.dcm", "DOE^JOHN.dcm")(folder)

    batch = node.drop("DOE^JOHN", fill)
    assert not batch.folder.exists()
    assert not batch.sealed_name
    assert not one(batch).sealed_path


@pytest.mark.parametrize(
    "error", [OperationalError("locked"), ImproperlyConfigured("The vault key is missing."), LostLease()]
)
def test_what_says_nothing_about_an_image_quarantines_none(
    node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    batch = node.hand_over("d", images(ct, 2))
    work.work_one("register")
    work.work_one("identify")
    with monkeypatch.context() as broken:
        broken.setattr(deidentify, "create_release", lambda *_: (_ for _ in ()).throw(error))
        with suppress(OperationalError):
            work.work_one("deidentify")
    assert statuses(batch) == {"PROCESSING": 2}
    Series.objects.update(due_at=timezone.now())
    work.drain(seconds=10)
    assert statuses(batch) == {"SENT": 2}


def test_a_share_that_is_away_while_a_drop_is_read_holds_no_file(
    node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = node.hand_over("d", images(ct, 2))
    with monkeypatch.context() as away:
        away.setattr(register, "read_structure", lambda *_: (_ for _ in ()).throw(OSError(errno.ESTALE, "")))
        work.work_one("register")
    assert not FileOutcome.objects.exists()
    Batch.objects.update(due_at=timezone.now())
    work.drain(seconds=10)
    assert statuses(batch) == {"SENT": 2}


def test_the_lock_of_a_copy_that_died_is_removed(node: Node, settings: Any) -> None:
    (settings.DROPS_DIR / "5f8a1c8e-2a51-4f0a-9bb5-0f8f3b7f3f55.lock").touch()
    tidy()
    assert not list(settings.DROPS_DIR.iterdir())
