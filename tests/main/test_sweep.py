"""Whatever is due is rung for again; times that a clock jump made impossible are mended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from main.models import Batch, Delivery, Destination, Series
from main.pipeline.sweep import STALLED_SECONDS, clamp, due_stages, is_stalled, sweep
from tests.main.conftest import Node, copy_of


def test_every_stage_that_is_due_is_seen(node: Node, monkeypatch: Any) -> None:
    rung: list[str] = []
    monkeypatch.setattr("main.bells.ring_now", rung.append)
    assert not any(sweep().values())
    batch = node.hand_over("d", copy_of("CT_small.dcm"))
    from main.work import work_one

    for stage in ("register", "identify", "deidentify", "deliver"):
        assert [name for name, due in due_stages().items() if due] == [stage]
        sweep()
        assert work_one(stage)
    assert rung == ["register", "identify", "deidentify", "deliver"]
    batch.refresh_from_db()
    assert batch.files == 1


def test_a_held_or_waiting_destination_is_not_rung_for(node: Node) -> None:
    node.hand_over("d", copy_of("CT_small.dcm"))
    from main.work import work_one

    for stage in ("register", "identify", "deidentify"):
        work_one(stage)
    Destination.objects.update(retry_at=timezone.now() + timedelta(seconds=60))
    assert not due_stages()["deliver"]
    Destination.objects.update(retry_at=None, held=True)
    assert not due_stages()["deliver"]


def test_a_clock_that_jumped_does_not_hide_work_for_hours(node: Node) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    far = timezone.now() + timedelta(hours=5)
    Batch.objects.update(stage="register", due_at=far)
    Series.objects.update(stage="deidentify", due_at=far)
    Delivery.objects.update(due_at=far)
    Destination.objects.update(retry_at=far)
    assert clamp() == 4
    assert clamp() == 0
    assert due_stages()["register"]


def test_the_retention_time_is_not_taken_for_a_clock_jump(node: Node, settings: Any) -> None:
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 24.0
    node.drop("d", copy_of("CT_small.dcm"))
    assert Series.objects.get().stage == "cleanup"
    assert clamp() == 0


def test_workers_that_do_not_hear_are_noticed(node: Node) -> None:
    assert not is_stalled()
    node.hand_over("d", copy_of("CT_small.dcm"))
    assert not is_stalled()
    Batch.objects.update(due_at=timezone.now() - timedelta(seconds=STALLED_SECONDS + 1))
    assert is_stalled()
    from main.claims import claim

    assert claim(Batch, "register") is not None
    assert not is_stalled(), "somebody is at work"


def test_who_searches_pixels_for_long_is_at_work_and_keeps_its_series(node: Node) -> None:
    from main.claims import claim
    from main.work import work_one

    for name in ("d", "e"):
        node.hand_over(name, copy_of("CT_small.dcm" if name == "d" else "MR_small.dcm"))
    for stage in ("register", "register", "identify", "identify"):
        work_one(stage)
    first = Series.objects.filter(stage="deidentify").order_by("pk").first()
    assert first is not None
    held = claim(Series, "deidentify", first.pk)
    assert held is not None
    assert held.take_in_hand("1", 1 << 30, 300.0)
    Series.objects.filter(token=None).update(due_at=timezone.now() - timedelta(seconds=STALLED_SECONDS + 1))
    assert not is_stalled(), "somebody is at work"
    assert clamp() == 0
    held.hold()
    Series.objects.filter(pk=first.pk).update(token=None)
    assert is_stalled()
