"""No page shows a patient's value to somebody without the right; with it, each look is asked for and recorded (R7)."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from main.models import Event, Image, LedgerEntry, Series
from tests.web import rows
from tests.web.conftest import post, signed_in, token_in

pytestmark = pytest.mark.everydatabase


@pytest.fixture
def node(db: None) -> dict[str, object]:
    """A node whose every row is of the canary: image with files, held file, originals passed on, cleaned series."""
    basic = rows.destination("archive")
    originals = rows.destination("research", recipe="none", trusted=True)
    batch = rows.drop(files=4)
    image, release = rows.real_image(batch)
    rows.delivered(image.series, basic)
    passed_on, copy = rows.real_image(batch, recipe="none")
    type(copy).objects.filter(pk=copy.pk).update(sop_instance_uid=f"{rows.CANARY_UID}.5")
    rows.delivered(passed_on.series, originals)
    held = rows.held_file(batch)
    quarantined = rows.series(batch, 1, "QUARANTINED")
    now = batch.received_at
    LedgerEntry.objects.create(
        series_id=9001,
        study_instance_uid=rows.CANARY_UID,
        series_instance_uid=f"{rows.CANARY_UID}.9",
        patient_id="SD9001",
        images=1,
        bytes=1,
        recipes=["none"],
        destinations={"research": "content"},
        received_at=now,
        proven_at=now,
        cleaned_at=now,
    )
    return {"batch": batch, "image": image, "passed_on": passed_on, "held": held, "quarantined": quarantined}


def every_page(node: dict[str, object]) -> list[str]:
    batch, image, passed_on = node["batch"], node["image"], node["passed_on"]
    return [
        "/",
        "/series/",
        "/series/9001/",
        *(f"/series/{one.pk}/" for one in Series.objects.all()),
        *(f"/series/{one.series_id}/images/{one.pk}/" for one in Image.objects.all()),
        f"/series/{image.series_id}/images/{image.pk}/?kind=removed",
        f"/series/{passed_on.series_id}/images/{passed_on.pk}/?kind=kept",
        "/drops/",
        f"/drops/{batch.pk}/",
        "/quarantine/",
        "/quarantine/leak/",
        "/quarantine/not-dicom/",
        "/quarantine/leak/discard/",
        "/ledger/",
        "/login/",
        "/api/metrics",
        "/api/status",
    ]


def canaries_in(content: bytes) -> list[str]:
    return [canary for canary in rows.CANARIES if canary.encode() in content]


@pytest.mark.parametrize("who", ["opened", "nurse", "doctor"])
def test_no_page_shows_a_patients_value(request: pytest.FixtureRequest, node: dict[str, object], who: str) -> None:
    client: Client = request.getfixturevalue(who)
    for path in every_page(node):
        for headers in ({}, {"X-Sendit-Live": "1"}):
            answer = client.get(path, headers=headers)
            assert answer.status_code == 200, path
            assert not canaries_in(answer.content), f"{path} shows {canaries_in(answer.content)}"
    assert not Event.objects.filter(kind="reveal").exists()


@pytest.mark.parametrize("who", ["opened", "nurse"])
def test_asking_without_the_right_shows_nothing(
    request: pytest.FixtureRequest, node: dict[str, object], who: str
) -> None:
    client: Client = request.getfixturevalue(who)
    image = node["image"]
    for path in (f"/series/{image.series_id}/images/{image.pk}/", f"/drops/{node['batch'].pk}/"):
        answer = post(client, path)
        assert answer.status_code == 200
        assert not canaries_in(answer.content)
    assert not Event.objects.filter(kind="reveal").exists()


def test_with_the_right_the_header_is_shown_and_the_look_is_recorded(doctor: Client, node: dict[str, object]) -> None:
    image = node["image"]
    path = f"/series/{image.series_id}/images/{image.pk}/"
    assert b"Show originals" in doctor.get(path).content
    answer = post(doctor, path)
    assert b"CANARY^NAME" in answer.content
    assert b"data-poll" not in answer.content, "nothing may overwrite what was asked for"
    event = Event.objects.get(kind="reveal")
    assert (event.actor, event.series_id) == ("doctor", image.series_id)
    assert not canaries_in(event.sentence.encode())


def test_with_the_right_the_names_of_a_drop_are_shown_and_the_look_is_recorded(
    doctor: Client, node: dict[str, object]
) -> None:
    answer = post(doctor, f"/drops/{node['batch'].pk}/")
    assert rows.CANARY_FOLDER.encode() in answer.content
    assert rows.CANARY_FILE.encode() in answer.content
    assert Event.objects.get(kind="reveal").batch_id == node["batch"].pk


def test_the_right_is_a_permission_of_django(node: dict[str, object]) -> None:
    user = User.objects.create_user("researcher", password="a-password-for-tests")
    user.user_permissions.add(Permission.objects.get(codename="view_originals", content_type__app_label="web"))
    image = node["image"]
    answer = post(signed_in(user), f"/series/{image.series_id}/images/{image.pk}/")
    assert b"CANARY^NAME" in answer.content


def test_what_was_released_is_shown_to_all(opened: Client, node: dict[str, object]) -> None:
    image = node["image"]
    page = opened.get(f"/series/{image.series_id}/images/{image.pk}/").content.decode()
    assert f"SD{image.series_id:08d}" in page
    assert "E.1-1:" in page
    assert "•••" in page


def test_originals_that_leave_are_said_on_every_page(opened: Client, node: dict[str, object]) -> None:
    for path in every_page(node):
        if not path.startswith("/api/"):
            assert "Originals leave this node" in opened.get(path).content.decode(), path


@pytest.mark.parametrize(
    "value",
    [rows.CANARY_ID, rows.CANARY_ACCESSION, "{study}", "{series}", "{instance}"],
)
def test_an_original_value_finds_its_series_for_those_with_the_right_only(
    doctor: Client, nurse: Client, value: str
) -> None:
    one = rows.series(rows.drop(files=1), 1)
    from main.identity import unseal

    uid = unseal(one.sealed_uid)
    value = value.format(study=uid.removesuffix(".1"), series=uid, instance=f"{uid}.0")
    assert post(nurse, "/series/search/", q=value).status_code == 404
    answer = post(doctor, "/series/search/", q=value)
    assert answer.status_code == 302
    assert not canaries_in(answer.headers["Location"].encode())
    listed = doctor.get(answer.headers["Location"]).content
    assert f"/series/{one.pk}/".encode() in listed
    assert Event.objects.get(kind="search").actor == "doctor"


def test_what_was_searched_is_in_no_answer(opened: Client, db: None) -> None:
    answer = post(opened, "/series/search/", q=rows.CANARY_ID)
    assert answer.status_code == 404
    assert not canaries_in(answer.content)
    assert opened.get("/series/search/", {"q": rows.CANARY_ID}).status_code == 405, "the search box never uses the URL"


def test_a_pseudonym_finds_its_series_for_everybody(opened: Client, db: None) -> None:
    one = rows.series(rows.drop(files=1), 1)
    rows.identified(one, "SD-THIS")
    assert post(opened, "/series/search/", q=" SD-THIS ").headers["Location"] == f"/series/{one.pk}/"
    rows.delivered(one, rows.destination())
    assert post(opened, "/series/search/", q=f"2.25.{one.pk}").headers["Location"] == f"/series/{one.pk}/"
    assert post(opened, "/series/search/", q=str(one.pk)).headers["Location"] == f"/series/{one.pk}/"


def test_pages_with_originals_are_not_kept_by_the_browser(doctor: Client, node: dict[str, object]) -> None:
    image = node["image"]
    answer = post(doctor, f"/series/{image.series_id}/images/{image.pk}/")
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert token_in(answer.content)


def test_not_even_the_most_talkative_log_holds_what_was_shown(
    doctor: Client, node: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for name in ("django.template", "django.request", "django.db.backends"):
        caplog.set_level("DEBUG", logger=name)
    image = node["image"]
    for path, shown in (
        (f"/series/{image.series_id}/images/{image.pk}/", "CANARY^NAME"),
        (f"/drops/{node['batch'].pk}/", rows.CANARY_FOLDER),
    ):
        answer = post(doctor, path)
        assert shown.encode() in answer.content
        # Django prints the whole context of a template when a name in it is not found.
        assert not canaries_in(repr(list(answer.context)).encode())
    post(doctor, "/series/search/", q=rows.CANARY_ID)
    assert not canaries_in(caplog.text.encode())
