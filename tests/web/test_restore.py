"""Who is behind a name is shown to those with that right, after who and why was recorded; the uses are listed without values."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from main.models import Event
from main.revealing import USES
from tests.api.conftest import CANARIES, CANARY_ID, CANARY_NAME, Names, allowed, ct, node, released
from tests.web.conftest import PASSWORD, post, signed_in, token_in

__all__ = ["allowed", "ct", "node", "released"]  # fixtures

pytestmark = pytest.mark.everydatabase
WHY = "Incidental finding"


@pytest.fixture
def meier(db: None) -> Client:
    """Somebody who may, and has no other right."""
    user = User.objects.create_user("meier", password=PASSWORD)
    user.user_permissions.add(Permission.objects.get(codename="restore_originals"))
    return signed_in(user)


def canaries_in(answer: Any) -> list[str]:
    return [canary for canary in CANARIES if canary in answer.content.decode()]


@pytest.mark.parametrize("level", ["patient", "study", "series"])
def test_it_is_recorded_and_then_shown(allowed: None, released: Names, meier: Client, level: str) -> None:
    name = {"patient": released.patient, "study": released.study, "series": released.series[0]}[level]
    answer: Any = post(meier, "/restore/", name=f" {name} ", reason=f"  {WHY}\t")
    assert answer.status_code == 200
    page = answer.content.decode()
    for shown in (CANARY_ID, CANARY_NAME, "19010203", "CANARY HOSPITAL", released.study, released.series[0]):
        assert shown in page
    assert (released.series[1] in page) == (level != "series")
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "data-poll" not in page
    event = Event.objects.get(kind="reveal")
    assert (event.actor, event.count) == ("meier", 1)
    assert event.sentence == f"Original values of 1 {level} by page from 127.0.0.1. Reason: {WHY}"
    assert event.names == list(dict.fromkeys([released.patient, name]))


def test_nothing_is_shown_that_could_not_be_recorded(
    allowed: None, released: Names, meier: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr("main.revealing.record", fails)
    with pytest.raises(RuntimeError):
        post(meier, "/restore/", name=released.patient, reason=WHY)


def test_uses_are_listed_without_values(allowed: None, released: Names, meier: Client) -> None:
    assert "Nobody has asked yet" in meier.get("/restore/").content.decode()
    post(meier, "/restore/", name=released.study, reason=WHY)
    listed = meier.get("/restore/")
    page = listed.content.decode()
    for shown in ("meier", WHY, released.patient, released.study):
        assert shown in page
    assert not canaries_in(listed)
    assert not canaries_in(meier.get("/restore/", headers={"X-Sendit-Live": "1"}))


@pytest.mark.parametrize("who", ["opened", "nurse"])
def test_without_the_right_there_is_no_page(
    request: pytest.FixtureRequest, allowed: None, released: Names, who: str
) -> None:
    client: Client = request.getfixturevalue(who)
    assert "Who is it?" not in client.get("/").content.decode()
    assert client.get("/restore/").status_code == 403
    answer: Any = post(client, "/restore/", name=released.patient, reason=WHY)
    assert answer.status_code == 403
    assert not canaries_in(answer)
    assert not Event.objects.filter(kind="reveal").exists()


def test_the_right_to_see_headers_is_another_one(allowed: None, released: Names, db: None) -> None:
    user = User.objects.create_user("researcher", password=PASSWORD)
    user.user_permissions.add(Permission.objects.get(codename="view_originals"))
    assert signed_in(user).get("/restore/").status_code == 403


def test_while_it_is_off_nothing_is_shown(released: Names, meier: Client) -> None:
    assert "SENDIT_RESTORE=yes" in meier.get("/restore/").content.decode()
    answer: Any = post(meier, "/restore/", name=released.patient, reason=WHY)
    assert answer.status_code == 403
    assert not canaries_in(answer)
    assert not Event.objects.filter(kind="reveal").exists()


@pytest.mark.parametrize(
    ("name", "reason"), [("", WHY), ("SD1", ""), ("SD1", " "), ("x" * 65, WHY), ("SD1", "x" * 201)]
)
def test_name_and_reason_are_needed(allowed: None, meier: Client, name: str, reason: str) -> None:
    answer: Any = post(meier, "/restore/", name=name, reason=reason)
    assert answer.status_code == 400
    assert not Event.objects.filter(kind="reveal").exists()


def test_what_is_not_known_is_said_and_not_written_down(allowed: None, released: Names, meier: Client) -> None:
    answer: Any = post(meier, "/restore/", name=CANARY_ID, reason=WHY)
    assert answer.status_code == 404
    assert not canaries_in(answer)
    event = Event.objects.get(kind="reveal")
    assert (event.count, event.names) == (0, [])


def test_it_goes_by_post_and_with_a_token_of_the_form_only(allowed: None, released: Names, meier: Client) -> None:
    assert not canaries_in(meier.get("/restore/", {"name": released.patient, "reason": WHY}))
    assert meier.post("/restore/", {"name": released.patient, "reason": WHY}).status_code == 403
    assert meier.put("/restore/").status_code in (403, 405)
    assert not Event.objects.filter(kind="reveal").exists()


def test_who_asks_too_often_has_to_wait(allowed: None, released: Names, meier: Client) -> None:
    data = {"name": released.patient, "reason": WHY, "csrfmiddlewaretoken": token_in(meier.get("/login/").content)}
    answers = [meier.post("/restore/", data).status_code for _ in range(USES + 1)]
    assert answers == [200] * USES + [429]


def test_no_log_holds_what_was_shown(
    allowed: None, released: Names, meier: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for logger in ("django.template", "django.request", "django.db.backends"):
        caplog.set_level("DEBUG", logger=logger)
    answer: Any = post(meier, "/restore/", name=released.patient, reason=WHY)
    assert canaries_in(answer)
    assert not [canary for canary in CANARIES if canary in caplog.text + repr(list(answer.context))]
