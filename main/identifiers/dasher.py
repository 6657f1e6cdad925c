"""Identifiers from DASHER, the service of Stanford medicine: one question per study, answers kept whole.

Here is who asks, and with which token; the format is in `dasher_wire.py`, one call in `http.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from django.conf import settings

from main import identifiers
from main.errors import Quarantine, Transient
from main.identifiers import Answer, Request
from main.identifiers.dasher_token import TokenFile, unauthorised
from main.identifiers.dasher_wire import Asked, body, calls, read
from main.identifiers.http import Bearer, Reply, Service, accepted, call, insist
from main.projects import Project
from main.projects.configured import places


class Provider(identifiers.Provider):
    """Asks `POST {DASHER_URL}/{DASHER_VERSION}/uid/{DASHER_STUDY}` with the token of STANFORD_CLIENT_SECRETS.

    The study, and custom fields that go along, are those of the project.
    """

    name = "dasher"

    @classmethod
    def same_id(cls, patient_id: str) -> str:
        """Without hyphens: DASHER does not know them."""
        return patient_id.replace("-", "")

    def __init__(self, project: Project | None = None) -> None:
        super().__init__(project)
        if settings.STANFORD_CLIENT_SECRETS is None:
            raise Transient(
                "identifiers-settings", "STANFORD_CLIENT_SECRETS is not set: it names the token file of DASHER."
            )
        self._service = Service(
            "DASHER",
            "DASHER_URL, DASHER_VERSION and DASHER_STUDY (or token_uri in the token file)",
            "STANFORD_CLIENT_SECRETS",
            "DASHER_TIMEOUT",
            settings.DASHER_TIMEOUT,
        )
        self._tokens = TokenFile(settings.STANFORD_CLIENT_SECRETS, self._service)
        study = quote(self.project.setting("DASHER_STUDY").lower(), safe="")
        self._url = f"{settings.DASHER_URL}/{settings.DASHER_VERSION}/uid/{study}"

    @property
    def keywords(self) -> frozenset[str]:
        """What the custom fields of the project are filled from."""
        return frozenset(places(self.project.entity_fields + self.project.item_fields))

    def identify_many(self, requests: Sequence[Request]) -> list[Answer | Quarantine]:
        """For each of `requests` its answer, or why it has none; asked in as few calls as the service allows.

        None has one for `identifiers-request`, `-refused`, `-answer` or `-too-long`.

        Raises
        ------
        Transient
            `identifiers-away`, `-slow`, `-busy`, `-garbled`, `-unauthorised` or `-settings`: ask again for all of them.
        """
        asked = [self._asked(request) for request in requests]
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
        call(self._service, "GET", settings.DASHER_URL)
        return f"DASHER answers at {self._url}"

    def _asked(self, request: Request) -> Asked | Quarantine:
        try:
            return Asked.of(request, settings.ENTITY_ID, settings.ITEM_ID, self.project)
        except Quarantine as refused:
            return refused

    def _ask(self, request: dict[str, Any]) -> Any:
        token = self._tokens.access()
        reply = self._post(request, token)
        if reply.status == 401:
            reply = self._post(request, self._tokens.refresh(token))
            if reply.status == 401:
                raise unauthorised("DASHER answered 401 to a fresh access token too.")
        return accepted(self._service, reply).json()

    def _post(self, request: dict[str, Any], token: str) -> Reply:
        content = json.dumps(request).encode("utf-8")
        return insist(lambda: call(self._service, "POST", self._url, content=content, auth=Bearer(token)))


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
