"""Two workers never wait for each other: locks are taken in one order (`main/claims.py`)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from pydicom import Dataset
from pydicom.uid import generate_uid

from main import work
from main.models import Batch, Event, Image, LedgerEntry, Series
from main.pipeline import cleanup, identify, rows
from tests.main.conftest import Node

pytestmark = pytest.mark.django_db(transaction=True)

# How long one waits for the other to come to its own lock; where it cannot come so far, nothing is to be shown.
MEET_SECONDS = 1.0


class Meeting:
    """Two threads, of which the first stands inside its transaction until the second is inside its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._first, self._second = threading.Event(), threading.Event()
        self.ended: list[str] = []

    def stand(self, module: Any, name: str) -> None:
        """The first stands before `name`."""

        def wait() -> None:
            self._first.set()
            self._second.wait(MEET_SECONDS)

        self._before(module, name, wait)

    def arrive(self, module: Any, name: str) -> None:
        """The second is inside its own when it comes to `name`."""
        self._before(module, name, self._second.set)

    def run(self, first: Callable[[], Any], second: Callable[[], Any]) -> None:
        """Run both, the second once the first stands."""
        threads = [threading.Thread(target=self._try, args=(act,)) for act in (first, second)]
        threads[0].start()
        assert self._first.wait(30)
        threads[1].start()
        for thread in threads:
            thread.join(60)

    def _try(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except OperationalError as error:
            self.ended.append(str(error).splitlines()[0])
        finally:
            connection.close()

    def _before(self, module: Any, name: str, act: Callable[[], None]) -> None:
        whole = getattr(module, name)

        def acted(*args: Any, **options: Any) -> Any:
            act()
            return whole(*args, **options)

        self._monkeypatch.setattr(module, name, acted)


def another_image_of(ct: Dataset, batch: Batch) -> None:
    """Put a further image of the series into a registered drop and make the drop due."""
    ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ct.save_as(batch.folder / "d" / "late.dcm")
    Batch.objects.filter(pk=batch.pk).update(stage="register", due_at=timezone.now())


def test_a_cleanup_and_a_registration_of_one_drop(
    node: Node, ct: Dataset, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = node.drop("d", lambda folder: ct.save_as(folder / "first.dcm"))
    another_image_of(ct, batch)
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0
    Series.objects.update(stage="cleanup", due_at=timezone.now())
    meeting = Meeting(monkeypatch)
    meeting.stand(cleanup, "_write_ledger")
    meeting.arrive(rows, "write")
    meeting.run(lambda: work.work_one("cleanup"), lambda: work.work_one("register", batch.pk))
    assert not meeting.ended
    work.drain(seconds=20)
    assert not Image.objects.exists()
    assert sum(LedgerEntry.objects.values_list("images", flat=True)) == 2


def test_a_registration_into_a_study_that_is_just_cleaned_up(
    node: Node, ct: Dataset, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.drop("d", lambda folder: ct.save_as(folder / "first.dcm"))

    def another_series(folder: Any) -> None:
        ct.SeriesInstanceUID = generate_uid()
        ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ct.save_as(folder / "second.dcm")

    second = node.hand_over("e", another_series)
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0
    Series.objects.update(stage="cleanup", due_at=timezone.now())
    meeting = Meeting(monkeypatch)
    meeting.stand(cleanup, "remove_series")
    meeting.arrive(rows, "_series")
    meeting.run(lambda: work.work_one("cleanup"), lambda: work.work_one("register", second.pk))
    assert not meeting.ended
    assert not Event.objects.filter(kind="waiting").exists(), "neither needed a second try"
    work.drain(seconds=20)
    assert sum(LedgerEntry.objects.values_list("images", flat=True)) == 2


def test_an_identification_and_a_registration_of_one_study(
    node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = node.hand_over("d", lambda folder: ct.save_as(folder / "first.dcm"))
    work.work_one("register")
    another_image_of(ct, batch)
    meeting = Meeting(monkeypatch)
    meeting.stand(identify, "locked")
    meeting.arrive(rows, "_series")
    meeting.run(lambda: work.work_one("identify"), lambda: work.work_one("register", batch.pk))
    assert not meeting.ended
    work.drain(seconds=20)
    assert Image.objects.filter(status="SENT").count() == 2
