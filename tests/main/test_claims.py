"""One worker at a time, and one that lost its lease writes nothing."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import close_old_connections, connection
from django.utils import timezone

from main import work
from main.claims import backoff, claim
from main.errors import LostLease, Transient
from main.models import Batch


def due_batch() -> Batch:
    now = timezone.now()
    return Batch.objects.create(sealed_name="", source="t", received_at=now, stage="register", due_at=now)


@pytest.mark.django_db
def test_a_claimed_row_is_not_due_until_its_lease_ends() -> None:
    due_batch()
    held = claim(Batch, "register")
    assert held is not None
    assert held.row.attempts == 1
    assert claim(Batch, "register") is None
    Batch.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    again = claim(Batch, "register")
    assert again is not None
    assert again.row.attempts == 2


@pytest.mark.django_db
def test_a_worker_that_lost_its_lease_writes_nothing() -> None:
    batch = due_batch()
    slow = claim(Batch, "register")
    Batch.objects.update(due_at=timezone.now())
    quick = claim(Batch, "register")
    assert slow is not None
    assert quick is not None
    for write in (slow.hold, slow.finish, slow.progress):
        with pytest.raises(LostLease):
            write(files=99)
    quick.finish(stage="", files=1)
    batch.refresh_from_db()
    assert (batch.files, batch.token, batch.due_at) == (1, None, None)


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_has_each_row() -> None:
    for _ in range(30):
        due_batch()
    won: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        while held := claim(Batch, "register"):
            with lock:
                won.append(held.row.pk)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    close_old_connections()
    assert len(won) == len(set(won)) == 30


@pytest.mark.django_db
def test_waits_double_and_are_bounded(settings: Any) -> None:
    settings.SENDIT_RETRY_SECONDS, settings.SENDIT_RETRY_MAX_SECONDS = 1.0, 60.0
    waits = [(backoff(n) - timezone.now()).total_seconds() for n in range(1, 30)]
    assert waits[0] < 1.3
    assert waits[3] > 5
    assert max(waits) <= 75.1


@pytest.mark.django_db
def test_an_outage_of_days_never_ends_in_quarantine(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = due_batch()

    def away(held: object) -> None:
        raise Transient("identifiers-away", "The service does not answer.")

    monkeypatch.setitem(work.STAGES, "register", work.Stage(Batch, away))
    for _ in range(60):
        Batch.objects.update(due_at=timezone.now())
        assert work.work_one("register")
    batch.refresh_from_db()
    assert batch.due_at is not None
    assert batch.error_code == "identifiers-away"


@pytest.mark.django_db
def test_a_fault_of_ours_that_repeats_for_ever_ends_with_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = due_batch()

    def broken(held: object) -> None:
        raise ValueError("CANARY value of a patient")

    monkeypatch.setitem(work.STAGES, "register", work.Stage(Batch, broken))
    for _ in range(work.MAX_ATTEMPTS + 1):
        Batch.objects.update(due_at=timezone.now())
        assert work.work_one("register")
    batch.refresh_from_db()
    assert (batch.due_at, batch.error_code) == (None, "no-progress")
    assert "CANARY" not in batch.error
