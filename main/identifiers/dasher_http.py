"""One HTTP call to the identifiers service: TLS, timeouts, a bounded answer, no redirects, no values in errors.

What is sent and what the answer means is in `dasher_wire.py`; tokens are in `dasher_token.py`.
"""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from main.errors import Transient

# 950 items with all their fields are well below 1 MB.
LARGEST_ANSWER = 8_000_000
CONNECT_SECONDS = 5.0
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True)
class Reply:
    """Status and body of an answer."""

    status: int
    content: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as JSON.

        Raises
        ------
        Transient
            `identifiers-garbled`: something else than the service answered.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            raise Transient(
                "identifiers-garbled",
                f"The identifiers service answered {self.status} with {len(self.content)} bytes that are no JSON. "
                "Will try again; if it stays so, look whether a proxy answers in its place.",
            ) from None


def call(method: str, url: str, seconds: float, *, body: object = None, bearer: str | None = None) -> Reply:
    """Send one request and read its whole answer within `seconds` (a silent end may take as long again).

    Raises
    ------
    Transient
        `identifiers-away`, `identifiers-slow`, `identifiers-garbled` or `identifiers-settings`.
    """
    host = _host(url)
    seconds = max(seconds, 1.0)
    until = time.monotonic() + seconds
    adapter = _Cuttable()
    timer = Timer(seconds, adapter.cut)
    timer.daemon = True
    timer.start()
    try:
        with requests.Session() as session:
            # A proxy would get what may not leave this machine unencrypted.
            session.trust_env = url.startswith("https:")
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            with session.request(
                method,
                url,
                data=None if body is None else json.dumps(body).encode("utf-8"),
                headers={
                    "Content-Type": "application/json",
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                },
                auth=_Bearer(bearer),
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                reply = Reply(response.status_code, _read(response, host, until))
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise _failed(error, host, seconds, late=time.monotonic() >= until) from None
    finally:
        timer.cancel()
    if 300 <= reply.status < 400:
        raise Transient(
            "identifiers-settings",
            f"{host} answered {reply.status}, a redirect, which is not followed: identifiers and tokens go to the "
            "configured address only. Set DASHER_URL (or token_uri in the token file) to where the service is.",
        )
    return reply


def _host(url: str) -> str:
    """Host and port of `url`, which has to be https:// unless it is this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname or parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return parts.netloc.rpartition("@")[2]
    raise Transient(
        "identifiers-settings",
        "The identifiers service is asked over https:// only, because patients' values and tokens are sent to it. "
        "Set DASHER_URL, and token_uri in the token file.",
    )


def _failed(error: Exception, host: str, seconds: float, *, late: bool) -> Transient:
    """What a failed call means; its own text may hold what was sent and is not looked at."""
    if late or isinstance(error, requests.Timeout | TimeoutError | urllib3.exceptions.TimeoutError):
        return Transient(
            "identifiers-slow",
            f"{host} did not give its whole answer in {seconds:g} s (DASHER_TIMEOUT). Will try again.",
        )
    if isinstance(error, requests.exceptions.SSLError):
        return Transient(
            "identifiers-settings",
            f"There is no trusted TLS connection to {host}: its certificate, its name or its version of TLS is not "
            "accepted. Nothing was sent. If your site has its own authority, set REQUESTS_CA_BUNDLE to its file.",
        )
    return Transient("identifiers-away", f"{host} does not answer or ended the connection. Will try again.")


def _read(response: requests.Response, host: str, until: float) -> bytes:
    """The body, as it comes: however slowly bytes drip, and however many there are, the end is bounded."""
    content = bytearray()
    while chunk := response.raw.read1(65_536, decode_content=False):
        content += chunk
        if len(content) > LARGEST_ANSWER:
            raise Transient(
                "identifiers-garbled",
                f"{host} answered with more than {LARGEST_ANSWER} bytes; it was not read further.",
            )
        if time.monotonic() >= until:
            break
    if time.monotonic() >= until:  # what was cut off in its header looks like an empty answer
        raise requests.Timeout
    return bytes(content)


class _Bearer(AuthBase):
    """Sets the token; as it is given, requests does not look for another one in ~/.netrc."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Cuttable(HTTPAdapter):
    """Connections that can be cut off from another thread: a socket timeout starts anew with every byte of a header."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)
        self._made: list[Any] = []

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """The pool that requests takes its connection from; it notes what it makes."""
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        make = pool.ConnectionCls

        def noted(*connection_args: Any, **connection_options: Any) -> Any:
            self._made.append(make(*connection_args, **connection_options))
            return self._made[-1]

        pool.ConnectionCls = noted
        return pool

    def cut(self) -> None:
        """End every connection."""
        for connection in self._made:
            with suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)
