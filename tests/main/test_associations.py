"""What the receiver has open is told by each of its processes, and believed only while it tells."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from main import associations, overview
from main.associations import Reporter
from main.heartbeat import forget_silent
from main.models import ReceiverProcess

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Live:
    """An association as the receiver counts it."""

    association: str = "a1"
    node: int | None = 7
    name: str = "CT"
    address: str = "10.0.0.7"
    calling_ae_title: str = "CT1"
    since: float = 1_700_000_000.0
    instances: int = 0
    size: int = 0
    refused: int = 0
    last: float = 0.0


def test_each_process_tells_what_it_has_open() -> None:
    Reporter("host-1", ["DICOM on 0.0.0.0:11112"]).report([Live(), Live("a2", since=1_600_000_000.0)])
    Reporter("host-2", ["DICOM on 0.0.0.0:11112"]).report([Live("b1", None, "public")])
    assert [one.association for one in associations.open_now()] == ["a2", "a1", "b1"]
    found = overview.receiver()
    assert (found["processes"], found["associations"], found["listening"]) == (2, 3, ["DICOM on 0.0.0.0:11112"])


def test_a_report_is_one_statement_and_none_when_nothing_is_new() -> None:
    reporter = Reporter("host-1")
    live = [Live(str(number)) for number in range(50)]
    with CaptureQueriesContext(connection) as first:
        reporter.report(live)
    with CaptureQueriesContext(connection) as second:
        reporter.report([])
        reporter.report([])
    assert (len(first), len(second)) == (1, 1)


def test_the_rate_is_that_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    reporter = Reporter("host-1")
    one = replace(Live(), since=time.time() - 3600, instances=10_000, size=10**10)
    reporter.report([one])
    clock = 102.0
    reporter.report([replace(one, instances=10_200, size=10**10 + 10**8)])
    assert [(a.per_second, a.bytes_per_second) for a in associations.open_now()] == [(100, 50_000_000)]
    clock = 104.0
    reporter.report([replace(one, instances=10_200, size=10**10 + 10**8)])
    assert [(a.per_second, a.bytes_per_second) for a in associations.open_now()] == [(0, 0)]


def test_what_a_caller_calls_itself_can_be_written() -> None:
    Reporter("host-1").report([Live(calling_ae_title="A\x00\x1b[31mé", address="fe80::1%eth0")])
    assert associations.open_now()[0].calling_ae_title == "A??[31m?"


def test_a_process_that_ended_or_fell_silent_is_not_shown() -> None:
    reporter = Reporter("host-1")
    reporter.report([Live()])
    reporter.gone()
    assert associations.processes() == []
    Reporter("host-1").report([Live()])
    ReceiverProcess.objects.update(at=timezone.now() - 2 * associations.SILENT_AFTER)
    assert associations.processes() == []
    forget_silent()
    assert ReceiverProcess.objects.exists()
    ReceiverProcess.objects.update(at=timezone.now() - timedelta(hours=2))
    forget_silent()
    assert not ReceiverProcess.objects.exists()
