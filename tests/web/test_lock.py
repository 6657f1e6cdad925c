"""The lock stands in front of every address and every file, and none of django-lockdown's ways around it is left."""

from __future__ import annotations

import multiprocessing
import re
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test import Client, RequestFactory

from main.clients import source
from tests.web.conftest import PASSWORD, token_in, unlock
from web import throttle
from web.checks import lock_is_shut
from web.lock import LockMiddleware, fingerprint, problems
from web.models import Attempt
from web.urls import urlpatterns

ADDRESSES = [
    "/" + re.sub(r"<str:\w+>", "leak", re.sub(r"<int:\w+>", "1", str(pattern.pattern)))
    for pattern in urlpatterns
    if pattern.name != "unlock"
]
FILES = ["/static/web/app.css", "/static/web/app.js", "/static/web/icon.svg", "/static/nothing", "/favicon.ico"]


@pytest.mark.parametrize("method", ["get", "head", "post", "put", "delete", "options"])
@pytest.mark.parametrize("path", [*ADDRESSES, *FILES, "/no/such/page", "//", "/unlock/../", "/api/metrics/"])
def test_every_address_is_locked(locked: Client, path: str, method: str) -> None:
    answer = getattr(locked, method)(path)
    if path.startswith(("/api/", "/healthz")):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"]
        assert answer.headers["Content-Type"] == "application/json"
    else:
        assert answer.status_code == 403
        if method != "head":
            assert b"locked" in answer.content
    assert "sessionid" not in locked.cookies, "a stranger costs no row"


@pytest.mark.parametrize("path", FILES[:3])
def test_files_are_served_behind_the_lock_and_never_shared(opened: Client, path: str) -> None:
    answer = opened.get(path)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_the_locks_page_needs_no_other_file(locked: Client) -> None:
    page = locked.get("/series/").content.decode()
    assert '<link rel="icon" href="data:,">' in page
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]*"', page)
    assert "<script" not in page


def test_to_be_asked_for_the_password_is_no_warning(locked: Client, caplog: pytest.LogCaptureFixture) -> None:
    assert locked.get("/").status_code == 403
    assert not caplog.records


@pytest.mark.parametrize("passwords", [(), None, "", (None,), ("",), ("  ",), [None], ("good-password", ""), "a text"])
def test_without_a_password_the_node_does_not_start(settings: object, passwords: object) -> None:
    settings.LOCKDOWN_PASSWORDS = passwords
    with pytest.raises(ImproperlyConfigured, match="LOCKDOWN_PASSWORDS"):
        LockMiddleware(lambda request: None)
    assert [one.id for one in lock_is_shut()] == ["web.E001"]


@pytest.mark.parametrize(
    ("bind", "starts"),
    [
        ("127.0.0.1:8080", True),
        ("localhost:8080", True),
        ("[::1]:8080", True),
        ("0.0.0.0:8080", False),
        ("[::]:80", False),
        (":8080", False),
        ("10.0.0.4:80", False),
        ("unix:/run/sendit.sock", False),
    ],
)
def test_the_lock_is_off_on_this_machine_only(settings: object, bind: str, starts: bool) -> None:
    settings.LOCKDOWN_ENABLED, settings.SENDIT_WEB_BIND = False, bind
    assert (problems() == []) is starts


def test_a_short_password_is_named(settings: object) -> None:
    settings.LOCKDOWN_PASSWORDS = ("short",)
    assert [one.id for one in lock_is_shut()] == ["web.W001"]


def test_the_password_opens_and_the_session_does_not_keep_it(locked: Client) -> None:
    locked.get("/")
    answer = unlock(locked, next="/series/?status=SENT")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/series/?status=SENT"
    assert locked.get("/").status_code == 200
    for session in Session.objects.all():
        kept = session.get_decoded()
        assert PASSWORD not in str(kept)
        assert kept["lock"] == fingerprint(PASSWORD)


def test_the_session_gets_a_new_key_when_it_opens(opened: Client) -> None:
    before = opened.cookies["sessionid"].value
    unlock(opened)
    assert opened.cookies["sessionid"].value != before
    assert not Session.objects.filter(session_key=before).exists()


def test_another_password_locks_again(opened: Client, settings: object) -> None:
    assert opened.get("/").status_code == 200
    settings.LOCKDOWN_PASSWORDS = ("another-password",)
    assert opened.get("/").status_code == 403


def test_another_secret_key_locks_again(opened: Client, settings: object) -> None:
    settings.SECRET_KEY = "another" * 10
    assert opened.get("/").status_code == 403


@pytest.mark.parametrize("kept", [True, None, "", PASSWORD, 1, ["x"]])
def test_a_session_with_anything_else_stays_locked(locked: Client, kept: object) -> None:
    session = locked.session
    session["lock"] = kept
    session["lockdown-allow"] = kept
    session.save()
    assert locked.get("/").status_code == 403


def test_lockdowns_own_way_out_by_get_does_nothing(opened: Client) -> None:
    assert opened.get("/?preview-logout").status_code == 200
    assert opened.get("/").status_code == 200


def test_unlocking_is_checked_for_csrf(locked: Client) -> None:
    assert locked.post("/unlock/", {"password": PASSWORD}).status_code == 403
    assert locked.get("/").status_code == 403
    assert locked.post("/", {"password": PASSWORD}).status_code == 403
    assert locked.get("/").status_code == 403


