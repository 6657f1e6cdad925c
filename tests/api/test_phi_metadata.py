"""`/api/phi-metadata/` answers in the shapes of ITH DICOM Proxy, to those who may, on record, and tells others nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.utils import timezone

from api.urls import urlpatterns
from main import revealing, tokens
from main.models import ApiToken, Event, VaultEntry
from main.revealing import USES
from tests.api.conftest import CANARIES, CANARY_ID, CANARY_NAME, CANARY_UID, Call, Names

WHY = "Incidental finding"
ONE = {"patient": "anonymous_patient_id", "study": "study_instance_uid", "series": "series_instance_uid"}
MANY = {level: f"{field}s" for level, field in ONE.items()}
PATHS = ["", *(f"{level}/" for level in ONE), *(f"{level}/batch/" for level in ONE)]


def canaries_in(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


def name_of(level: str, released: Names) -> str:
    return {"patient": released.patient, "study": released.study, "series": released.series[0]}[level]


def test_a_study_is_told_with_its_patient_and_series(allowed: None, released: Names, call: Call) -> None:
    answer = call("", {"study_instance_uid": released.study, "reason": WHY})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "private, no-store"
    told = answer.json()
    series = told.pop("series_phi")
    patient, study = told.pop("patient_phi"), told.pop("study_phi")
    assert told == {
        "study_instance_uid": released.study,
        "patient_id": released.patient,
        "patient_name": released.patient,
        "original_patient_id": CANARY_ID,
        "original_patient_name": CANARY_NAME,
        "study_date": "2004-01-19",
        "study_time": "07:27:30.500000",
        "study_description": "CANÄRY ABDOMEN",
        "accession_number": "CANARY-A",
        "status": "complete",
        "series_count": 2,
    }
    assert patient["PatientBirthDate"] == "19010203"
    assert patient["PatientSex"] == "M"
    assert study["InstitutionName"] == "CANARY HOSPITAL"
    assert study["StudyInstanceUID"] == CANARY_UID
    told_series = {one["series_instance_uid"]: one for one in series}
    assert set(told_series) == set(released.series)
    for number, uid in enumerate(released.series, start=1):
        one = told_series[uid]
        assert (one["series_number"], one["modality"]) == (number, "CT")
        assert one["phi_metadata"]["SeriesInstanceUID"] == f"{CANARY_UID}.{number}"
        assert set(one) == {"series_instance_uid", "series_number", "modality", "phi_metadata"}


@pytest.mark.parametrize(
    ("level", "fields"),
    [
        (
            "patient",
            {
                "anonymous_patient_id",
                "anonymous_patient_name",
                "original_patient_id",
                "original_patient_name",
                "patient_phi",
            },
        ),
        (
            "study",
            {
                "study_instance_uid",
                "patient_id",
                "patient_name",
                "study_date",
                "study_time",
                "study_description",
                "accession_number",
                "status",
                "study_phi",
            },
        ),
        ("series", {"series_instance_uid", "series_number", "modality", "series_description", "series_phi"}),
    ],
)
def test_each_level_has_its_shape_alone_and_in_a_batch(
    allowed: None, released: Names, call: Call, level: str, fields: set[str]
) -> None:
    name = name_of(level, released)
    alone = call(f"{level}/", {ONE[level]: name, "reason": WHY})
    assert alone.status_code == 200
    assert set(alone.json()) == fields
    assert canaries_in(alone.content.decode())
    batch = call(f"{level}/batch/", {MANY[level]: ["no-such", name], "reason": WHY})
    assert batch.json() == {"results": [alone.json()], "total": 1, "requested": 2, "not_found": ["no-such"]}


def test_what_the_recipe_leaves_alone_is_told_too(allowed: None, released: Names, call: Call) -> None:
    """The basic profile keeps the modality, the number and the character set: they are told from the vault."""
    told = call("series/", {"series_instance_uid": released.series[1], "reason": WHY}).json()
    assert (told["modality"], told["series_number"]) == ("CT", 2)


@pytest.mark.parametrize("level", ONE)
def test_a_batch_takes_1_to_100(allowed: None, released: Names, call: Call, level: str) -> None:
    for count, status in ((0, 400), (1, 200), (100, 200), (101, 400)):
        names = [name_of(level, released), *(f"1.2.{number}" for number in range(99, 200))][:count]
        answer = call(f"{level}/batch/", {MANY[level]: names, "reason": WHY})
        assert answer.status_code == status, count
        if status == 400:
            assert list(answer.json()) == [MANY[level]]
        else:
            assert (answer.json()["total"], len(answer.json()["not_found"])) == (1, count - 1)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, "study_instance_uid"),
        ({"study_instance_uid": ""}, "study_instance_uid"),
        ({"study_instance_uid": ["1.2"]}, "study_instance_uid"),
        ({"study_instance_uid": "1" * 65}, "study_instance_uid"),
        ({"study_instance_uid": "1.2\x00"}, "study_instance_uid"),
        ({"study_instance_uid": "1.2", "reason": ""}, "reason"),
        ({"study_instance_uid": "1.2", "reason": " "}, "reason"),
        ({"study_instance_uid": "1.2", "reason": "x" * 201}, "reason"),
        ([], "non_field_errors"),
    ],
)
def test_what_is_wrong_with_a_call_is_said_by_field(allowed: None, call: Call, body: Any, wrong: str) -> None:
    if isinstance(body, dict) and "reason" not in body:
        body = {**body, "reason": WHY}
    answer = call("", body)
    assert answer.status_code == 400
    assert list(answer.json()) == [wrong]
    assert all(isinstance(sentence, str) for sentence in answer.json()[wrong])
    assert not Event.objects.filter(kind="reveal").exists()


def test_a_body_that_is_no_json_is_refused(allowed: None, call: Call) -> None:
    assert call("", "{CANARY").json() == {"error": "The body is not JSON."}


def test_without_a_reason_nothing_is_told_unless_the_token_has_one(
    allowed: None, released: Names, call: Call, meier: User
) -> None:
    answer = call("patient/", {"anonymous_patient_id": released.patient})
    assert answer.status_code == 400
    assert list(answer.json()) == ["reason"]
    standing = tokens.add("ward", meier, ["restore"], 30, "Viewer of ward 3", "tester")
    answer = call("patient/", {"anonymous_patient_id": released.patient}, f"Bearer {standing}")
    assert answer.json()["original_patient_id"] == CANARY_ID
    assert "Viewer of ward 3" in Event.objects.get(kind="reveal").sentence


def test_a_use_is_one_record_with_the_true_user_before_the_answer(
    allowed: None, released: Names, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError(CANARY_ID)

    monkeypatch.setattr(revealing, "_told", fails)
    names = [*released.series, "1.2.3"]
    answer = call("series/batch/", {"series_instance_uids": names, "reason": WHY}, **{"X-Forwarded-For": "9.9.9.9"})
    assert answer.status_code == 500
    assert not canaries_in(answer.content.decode())
    event = Event.objects.get(kind="reveal")
    assert (event.actor, event.count) == ("meier", 2)
    assert event.names == [released.patient, *released.series]
    assert event.sentence == f"Original values of 2 series by token viewer from 127.0.0.1. Reason: {WHY}"


def test_the_address_is_that_of_the_connection_or_what_a_trusted_proxy_says(
    allowed: None, released: Names, call: Call, settings: Any
) -> None:
    settings.LOCKDOWN_TRUSTED_PROXIES = ["127.0.0.1"]
    body = {"anonymous_patient_id": released.patient, "reason": WHY}
    call("patient/", body, **{"X-Forwarded-For": "8.8.8.8, 10.0.0.9"})
    assert "from 10.0.0.9." in Event.objects.get(kind="reveal").sentence


def test_what_is_not_known_is_not_found_and_written_nowhere(
    allowed: None, released: Names, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for level, name in (("patient", CANARY_ID), ("study", CANARY_UID), ("series", f"{CANARY_UID}.1")):
        answer = call(f"{level}/", {ONE[level]: name, "reason": WHY})
        assert answer.status_code == 404
        assert answer.json() == {"error": "Nothing is known under this name."}
    assert call("", {"study_instance_uid": CANARY_UID, "reason": WHY}).status_code == 404
    for event in Event.objects.filter(kind="reveal"):
        assert (event.count, event.names) == (0, [])
        assert not canaries_in(event.sentence)
    assert not canaries_in(caplog.text)


def test_no_log_holds_what_was_told(
    allowed: None, released: Names, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for name in ("django.request", "django.db.backends", "django.template"):
        caplog.set_level("DEBUG", logger=name)
    told = call("", {"study_instance_uid": released.study, "reason": WHY}).content.decode()
    assert canaries_in(told)
    assert not canaries_in(caplog.text)
    assert not canaries_in("".join(f"{event.sentence}{event.names}" for event in Event.objects.all()))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer wrong", "Token ", "Basic bWVpZXI6bWVpZXI=", "Bearer ä", "{token}"]
)
def test_without_a_token_nothing_is_told(
    allowed: None, released: Names, call: Call, token: str, path: str, authorization: str
) -> None:
    answer = call(path, {"reason": WHY}, authorization.format(token=token))
    assert answer.status_code == 401
    assert list(answer.json()) == ["error"]
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="sendit"'
    assert not Event.objects.filter(kind="reveal").exists()


def test_every_call_of_this_face_is_among_these() -> None:
    assert sorted(f"phi-metadata/{path}" for path in PATHS) == sorted(str(one.pattern) for one in urlpatterns)


def test_both_schemes_are_taken(allowed: None, released: Names, call: Call, token: str) -> None:
    for scheme in ("Bearer", "bearer", "Token"):
        answer = call("patient/", {"anonymous_patient_id": released.patient, "reason": WHY}, f"{scheme} {token}")
        assert answer.status_code == 200


def test_an_expired_or_revoked_token_or_one_of_a_closed_account_opens_nothing(
    allowed: None, released: Names, call: Call, meier: User
) -> None:
    body = {"anonymous_patient_id": released.patient, "reason": WHY}
    assert call("patient/", body).status_code == 200
    ApiToken.objects.update(expires_at=timezone.now())
    assert call("patient/", body).status_code == 401
    ApiToken.objects.update(expires_at=timezone.now() + timedelta(days=1))
    User.objects.update(is_active=False)
    assert call("patient/", body).status_code == 401
    User.objects.update(is_active=True)
    assert call("patient/", body).status_code == 200
    call_command("tokens", "revoke", "viewer", as_json=True)
    assert call("patient/", body).status_code == 401


def test_token_and_user_both_need_the_right(allowed: None, released: Names, call: Call, meier: User) -> None:
    body = {"anonymous_patient_id": released.patient, "reason": WHY}
    bare = tokens.add("bare", meier, [], 30, "", "tester")
    assert call("patient/", body, f"Bearer {bare}").status_code == 403
    meier.user_permissions.remove(Permission.objects.get(codename="restore_originals"))
    answer = call("patient/", body)
    assert answer.status_code == 403
    assert answer.json() == {"error": "The token or its user does not have the right: restore."}
    assert not Event.objects.filter(kind="reveal").exists()


def test_nothing_is_told_while_it_is_off(released: Names, call: Call) -> None:
    answer = call("patient/", {"anonymous_patient_id": released.patient, "reason": WHY})
    assert answer.status_code == 403
    assert "SENDIT_RESTORE" in answer.json()["error"]


def test_who_asks_too_often_has_to_wait(allowed: None, released: Names, call: Call, meier: User) -> None:
    body = {"anonymous_patient_id": released.patient, "reason": WHY}
    answers = [call("patient/", body).status_code for _ in range(USES + 1)]
    assert answers == [200] * USES + [429]
    another = tokens.add("another", meier, ["restore"], 30, "", "tester")
    answer = call("patient/", body, f"Bearer {another}")
    assert answer.status_code == 429, "another token is the same person"
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    assert "Try again in" in answer.json()["error"]


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_only_post_is_answered(allowed: None, client: Any, token: str, method: str) -> None:
    answer = getattr(client, method)("/api/phi-metadata/", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 405


def test_a_token_opens_nothing_else(allowed: None, client: Any, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("/api/status", "/api/metrics", "/api/phi-metadata", "/api/phi-metadata/x/", "/api/"):
        assert client.get(path, headers=headers).status_code == 401, path
    assert client.get("/series/", headers=headers).status_code == 403


def test_a_forgotten_patient_is_not_known(allowed: None, released: Names, call: Call) -> None:
    VaultEntry.objects.all().delete()
    assert call("patient/", {"anonymous_patient_id": released.patient, "reason": WHY}).status_code == 404
