"""Identifiers from DASHER, the service of Stanford medicine: one question per study, answers kept whole.

Here is who asks and what follows from a status; the format is in `dasher_wire.py`, one call in `dasher_http.py`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from django.conf import settings

from main import identifiers
from main.errors import Quarantine, Transient
from main.identifiers import Answer, Request
from main.identifiers.dasher_http import Reply, call
from main.identifiers.dasher_token import TokenFile, unauthorised
from main.identifiers.dasher_wire import Asked, body, calls, read

# Quick tries for what is over in a moment; what lasts is for the sweeper, which tries the series again.
TRIES = 3
PAUSE_SECONDS = 0.25
_GIVES_WAY = {500, 502, 503, 504}


class Provider(identifiers.Provider):
    """Asks `POST {DASHER_URL}/{DASHER_VERSION}/uid/{DASHER_STUDY}` with the token of STANFORD_CLIENT_SECRETS."""

    name = "dasher"

    def __init__(self) -> None:
        if settings.STANFORD_CLIENT_SECRETS is None:
            raise Transient(
                "identifiers-settings", "STANFORD_CLIENT_SECRETS is not set: it names the token file of DASHER."
            )
        self._seconds: float = settings.DASHER_TIMEOUT
        self._tokens = TokenFile(settings.STANFORD_CLIENT_SECRETS, self._seconds)
        study = quote(settings.DASHER_STUDY.lower(), safe="")
        self._url = f"{settings.DASHER_URL}/{settings.DASHER_VERSION}/uid/{study}"

    def identify_many(self, requests: Sequence[Request]) -> list[Answer | Quarantine]:
        """For each of `requests` its answer, or why it has none; asked in as few calls as the service allows.

        None has one for `identifiers-request`, `-refused`, `-answer` or `-too-long`.

        Raises
        ------
        Transient
            `identifiers-away`, `-slow`, `-busy`, `-garbled`, `-unauthorised` or `-settings`: ask again for all of them.
        """
        asked = [_asked(request) for request in requests]
        found: dict[Asked, Answer | Quarantine] = {}
        for group in calls(one for one in asked if isinstance(one, Asked)):
            try:
                found |= read(self._ask(body(group)), group)
            except Quarantine as refused:
                found |= dict.fromkeys(group, refused)
        _require_one_suid(found)
        return [found[one] if isinstance(one, Asked) else one for one in asked]

    def check(self) -> str:
        """Whether the token file can be read and the address answers; asks about nobody."""
        self._tokens.access()
        call("GET", settings.DASHER_URL, self._seconds)
        return f"DASHER answers at {self._url}"

    def _ask(self, request: dict[str, Any]) -> Any:
        token = self._tokens.access()
        reply = self._post(request, token)
        if reply.status == 401:
            reply = self._post(request, self._tokens.refresh(token))
        return _accepted(reply).json()

    def _post(self, request: dict[str, Any], token: str) -> Reply:
        for tries_left in reversed(range(TRIES)):
            try:
                reply = call("POST", self._url, self._seconds, body=request, bearer=token)
                if reply.status not in _GIVES_WAY or not tries_left:
                    return reply
            except Transient as away:
                if away.code != "identifiers-away" or not tries_left:
                    raise
            time.sleep(
                PAUSE_SECONDS * 2 ** (TRIES - tries_left) * random.uniform(0.5, 1.0)
            )  # a quick second try, within the lease
        raise AssertionError("the last try returns or raises")


def _asked(request: Request) -> Asked | Quarantine:
    try:
        return Asked.of(request, settings.ENTITY_ID, settings.ITEM_ID)
    except Quarantine as refused:
        return refused


def _accepted(reply: Reply) -> Reply:
    """`reply` if it is one to go on with; the body of an error is not read out, it may repeat what was sent."""
    if reply.status == 401:
        raise unauthorised("DASHER answered 401 to a fresh access token too.")
    if reply.status == 408:
        raise Transient("identifiers-slow", "DASHER answered 408, the request took too long. Will try again.")
    if reply.status == 429:
        raise Transient("identifiers-busy", "DASHER answered 429, too many requests. Will try again later.")
    if reply.status >= 500:
        raise Transient("identifiers-away", f"DASHER answered {reply.status}. Will try again.")
    if reply.status >= 400:
        raise Quarantine(
            "identifiers-refused",
            f"DASHER answered {reply.status} and gives no identifiers for this study. Look at DASHER_URL, "
            "DASHER_VERSION and DASHER_STUDY, or ask those who run DASHER; then requeue.",
        )
    return reply


def _require_one_suid(found: dict[Asked, Answer | Quarantine]) -> None:
    """A patient whose items were spread over several calls has one pseudonym, or none of the answers is used."""
    names: dict[tuple[str, Any], set[str]] = {}
    for one, answer in found.items():
        if isinstance(answer, Answer):
            names.setdefault((one.entity, one.born), set()).add(answer.values["PatientID"])
    for one, answer in found.items():
        if isinstance(answer, Answer) and len(names[one.entity, one.born]) > 1:
            found[one] = Quarantine(
                "identifiers-answer", "DASHER gave one patient several suids. None is used. Ask those who run DASHER."
            )
