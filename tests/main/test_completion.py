"""What comes by DICOM waits until its study is complete; what comes late goes out alone, under the same pseudonyms."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.models import F
from django.utils import timezone
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from main import work
from main.claims import claim
from main.models import Batch, Event, FileOutcome, Image, LedgerEntry, Series, Study
from main.models import Node as Sender
from main.pipeline import completion
from main.pipeline.replay import retry_blocked
from main.pipeline.source import SOURCE
from main.pipeline.sweep import tidy
from main.pipeline.take import recover
from tests.main.conftest import Node, counts_add_up
from tests.peers import Orthanc
from tests.peers.server import free_port
from tests.waiting import eventually

TOLD = {"node": 7, "name": "MR1", "calling": "MODALITY1", "address": "10.0.0.7", "association": "a" * 32, "quiet": 600}


@pytest.fixture
def received(node: Node, settings: Any) -> Node:
    """A node whose inbox is the folder of its receiver."""
    settings.DICOM_FOLDER = node.inbox
    return node


@pytest.fixture
def study(ct: Dataset) -> Callable[..., Callable[[Path], None]]:
    """Makes fillers: `study(2)` writes two new images of the study, `study(1, series=...)` of another series."""

    def images(count: int, told: Any = TOLD, series: str = "") -> Callable[[Path], None]:
        def fill(folder: Path) -> None:
            if told is not None:
                (folder / SOURCE).write_text(told if isinstance(told, str) else json.dumps(told))
            ct.SeriesInstanceUID = series or ct.SeriesInstanceUID
            for _ in range(count):
                ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
                ct.save_as(folder / f"{ct.SOPInstanceUID}.dcm")

        return fill

    return images


def quiet_is_over() -> None:
    """As if the quiet time of every study was over now."""
    long_ago = timezone.now() - timedelta(seconds=1)
    Study.objects.filter(complete_at__isnull=False).update(complete_at=long_ago)
    Series.objects.filter(due_at__isnull=False, stage="identify").update(due_at=long_ago)


def test_a_drop_of_the_receiver_says_from_whom_it_came(received: Node, study: Any) -> None:
    batch = received.drop("one", study(2))
    assert (batch.node, batch.sender, batch.calling_ae_title) == (7, "MR1", "MODALITY1")
    assert (batch.address, batch.association, batch.quiet) == ("10.0.0.7", "a" * 32, 600.0)
    assert batch.files == 2
    assert counts_add_up(batch)


def test_a_drop_of_another_folder_is_not_believed(node: Node, study: Any) -> None:
    batch = node.drop("one", study(1))
    assert (batch.node, batch.sender, batch.quiet) == (None, "", None)
    assert FileOutcome.objects.get(batch=batch).outcome == "system"
    assert len(node.out()) == 1


@pytest.mark.parametrize(
    "told",
    [
        "",
        "[",
        "[1]",
        "{}",
        "[" * 100_000,
        json.dumps({**TOLD, "quiet": -1}),
        json.dumps({**TOLD, "quiet": "60"}),
        json.dumps({**TOLD, "quiet": 1e9}),
        json.dumps({**TOLD, "node": "1; DROP TABLE"}),
        json.dumps({**TOLD, "node": True}),
        json.dumps({**TOLD, "address": "somewhere"}),
        json.dumps({**TOLD, "calling": "A" * 17}),
        json.dumps({**TOLD, "name": "a\nb"}),
        json.dumps({**TOLD, "name": "a" * 65}),
    ],
)
def test_nonsense_about_a_drop_stops_nothing(
    received: Node, study: Any, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        batch = received.drop("one", study(1, told))
    assert "is not usable" in caplog.text
    assert (batch.node, batch.sender, batch.quiet, batch.files) == (None, "", None, 1)
    assert len(received.out()) == 1


@pytest.mark.parametrize("told", [{**TOLD, "quiet": None}, {key: TOLD[key] for key in TOLD if key != "quiet"}])
def test_without_a_time_of_its_own_a_node_has_that_of_the_settings(
    received: Node, study: Any, settings: Any, told: Any
) -> None:
    settings.DICOM_STUDY_TIMEOUT = 33.0
    assert received.drop("one", study(1, told)).quiet == 33.0


def test_what_is_told_survives_the_death_of_the_taker(received: Node, study: Any) -> None:
    received.hand_over("one", study(1))
    Batch.objects.all().delete()
    assert recover(0) == 1
    assert Batch.objects.get().sender == "MR1"


def test_what_is_told_survives_a_death_while_it_is_collected(received: Node, study: Any, settings: Any) -> None:
    batch = received.hand_over("one", study(1))
    batch.folder.rename(batch.folder.with_suffix(".receiving"))
    collecting = batch.folder.with_suffix(".receiving")
    (collecting / SOURCE).rename(collecting / "one" / SOURCE)
    Batch.objects.all().delete()
    assert recover(0) == 1
    assert Batch.objects.get().sender == "MR1"


def test_series_wait_for_the_whole_study_and_go_together(received: Node, study: Any) -> None:
    received.drop("one", study(2))
    first = Study.objects.get()
    received.drop("two", study(1, series=generate_uid()))
    last = Study.objects.get()
    assert first.complete_at
    assert last.complete_at
    assert last.complete_at > first.complete_at
    assert received.out() == []
    assert set(Series.objects.values_list("stage", flat=True)) == {"identify"}
    # The first series comes up when its own images were quiet for long enough, and waits on with the study.
    Series.objects.filter(pk=Series.objects.earliest("pk").pk).update(due_at=timezone.now())
    work.drain(seconds=20)
    assert received.out() == []
    assert set(Series.objects.values_list("due_at", "attempts")) == {(last.complete_at, 0)}
    quiet_is_over()
    work.drain(seconds=60)
    assert len(received.out()) == 3
    assert Study.objects.get().complete_at is None


def test_a_series_that_waits_holds_up_none_that_is_claimed_with_it(received: Node, study: Any, ct: Dataset) -> None:
    received.hand_over("one", study(1))
    ct.StudyInstanceUID = generate_uid()
    received.hand_over("two", study(1, {**TOLD, "quiet": 0}, series=generate_uid()))
    while work.work_one("register"):
        pass
    Series.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    held = claim(Series, "identify")
    assert held is not None
    assert len(held.rows) == 2
    work.run(held, "identify")
    work.drain(seconds=60)
    assert len(received.out()) == 1


def test_the_quiet_time_passes_by_itself(received: Node, study: Any) -> None:
    received.drop("one", study(1, {**TOLD, "quiet": 0.5}))
    eventually(lambda: work.drain(seconds=20) and len(received.out()) == 1)


def test_a_folder_waits_for_nothing(node: Node, study: Any) -> None:
    node.drop("one", study(1, None))
    assert len(node.out()) == 1


def test_the_number_of_statements_does_not_grow_with_the_study(
    received: Node, study: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(6):
        received.hand_over("one", study(3, series=generate_uid()))
        assert work.work_one("register")
    quiet_is_over()
    with django_assert_max_num_queries(45):
        while work.work_one("identify"):
            pass
    assert set(Series.objects.values_list("stage", flat=True)) == {"deidentify"}


def test_nobody_waits_once_a_person_says_that_it_is_complete(received: Node, study: Any) -> None:
    received.drop("one", study(1))
    received.drop("two", study(1, series=generate_uid()))
    assert completion.complete(Study.objects.all(), "nurse") == 2
    work.drain(seconds=60)
    assert len(received.out()) == 2
    assert set(Event.objects.filter(kind="complete").values_list("actor", flat=True)) == {"nurse"}


def test_a_study_is_completed_by_a_command(received: Node, study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    received.drop("one", study(1))
    call_command("complete_study", str(Series.objects.get().pk), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"studies": 1, "series": 1}
    work.drain(seconds=60)
    assert len(received.out()) == 1


def test_a_retry_of_everything_completes_no_study(received: Node, study: Any) -> None:
    received.drop("one", study(1))
    retry_blocked("nurse")
    work.drain(seconds=20)
    assert received.out() == []


def test_a_long_wait_is_no_jump_of_the_clock_and_a_jump_is_no_wait(received: Node, study: Any) -> None:
    received.drop("one", study(1, {**TOLD, "quiet": 40_000}))
    tidy()
    assert Series.objects.get().due_at == Study.objects.get().complete_at
    Study.objects.update(
        waits_since=F("waits_since") + timedelta(days=300), complete_at=F("complete_at") + timedelta(days=300)
    )
    Series.objects.update(due_at=F("due_at") + timedelta(days=300))
    tidy()
    work.drain(seconds=60)
    assert len(received.out()) == 1


def pseudonyms_of(files: list[Path]) -> set[tuple[str, str, str, str]]:
    """What of each file must be the same for every image of a series."""
    read = [dcmread(path) for path in files]
    return {(str(one.PatientID), one.StudyInstanceUID, one.SeriesInstanceUID, one.StudyDate) for one in read}


@pytest.mark.parametrize("cleaned", [False, True], ids=["sent", "cleaned up"])
def test_late_images_go_out_alone_under_the_same_pseudonyms(
    received: Node, study: Any, settings: Any, cleaned: bool
) -> None:
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = cleaned, 0.0
    received.drop("one", study(2))
    quiet_is_over()
    work.drain(seconds=60)
    assert Image.objects.filter(status="SENT").count() == (0 if cleaned else 2)
    assert LedgerEntry.objects.count() == int(cleaned)
    before = {path: path.stat().st_mtime_ns for path in received.out()}
    received.drop("late", study(1))
    assert len(received.out()) == 2
    quiet_is_over()
    work.drain(seconds=60)
    after = {path: path.stat().st_mtime_ns for path in received.out()}
    assert len(after) == 3
    assert {path: after[path] for path in before} == before
    assert len(pseudonyms_of(list(after))) == 1


def test_images_that_come_while_a_worker_has_the_series_wait_as_well(received: Node, study: Any) -> None:
    received.drop("one", study(1))
    quiet_is_over()
    held = claim(Series, "identify")
    assert held is not None
    received.hand_over("late", study(1))
    assert work.work_one("register")
    work.run(held, "identify")
    row = Series.objects.get()
    assert (row.n_new, row.token, row.due_at) == (2, None, Study.objects.get().complete_at)


@pytest.mark.django_db(transaction=True)
def test_registering_identifying_and_completing_one_study_at_a_time_wait_for_nobody_in_a_circle(
    received: Node, study: Any, ct: Dataset
) -> None:
    series, broken = [generate_uid() for _ in range(4)], []
    for number in range(10):
        received.hand_over(f"drop-{number}", study(1, {**TOLD, "quiet": 0.01}, series=series[number % 4]))

    def run(act: Callable[[], object]) -> None:
        try:
            until = time.monotonic() + 60
            while Batch.objects.filter(stage="register").exists() and time.monotonic() < until:
                act()
        except OperationalError as error:
            broken.append(str(error).splitlines()[0])
        finally:
            connection.close()

    acts: list[Callable[[], object]] = [lambda: work.work_one("register"), lambda: work.work_one("identify")]
    acts.append(lambda: completion.complete(Study.objects.all(), "nurse"))
    threads = [threading.Thread(target=run, args=(act,)) for act in (*acts, *acts[:2])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert broken == []
    completion.complete(Study.objects.all(), "nurse")
    work.drain(seconds=60)
    assert len(received.out()) == 10


@pytest.fixture
def pacs(orthanc: Orthanc) -> Sender:
    """Orthanc as a sender that is asked how many images a study has."""
    return Sender.objects.create(
        pk=7, name="MR1", host=orthanc.host, port=orthanc.dicom_port, ae_title=orthanc.ae_title, ask_count=True
    )


def test_who_has_no_more_images_is_not_waited_for(
    received: Node, study: Any, orthanc: Orthanc, pacs: Sender, ct: Dataset
) -> None:
    ct.StudyInstanceUID = generate_uid()
    batch = received.drop("one", study(2))
    for file in batch.folder.rglob("*.dcm"):
        orthanc.rest("/instances", file.read_bytes())
    quiet_is_over()
    work.drain(seconds=60)
    assert len(received.out()) == 2
    assert Study.objects.get().note == ""


def test_a_study_that_lacks_images_waits_for_a_while_and_then_goes_on_with_a_note(
    received: Node, study: Any, orthanc: Orthanc, pacs: Sender, ct: Dataset
) -> None:
    ct.StudyInstanceUID = generate_uid()
    batch = received.drop("one", study(2))
    files = sorted(batch.folder.rglob("*.dcm"))
    for file in files:
        orthanc.rest("/instances", file.read_bytes())
    Image.objects.filter(pk=Image.objects.earliest("pk").pk).delete()
    for asked in range(1, completion.MOST_ASKS):
        quiet_is_over()
        work.drain(seconds=60)
        row = Study.objects.get()
        assert row.complete_at
        assert row.complete_at > timezone.now()
        assert (row.asks, row.note) == (asked, "It may lack images. MR1 has 2 images of it, 1 are here.")
    quiet_is_over()
    work.drain(seconds=60)
    assert len(received.out()) == 1
    assert "went on after 3 questions. MR1 has 2 images of it" in Study.objects.get().note
    assert Event.objects.get(kind="incomplete").sentence == Study.objects.get().note


def test_a_sender_that_is_away_holds_nothing_up_for_good(received: Node, study: Any, pacs: Sender) -> None:
    Sender.objects.update(port=free_port())
    received.drop("one", study(1))
    for _ in range(completion.MOST_ASKS):
        assert received.out() == []
        quiet_is_over()
        work.drain(seconds=60)
    assert len(received.out()) == 1
    assert "nothing listens on that port" in Study.objects.get().note
