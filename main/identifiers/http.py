"""One HTTP call to a service of identifiers: TLS, timeouts, a bounded answer, no redirects, no values in errors.

What is sent and what an answer means belongs to each provider.
"""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from main.errors import Quarantine, Transient

# 950 items with all their fields are well below 1 MB.
LARGEST_ANSWER = 8_000_000
CONNECT_SECONDS = 5.0
TRIES, PAUSE_SECONDS = 3, 0.25
_GIVES_WAY = {500, 502, 503, 504}
JSON = "application/json"
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True)
class Service:
    """A service as errors call it, with the settings that they name, and its timeout in seconds."""

    name: str
    address_settings: str
    credential_settings: str
    timeout_setting: str
    seconds: float


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


class Bearer(AuthBase):
    """Sets the token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def call(
    service: Service,
    method: str,
    url: str,
    *,
    content: bytes | None = None,
    media_type: str = JSON,
    auth: AuthBase | None = None,
) -> Reply:
    """Send one request and read its whole answer within the service's seconds (a silent end may take as long again).

    Raises
    ------
    Transient
        `identifiers-away`, `identifiers-slow`, `identifiers-garbled` or `identifiers-settings`.
    """
    host = _host(service, url)
    seconds = max(service.seconds, 1.0)
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
                data=content,
                headers={"Content-Type": media_type, "Accept": media_type, "Accept-Encoding": "identity"},
                auth=auth or _Nobody(),
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                reply = Reply(response.status_code, _read(response, host, until))
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise _failed(service, error, host, late=time.monotonic() >= until) from None
    finally:
        timer.cancel()
    if 300 <= reply.status < 400:
        raise Transient(
            "identifiers-settings",
            f"{host} answered {reply.status}, a redirect, which is not followed: identifiers and tokens go to the "
            f"configured address only. Set {service.address_settings} to where the service is.",
        )
    return reply


def insist(send: Callable[[], Reply]) -> Reply:
    """Send again, a little later, what is over in a moment; what lasts is for the sweeper, which tries the series again."""
    for tries_left in reversed(range(TRIES)):
        try:
            reply = send()
            if reply.status not in _GIVES_WAY or not tries_left:
                return reply
        except Transient as away:
            if away.code != "identifiers-away" or not tries_left:
                raise
        time.sleep(PAUSE_SECONDS * 2 ** (TRIES - tries_left) * random.uniform(0.5, 1.0))  # still within the lease
    raise AssertionError("the last try returns or raises")


def accepted(service: Service, reply: Reply) -> Reply:
    """`reply` if it is one to go on with; the body of an error is not read out, it may repeat what was sent.

    Raises
    ------
    Transient
        `identifiers-unauthorised`, `identifiers-slow`, `identifiers-busy` or `identifiers-away`.
    Quarantine
        `identifiers-refused`.
    """
    name = service.name
    if reply.status in (401, 403):
        raise Transient(
            "identifiers-unauthorised",
            f"{name} answered {reply.status}: it does not accept who asks. Look at {service.credential_settings}; the "
            "series that wait go on by themselves.",
        )
    if reply.status == 408:
        raise Transient("identifiers-slow", f"{name} answered 408, the request took too long. Will try again.")
    if reply.status == 429:
        raise Transient("identifiers-busy", f"{name} answered 429, too many requests. Will try again later.")
    if reply.status >= 500:
        raise Transient("identifiers-away", f"{name} answered {reply.status}. Will try again.")
    if reply.status >= 400:
        raise Quarantine(
            "identifiers-refused",
            f"{name} answered {reply.status} and gives no identifiers for this study. Look at "
            f"{service.address_settings}, or ask those who run {name}; then requeue.",
        )
    return reply


def _host(service: Service, url: str) -> str:
    """Host and port of `url`, which has to be https:// unless it is this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname or parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return parts.netloc.rpartition("@")[2]
    raise Transient(
        "identifiers-settings",
        f"{service.name} is asked over https:// only, because patients' values and tokens are sent to it. "
        f"Set {service.address_settings}.",
    )


def _failed(service: Service, error: Exception, host: str, *, late: bool) -> Transient:
    """What a failed call means; its own text may hold what was sent and is not looked at."""
    if late or isinstance(error, requests.Timeout | TimeoutError | urllib3.exceptions.TimeoutError):
        return Transient(
            "identifiers-slow",
            f"{host} did not give its whole answer in {service.seconds:g} s ({service.timeout_setting}). Will try again.",
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


class _Nobody(AuthBase):
    """Sends no credentials: as this is given, requests does not look for any in ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
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
