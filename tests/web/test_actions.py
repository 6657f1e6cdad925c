"""What people may do from the pages: by POST only, with a token only, recorded under their name."""

from __future__ import annotations

import pytest
from django.test import Client

from main.models import Delivery, Destination, Event, FileOutcome, Image, Series
from tests.web import rows
from tests.web.conftest import post, token_in

ACTIONS = [
    "/retry/",
    "/series/search/",
    "/series/1/replay/",
    "/series/1/retry/",
    "/quarantine/leak/requeue/",
    "/destinations/1/hold/",
    "/destinations/1/resume/",
    "/destinations/1/retry/",
    "/logout/",
    "/theme/",
]

pytestmark = pytest.mark.everydatabase


@pytest.mark.parametrize("path", ACTIONS)
def test_actions_are_by_post_only(opened: Client, path: str) -> None:
    assert opened.get(path).status_code == 405
    assert opened.head(path).status_code == 405


@pytest.mark.parametrize("path", [*ACTIONS, "/quarantine/leak/discard/", "/login/", "/drops/1/"])
def test_actions_need_a_token_of_ours(opened: Client, path: str) -> None:
    answer = opened.post(path, {"why": "x", "from": "deliver"})
    assert answer.status_code == 403
    assert b"did not come from this site" in answer.content
    token = token_in(opened.get("/login/").content)
    data = {"csrfmiddlewaretoken": token, "why": "x"}
    assert opened.post(path, data, HTTP_ORIGIN="https://example.org").status_code == 403


def test_a_destination_is_held_and_goes_on(nurse: Client) -> None:
    one = rows.destination("archive")
    answer = post(nurse, f"/destinations/{one.pk}/hold/", next="/series/")
    assert answer.headers["Location"] == "/series/"
    assert Destination.objects.get(pk=one.pk).held
    assert b"Resume" in nurse.get("/").content
    post(nurse, f"/destinations/{one.pk}/resume/")
    post(nurse, f"/destinations/{one.pk}/resume/")
    assert not Destination.objects.get(pk=one.pk).held
    events = Event.objects.filter(destination="archive").order_by("pk").values_list("kind", "actor")
    assert list(events) == [("hold", "nurse"), ("resume", "nurse")], "what changes nothing is no event"


def test_what_was_refused_is_tried_again(opened: Client) -> None:
    vna, archive = rows.destination("vna"), rows.destination("archive")
    one = rows.series(rows.drop(files=2), 2, "DONEPROCESSING", stage="deliver")
    for to in (vna, archive):
        rows.delivered(one, to, "BLOCKED", error_code="0xA900", error="No.")
    post(opened, f"/destinations/{vna.pk}/retry/")
    assert set(Delivery.objects.filter(destination=vna).values_list("state", flat=True)) == {"PENDING"}
    assert set(Delivery.objects.filter(destination=archive).values_list("state", flat=True)) == {"BLOCKED"}
    post(opened, f"/series/{one.pk}/retry/")
    assert not Delivery.objects.filter(state="BLOCKED").exists()
    assert Event.objects.filter(kind="retry").latest("pk").actor == "page, 127.0.0.1"


def test_a_series_is_replayed_from_a_stage(nurse: Client) -> None:
    one = rows.series(rows.drop(files=2), 2, "SENT", stage="cleanup")
    rows.delivered(one, rows.destination())
    answer = post(nurse, f"/series/{one.pk}/replay/", **{"from": "deliver"})
    assert answer.headers["Location"] == f"/series/{one.pk}/"
    assert Series.objects.get(pk=one.pk).status == "DONEPROCESSING"
    assert Event.objects.get(kind="replay").actor == "nurse"
    assert b"2 images go through again" in nurse.get(f"/series/{one.pk}/").content


def test_a_stage_that_does_not_exist_is_not_replayed(opened: Client) -> None:
    one = rows.series(rows.drop(files=1), 1, "SENT")
    post(opened, f"/series/{one.pk}/replay/", **{"from": "cleanup"})
    assert Series.objects.get(pk=one.pk).status == "SENT"
    assert b"Choose the stage" in opened.get(f"/series/{one.pk}/").content


def test_one_or_all_of_a_reason_are_requeued(opened: Client) -> None:
    batch = rows.drop(files=5)
    one = rows.series(batch, 3, "QUARANTINED")
    files = [rows.held_file(batch) for _ in range(2)]
    first = Image.objects.filter(series=one).first()
    post(opened, "/quarantine/leak/requeue/", image=first.pk)
    assert Image.objects.get(pk=first.pk).status == "NEW"
    assert Image.objects.filter(status="QUARANTINED").count() == 2
    assert FileOutcome.objects.filter(held=True).count() == 2, "another reason is not touched"
    post(opened, "/quarantine/not-dicom/requeue/", file=files[0].pk)
    assert FileOutcome.objects.filter(held=True).count() == 1
    post(opened, "/quarantine/leak/requeue/")
    assert not Image.objects.filter(status="QUARANTINED").exists()


def test_a_discard_asks_first_and_needs_a_reason(nurse: Client) -> None:
    batch = rows.drop(files=3)
    rows.series(batch, 2, "QUARANTINED")
    held = rows.held_file(batch)
    page = nurse.get("/quarantine/leak/discard/")
    assert b"Discard 2 items?" in page.content
    assert Image.objects.filter(status="QUARANTINED").count() == 2
    assert post(nurse, "/quarantine/leak/discard/", why="  ").status_code == 400
    assert Image.objects.filter(status="QUARANTINED").count() == 2
    post(nurse, "/quarantine/leak/discard/", why="sent again")
    assert Image.objects.filter(status="EXCLUDED", code="discarded", sentence="sent again").count() == 2
    post(nurse, "/quarantine/not-dicom/discard/", file=held.pk, why="a text file")
    assert FileOutcome.objects.get(pk=held.pk).outcome == "discarded"
    discarded = Event.objects.filter(actor="nurse", sentence__in=["sent again", "a text file"])
    assert discarded.count() == 2


def test_a_choice_of_other_reasons_images_is_ignored(opened: Client) -> None:
    batch = rows.drop(files=2)
    held = rows.held_file(batch, "truncated", "unreadable")
    post(opened, "/quarantine/not-dicom/requeue/", file=held.pk)
    assert FileOutcome.objects.filter(pk=held.pk, held=True).exists()
