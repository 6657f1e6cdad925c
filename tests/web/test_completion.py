"""The pages say what waits for the rest of its study and until when, let a person end that, and say who sent a drop."""

from __future__ import annotations

from datetime import timedelta

from django.test import Client
from django.utils import timezone

from main import identity
from main.models import CommitmentRequest, Event, Series, Study
from tests.web import rows
from tests.web.conftest import post


def waiting(minutes: float = 5.0) -> Series:
    """A series whose study may still grow."""
    one = rows.series(rows.drop(1), images=2, stage="identify")
    until = timezone.now() + timedelta(minutes=minutes)
    Study.objects.update(complete_at=until, waits_since=timezone.now(), quiet=60)
    Series.objects.update(due_at=until)
    one.study.refresh_from_db()
    return one


def test_a_series_says_until_when_it_waits(opened: Client) -> None:
    one = waiting()
    until = timezone.localtime(one.study.complete_at).strftime("%H:%M:%S")
    page = opened.get(f"/series/{one.pk}/").content.decode()
    assert "2 images wait for the study to be complete, until" in page
    assert until in page
    assert "The study is complete" in page
    assert "waits for the study to be complete, until" in opened.get("/series/").content.decode()


def test_a_person_ends_the_wait(opened: Client) -> None:
    one = waiting()
    post(opened, f"/series/{one.pk}/complete/")
    one.refresh_from_db()
    assert one.due_at is not None
    assert one.due_at <= timezone.now()
    assert Event.objects.get(series_id=one.pk, kind="complete").actor != "sendit"
    assert "The study is complete</button>" not in opened.get(f"/series/{one.pk}/").content.decode()


def test_what_may_be_missing_is_said(opened: Client) -> None:
    one = rows.series(rows.drop(1))
    Study.objects.update(note="It may lack images. MR1 has 9 images of it, 8 are here.")
    assert "MR1 has 9 images of it, 8 are here." in opened.get(f"/series/{one.pk}/").content.decode()


def test_a_drop_says_who_sent_it(opened: Client) -> None:
    told = {"sender": "MR1", "calling_ae_title": "MODALITY1", "address": "10.0.0.7", "association": "a" * 32}
    page = opened.get(f"/drops/{rows.drop(1, node=7, quiet=60.0, **told).pk}/").content.decode()
    assert "By DICOM from MR1 (MODALITY1 at 10.0.0.7, association" in page
    assert "until nothing came for 60 s" in page
    assert "By DICOM" not in opened.get(f"/drops/{rows.drop(1).pk}/").content.decode()


def test_an_answer_that_nobody_took_is_on_the_first_page(opened: Client) -> None:
    CommitmentRequest.objects.create(
        node=1,
        sender="MR1",
        transaction_index="0" * 64,
        content_index="0" * 64,
        sealed=identity.seal("{}"),
        instances=1,
        requested_at=timezone.now(),
        error_code="not-taken",
        error="MODALITY1 (10.0.0.7:104) did not answer.",
    )
    page = opened.get("/").content.decode()
    assert "1 storage commitment answer not taken by MR1." in page
    assert "did not answer" in page
