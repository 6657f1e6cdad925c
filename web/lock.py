"""The lock: django-lockdown in front of every URL and every file, with its ways around closed.

What is locked and what opens it is decided here; counting the tries is in `web/throttle.py`, the pages of the lock are
in `web/views/access.py`.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.forms import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve
from django.utils.crypto import constant_time_compare, salted_hmac
from lockdown.forms import LockdownForm
from lockdown.middleware import LockdownMiddleware

UNLOCK_PATH = "/unlock/"
SESSION_KEY = "lock"
_API = ("/api/", "/healthz")


def fingerprint(password: str) -> str:
    """What stands for a password in a session: keyed by SECRET_KEY, so that it tells nothing about it."""
    return salted_hmac("sendit.web.lock", password, algorithm="sha256").hexdigest()


def problems() -> list[str]:
    """What is wrong with the settings of the lock, in sentences; empty when the pages may be served."""
    found = []
    if not settings.LOCKDOWN_ENABLED:
        if not bound_to_loopback(settings.SENDIT_WEB_BIND):
            found.append(
                "LOCKDOWN_ENABLED=no needs SENDIT_WEB_BIND=127.0.0.1:PORT: the pages would be open to the network."
            )
    elif not _usable(settings.LOCKDOWN_PASSWORDS):
        found.append("LOCKDOWN_PASSWORDS is empty or holds an empty password: the pages would be open.")
    if isinstance(settings.LOCKDOWN_URL_EXCEPTIONS, str):
        found.append("LOCKDOWN_URL_EXCEPTIONS is one text instead of a list: each character would be a pattern.")
        return found
    for text in settings.LOCKDOWN_URL_EXCEPTIONS:
        try:
            _exception(text)
        except (ValueError, re.error):
            found.append(
                f"LOCKDOWN_URL_EXCEPTIONS: {text!r} is neither a whole path, e.g. /api/metrics, nor a pattern from ^/ to $."
            )
    return found


def bound_to_loopback(bind: str) -> bool:
    """Whether `HOST:PORT` can only be reached from this machine."""
    host = bind.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _usable(passwords: Any) -> bool:
    if not isinstance(passwords, (tuple, list)) or not passwords:
        return False
    return all(isinstance(password, str) and password.strip() for password in passwords)


def _exception(text: str) -> re.Pattern[str]:
    """One exception as a pattern for whole paths: a path stands for itself only, a pattern needs both anchors."""
    if text.startswith("^/") and text.endswith("$"):
        return re.compile(text)
    if not text.startswith("/") or set(text) & set("^$*+?()[]{}|\\"):
        raise ValueError
    return re.compile(re.escape(text))


class LockForm(LockdownForm):
    """Lockdown's form: passwords are compared in constant time, the session gets a fingerprint of the right one."""

    def clean_password(self) -> str:
        """Check the password against all that open the pages, always against all of them."""
        given = fingerprint(self.cleaned_data["password"])
        if not self.authenticate(given):
            raise ValidationError("This is not the password.")
        return given

    def generate_token(self) -> str:
        """Return what the session keeps."""
        return str(self.cleaned_data["password"])

    def authenticate(self, token_value: Any) -> bool:
        """Tell whether a session was opened with a password that still opens the pages."""
        if not isinstance(token_value, str) or not _usable(self.valid_passwords):
            return False
        return sum(constant_time_compare(token_value, fingerprint(one)) for one in self.valid_passwords) > 0


class LockMiddleware(LockdownMiddleware):
    """Lockdown's middleware, fail closed. It stands behind sessions and CSRF, and before everything that answers.

    Of lockdown's ways around only LOCKDOWN_URL_EXCEPTIONS is left, for whole paths: no addresses, views or dates.

    Raises
    ------
    ImproperlyConfigured
        At start, when the settings leave the pages open: `manage.py check` is not run by a web server.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if found := problems():
            raise ImproperlyConfigured(" ".join(found))
        super().__init__(get_response, session_key=SESSION_KEY)
        self._open = [_exception(text) for text in settings.LOCKDOWN_URL_EXCEPTIONS]

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        """Let a request pass, or answer it here with 403, or 401 where a program asks."""
        request.get_host()  # refuses a host that is not ours before anything is said
        if not settings.LOCKDOWN_ENABLED or request.path_info == UNLOCK_PATH:
            return None
        if any(pattern.fullmatch(request.path_info) for pattern in self._open):
            return None
        if LockForm().authenticate(request.session.get(self.session_key)) or asks_for_token(request):
            return None
        if request.path_info.startswith(_API):
            return _locked_api()
        return lock_page(request, next_path=request.get_full_path() if request.method in ("GET", "HEAD") else "/")


def asks_for_token(request: HttpRequest) -> bool:
    """Whether what answers this address lets nobody in without a token of a user, as the calls of `api/` do."""
    try:
        view = resolve(request.path_info).func
    except Resolver404:
        return False
    return getattr(view, "asks_for_token", False) is True


def lock_page(
    request: HttpRequest, *, next_path: str = "/", error: str = "", status: int = 403, retry_after: int = 0
) -> HttpResponse:
    """Answer with the page that asks for the password. It needs no other file: all of them are locked."""
    nonce = secrets.token_urlsafe(16)
    response = render(
        request,
        "web/lock.html",
        {"next_path": next_path, "error": error, "nonce": nonce, "action": UNLOCK_PATH, "wait": retry_after},
        status=status,
    )
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    if retry_after:
        response["Retry-After"] = str(retry_after)
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django's own mark: asking is no warning
    return response


def _locked_api() -> JsonResponse:
    answer = {"error": "locked", "sentence": "This address is locked. Open the pages with their password first."}
    return JsonResponse(answer, status=401, headers={"WWW-Authenticate": 'Session realm="sendit"'})