@pytest.mark.parametrize(
    "elsewhere", ["https://example.org/", "//example.org", "/\\example.org", "javascript:alert(1)", "example.org", ""]
)
def test_next_is_on_our_own_site(locked: Client, elsewhere: str) -> None:
    assert unlock(locked, next=elsewhere).headers["Location"] == "/"


def test_logging_out_locks(opened: Client) -> None:
    assert opened.get("/logout/").status_code == 405
    answer = opened.post("/logout/", {"csrfmiddlewaretoken": token_in(opened.get("/").content)})
    assert answer.status_code == 302
    assert opened.get("/").status_code == 403


def test_ten_wrong_passwords_and_no_more(locked: Client) -> None:
    statuses = [unlock(locked, f"guess {number}").status_code for number in range(10)]
    assert statuses == [403] * 10
    answer = unlock(locked)
    assert answer.status_code == 429, "the right one comes too late"
    assert 0 < int(answer.headers["Retry-After"]) <= 301
    assert unlock(Client(enforce_csrf_checks=True)).status_code == 429, "another browser from the same address"
    assert unlock(Client(enforce_csrf_checks=True, REMOTE_ADDR="10.1.2.3")).status_code == 302, "another address"
    Attempt.objects.update(at=Attempt.objects.order_by("at").first().at - timedelta(minutes=5))
    assert unlock(locked).status_code == 302, "five minutes later"


def test_a_right_password_does_not_pay_for_wrong_ones(locked: Client) -> None:
    for number in range(9):
        unlock(locked, f"guess {number}")
    assert unlock(locked).status_code == 302
    assert unlock(locked, "guess 10").status_code == 403
    assert unlock(locked).status_code == 429


def test_signing_in_has_a_limit_too(opened: Client) -> None:
    for number in range(10):
        data = {
            "username": "x",
            "password": str(number),
            "csrfmiddlewaretoken": token_in(opened.get("/login/").content),
        }
        assert opened.post("/login/", data).status_code == 403
    data = {"username": "x", "password": "y", "csrfmiddlewaretoken": token_in(opened.get("/login/").content)}
    answer = opened.post("/login/", data)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]


def _guess(start: object, granted: object) -> None:
    connections.close_all()
    start.wait(20)
    request = RequestFactory().post("/unlock/", REMOTE_ADDR="10.9.9.9")
    for _ in range(6):
        attempt, _wait = throttle.begin(request, "unlock")
        granted.put(attempt is not None)
    connections.close_all()


@pytest.mark.everydatabase
@pytest.mark.django_db(transaction=True)
def test_the_limit_holds_across_processes() -> None:
    connections.close_all()
    fork = multiprocessing.get_context("fork")
    start, granted = fork.Barrier(4), fork.Queue()
    guessers = [fork.Process(target=_guess, args=(start, granted)) for _ in range(4)]
    for one in guessers:
        one.start()
    answers = [granted.get(timeout=30) for _ in range(24)]
    for one in guessers:
        one.join(10)
    assert 0 < sum(answers) <= throttle.TRIES


@pytest.mark.parametrize(
    ("exception", "opens", "stays_shut"),
    [
        ("/api/metrics", ["/api/metrics"], ["/api/metrics/", "/api/status", "/x/api/metrics", "/api/metricsX", "/"]),
        ("/healthz", ["/healthz"], ["/healthz/", "/", "/healthz%0a"]),
        ("^/static/web/[a-z.]+$", ["/static/web/app.css"], ["/static/web/", "/x/static/web/app.css", "/series/"]),
    ],
)
def test_exceptions_are_whole_paths(
    db: None, settings: object, exception: str, opens: list[str], stays_shut: list[str]
) -> None:
    settings.LOCKDOWN_URL_EXCEPTIONS = (exception,)
    client = Client()
    assert [client.get(path).status_code for path in opens] == [200] * len(opens)
    assert not [path for path in stays_shut if client.get(path).status_code not in (401, 403)]


@pytest.mark.parametrize(
    "exceptions", ["^/api/$", ("^",), (".*",), ("api/metrics",), ("/api/.*",), ("^/(",), ("^/a$|^/",)]
)
def test_an_exception_that_means_more_than_it_says_is_refused(settings: object, exceptions: object) -> None:
    settings.LOCKDOWN_URL_EXCEPTIONS = exceptions
    with pytest.raises(ImproperlyConfigured, match="LOCKDOWN_URL_EXCEPTIONS"):
        LockMiddleware(lambda request: None)


def test_a_forged_address_gets_no_further_tries(db: None, settings: object) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="8.8.8.8")
    assert source(request) == "10.0.0.1"
    settings.LOCKDOWN_TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert source(request) == "8.8.8.8"
    request.META["HTTP_X_FORWARDED_FOR"] = "1.1.1.1, 2001:db8:1:2:3::4"
    assert source(request) == "2001:db8:1:2::/64"


def test_a_host_that_is_not_ours_is_told_nothing(locked: Client) -> None:
    answer = locked.get("/", HTTP_HOST="attacker.example")
    assert answer.status_code == 400
    assert b"password" not in answer.content


def test_the_headers_of_every_answer(locked: Client, opened: Client) -> None:
    for client in (locked, opened):
        for path in ("/", "/api/status", "/no/such/page", "/static/web/app.js"):
            headers = client.get(path).headers
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["Referrer-Policy"] == "same-origin"
            assert headers["Cache-Control"].startswith("private")
