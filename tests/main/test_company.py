"""Small series go in company: they share statements and commits, and what is wrong with one holds up no other."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydicom import Dataset
from pydicom.uid import generate_uid

from main import claims, work
from main.claims import claim
from main.errors import LostLease, Quarantine, Transient
from main.identifiers import keyed
from main.models import Batch, Delivery, Event, Image, LedgerEntry, Series, SeriesIdentifiers, Study, Subject
from main.pipeline import release
from main.pipeline.register import original
from main.pipeline.sweep import tidy
from tests.main.conftest import Node, counts_add_up, statuses


class WorkerDies(BaseException):
    """Ends a stage as `kill -9` does: nothing is written any more."""


def small_series(ct: Dataset, count: int, images: int = 1, *, one_study: bool = False) -> Callable[[Path], None]:
    """A filler: loose files `series-image.dcm`."""

    def fill(folder: Path) -> None:
        for number in range(count):
            ct.SeriesInstanceUID = generate_uid()
            if not one_study:
                ct.StudyInstanceUID, ct.PatientID = generate_uid(), f"P{number}"
            for image in range(images):
                ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
                ct.save_as(folder / f"{number:03}-{image}.dcm")

    return fill


def all_of(stage: str) -> int:
    """Work on a stage until nothing is due; returns how many claims that took."""
    taken = 0
    while work.work_one(stage):
        taken += 1
    return taken


def work_on(rounds: int) -> None:
    """Work with leases and waits that end at once, and a new worker for one that dies."""
    for _ in range(rounds):
        with suppress(WorkerDies):
            work.drain(seconds=20)
        for model in (Batch, Series, Delivery):
            model._default_manager.exclude(due_at=None).update(due_at=timezone.now())


def break_on(monkeypatch: pytest.MonkeyPatch, error: BaseException, name: str) -> None:
    """Let the engine raise `error` for the original called `name`."""
    engine = type(release.deidentifier("basic", "default"))
    whole = engine.file

    def file(self: Any, source: Path, *args: Any, **options: Any) -> Any:
        if source.name == name:
            raise error
        return whole(self, source, *args, **options)

    monkeypatch.setattr(engine, "file", file)


def test_statements_up_to_the_release_do_not_grow_with_the_number_of_small_series(node: Node, ct: Dataset) -> None:
    said = []
    for count in (2, 60):
        node.hand_over(f"d{count}", small_series(ct, count))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert [all_of(stage) for stage in ("register", "identify", "deidentify")] == [1, 1, 1]
        said.append(len(queries))
        while work.work_one("deliver"):
            pass
    # SQLite takes inserts in pieces, and releases are committed after 16 images, then after 32.
    assert said[1] < said[0] + 60
    assert Image.objects.filter(status="SENT").count() == 62


def test_a_large_series_goes_alone_and_small_ones_go_up_to_a_bound(
    node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "COMPANY_IMAGES", 6)
    node.hand_over("small", small_series(ct, 5, images=2))
    node.hand_over("large", small_series(ct, 1, images=7))
    all_of("register")
    sizes = []
    while held := claim(Series, "identify"):
        sizes.append(sorted(row.images for row in held.rows))
    assert sorted(sizes) == [[2, 2], [2, 2, 2], [7]]


def test_large_files_do_not_wait_for_one_another(node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "COMPANY_BYTES", 1)
    node.hand_over("d", small_series(ct, 2))
    all_of("register")
    assert all_of("identify") == 2


def test_who_lost_the_lease_of_a_company_writes_nothing_of_it(node: Node, ct: Dataset) -> None:
    node.hand_over("d", small_series(ct, 3))
    all_of("register")
    slow = claim(Series, "identify")
    assert slow is not None
    assert slow.in_company
    Series.objects.filter(pk=slow.rows[0].pk).update(due_at=timezone.now())
    quick = claim(Series, "identify")
    assert quick is not None
    assert [row.pk for row in quick.rows] == [slow.rows[0].pk], "what somebody may have died with goes alone"
    work.run(slow, "identify")
    assert not SeriesIdentifiers.objects.exists()
    with pytest.raises(LostLease):
        slow.hold()
    work.run(quick, "identify")
    assert SeriesIdentifiers.objects.count() == 1
    work_on(2)
    assert Image.objects.filter(status="SENT").count() == 3


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, ""), WorkerDies(), MemoryError(), ValueError()], ids=["eio", "killed", "memory", "bug"]
)
def test_a_series_that_cannot_be_worked_on_holds_up_no_other(
    node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    break_on(monkeypatch, error, "002-0.dcm")
    batch = node.hand_over("d", small_series(ct, 5))
    work_on(8)
    assert statuses(batch).get("SENT") == 4
    work_on(work.MAX_ATTEMPTS)
    assert statuses(batch) == {"SENT": 4, "QUARANTINED": 1}


def test_what_breaks_a_company_off_is_held_against_the_one_that_did_it(
    node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_on(monkeypatch, OSError(errno.EIO, ""), "002-0.dcm")
    node.hand_over("d", small_series(ct, 5))
    for stage in ("register", "identify", "deidentify"):
        all_of(stage)
    assert list(Series.objects.exclude(error_code="").values_list("error_code", flat=True)) == ["os-eio"]
    assert Event.objects.filter(kind="waiting").count() == 1


def test_an_outage_is_held_against_nobody_and_parts_no_company(
    node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = node.hand_over("d", small_series(ct, 5))
    all_of("register")

    def away(*_: Any) -> Any:
        raise Transient("identifiers-away", "The service does not answer.")

    with monkeypatch.context() as outage:
        outage.setattr(keyed.Provider, "identify_many", away)
        for _ in range(3):
            assert all_of("identify") == 1
            Series.objects.update(due_at=timezone.now())
    assert set(Series.objects.values_list("error_code", flat=True)) == {"identifiers-away"}
    assert all_of("identify") == 1
    assert not Series.objects.exclude(error_code="").exists()
    work_on(2)
    assert statuses(batch) == {"SENT": 5}


def test_the_series_of_one_study_get_one_answer(node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    answer = keyed.Provider.identify_many

    def identify_many(self: Any, requests: Any) -> Any:
        asked.append(len(requests))
        return answer(self, requests)

    monkeypatch.setattr(keyed.Provider, "identify_many", identify_many)
    node.drop("d", small_series(ct, 4, one_study=True))
    node.drop("e", small_series(ct, 2, one_study=True))
    assert asked == [1]
    assert Study.objects.count() == 1
    assert len({str(one.values) for one in SeriesIdentifiers.objects.all()}) == 1
    assert SeriesIdentifiers.objects.count() == 6


def test_a_refused_study_is_quarantined_and_the_others_go_on(
    node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = keyed.Provider.identify_many

    def identify_many(self: Any, requests: Any) -> Any:
        refused = Quarantine("identifiers-refused", "No.")
        return [
            refused if request.patient_id == "P1" else given
            for request, given in zip(requests, answer(self, requests), strict=True)
        ]

    monkeypatch.setattr(keyed.Provider, "identify_many", identify_many)
    batch = node.drop("d", small_series(ct, 4))
    assert statuses(batch) == {"SENT": 3, "QUARANTINED": 1}
    assert Image.objects.get(status="QUARANTINED").code == "identifiers-refused"
    assert counts_add_up(batch)


def test_an_original_that_is_gone_holds_up_no_other(node: Node, ct: Dataset) -> None:
    batch = node.hand_over("d", small_series(ct, 4))
    all_of("register")
    (batch.folder / "d" / "001-0.dcm").unlink()
    work.drain(seconds=10)
    assert statuses(batch) == {"SENT": 3, "QUARANTINED": 1}
    assert Image.objects.get(status="QUARANTINED").code == "no-original"


def test_small_series_are_cleaned_up_together_each_with_its_line_in_the_ledger(
    node: Node, ct: Dataset, settings: Any
) -> None:
    batch = node.drop("d", small_series(ct, 5, images=2))
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0
    tidy()
    assert all_of("cleanup") == 1
    assert [model._default_manager.count() for model in (Image, Series, Study, Subject)] == [0] * 4
    assert not batch.folder.exists()
    assert not list(settings.RELEASES_DIR.iterdir())
    lines = list(LedgerEntry.objects.all())
    assert [(line.images, line.destinations, line.recipes) for line in lines] == [
        (2, {"outbox": "content"}, ["basic"])
    ] * 5
    assert len({(line.patient_id, line.series_instance_uid) for line in lines}) == 5
    assert all(line.bytes for line in lines)
    batch.refresh_from_db()
    assert counts_add_up(batch)
    assert batch.cleaned == 10


def test_a_missing_receipt_keeps_only_its_own_series(node: Node, ct: Dataset, settings: Any) -> None:
    batch = node.drop("d", small_series(ct, 3))
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0
    unproven = Series.objects.order_by("pk")[1]
    Delivery.objects.filter(series=unproven).delete()
    tidy()
    all_of("cleanup")
    assert [(one.pk, one.error_code) for one in Series.objects.all()] == [(unproven.pk, "no-receipt")]
    assert list((batch.folder / "d").iterdir()) == [original(Image.objects.get())]
