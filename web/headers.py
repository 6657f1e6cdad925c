"""The headers of every answer: nothing but our own files may run, nothing is cached where others could read it."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


class HeadersMiddleware:
    """Adds what an answer has not said itself. Outermost, so that the lock's own answers carry it too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer with the headers."""
        response = self._get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        # Files may be kept but are asked for each time (304): a locked browser shows nothing it had before.
        response.headers["Cache-Control"] = "private, no-cache" if "Last-Modified" in response else "private, no-store"
        return response
