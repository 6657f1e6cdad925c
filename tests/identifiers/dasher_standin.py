"""A stand-in for DASHER: a real HTTP server that speaks its format, checks what it gets, and fails when told to.

By hand: `python -m tests.identifiers.dasher_standin` prints the settings to use, then every fault it can be told.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tests.identifiers import standin

PATH = re.compile(r"/api/v1/uid/[a-z0-9_-]+")
ID = re.compile(r"[A-Za-z0-9_-]+")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT00:00:00Z")
ITEM = {"id", "id_source", "id_timestamp"}
MOST_ITEMS = 1000

Answer = dict[str, Any]


def _first(answer: Answer) -> Answer:
    return answer["results"][0]


# Each changes a good answer into a bad one, in place.
SPOILERS: dict[str, Callable[[Answer], object]] = {
    "no-results": lambda answer: answer.pop("results"),
    "results-no-list": lambda answer: answer.update(results={"id": "x"}),
    "too-few": lambda answer: answer["results"].pop(),
    "too-many": lambda answer: answer["results"].append(_first(answer)),
    "no-items": lambda answer: _first(answer).update(items=[]),
    "items-missing": lambda answer: _first(answer).pop("items"),
    "other-id": lambda answer: _first(answer).update(id="somebody"),
    "other-item": lambda answer: _first(answer)["items"][0].update(id="something"),
    "illegal-suid": lambda answer: _first(answer).update(suid="10 f5"),
    "empty-suid": lambda answer: _first(answer).update(suid=""),
    "no-suid": lambda answer: _first(answer)["items"][0].pop("suid"),
    "original-as-suid": lambda answer: _first(answer).update(suid=_first(answer)["id"]),
    "long-item-suid": lambda answer: _first(answer)["items"][0].update(suid="a" * 17),
    "long-entity-suid": lambda answer: _first(answer).update(suid="a" * 65),
    "jitter-text": lambda answer: _first(answer)["items"][0].update(jitter="-19"),
    "jitter-true": lambda answer: _first(answer)["items"][0].update(jitter=True),
    "jitter-huge": lambda answer: _first(answer)["items"][0].update(jitter=10**12),
    "jitter-other": lambda answer: _first(answer)["items"][0].update(jitter=1000),
    "timestamp-text": lambda answer: _first(answer).update(jittered_timestamp="yesterday"),
    "timestamp-day": lambda answer: _first(answer).update(jittered_timestamp="1961-02-30T00:00:00Z"),
    "timestamp-missing": lambda answer: _first(answer).pop("jittered_timestamp"),
}
FAULTS = (
    "401-once",
    "401-always",
    "refresh-401",
    "refresh-500",
    "refresh-garbled",
    "404",
    *standin.FAULTS,
    "wrong-order",
    "other-suid-each-call",
    *SPOILERS,
)


class Dasher(standin.Standin):
    """The service at `url` with its token service at `token_uri`; `fault` is how it fails, "" not at all."""

    def __init__(self, *, offset: str = "-0800", suid_prefix: str = "") -> None:
        self.handler = _Handler
        super().__init__()
        self.offset = offset
        self.suid_prefix = suid_prefix
        self.access_token = "access-0"
        self.refresh_token = "refresh-0"
        self.refreshes = 0
        self.asked: list[dict[str, Any]] = []
        self.complaints: list[str] = []

    @property
    def url(self) -> str:
        """What DASHER_URL is set to."""
        return f"http://127.0.0.1:{self.port}/api"

    def write_token_file(self, path: Path, **other: object) -> Path:
        """Write the token file that a user gets."""
        path.write_text(
            json.dumps(
                {
                    "accessToken": self.access_token,
                    "refreshToken": self.refresh_token,
                    "client_id": "sendit-tests",
                    "token_uri": f"http://127.0.0.1:{self.port}/token/api/v1/refresh",
                    **other,
                }
            ),
            encoding="utf-8",
        )
        path.chmod(0o600)
        return path

    def expire_access_token(self) -> None:
        """Let a day pass: only a refreshed token is taken from now on."""
        self.access_token = f"access-{self.refreshes + 1}-not-given-out"

    def refresh(self, refresh_token: object) -> dict[str, str] | None:
        """New tokens for `refresh_token`, which counts once; None when it is not (or no longer) the one."""
        with self.lock:
            if refresh_token != self.refresh_token:
                return None
            self.refreshes += 1
            self.access_token = f"access-{self.refreshes}"
            self.refresh_token = f"refresh-{self.refreshes}"
            return {"accessToken": self.access_token, "refreshToken": self.refresh_token}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The good answer to a good request: the same ids have the same suids and jitter for ever."""
        return {"results": [self._entity(entity) for entity in request["identifiers"]]}

    def _entity(self, entity: dict[str, Any]) -> dict[str, Any]:
        jitter = -1 - _digest(entity["id"])[0] % 30
        call = str(len(self.asked)) if self.fault == "other-suid-each-call" else ""
        return {
            **self._jittered(entity, jitter, call),
            "items": [self._jittered(item, jitter) for item in entity["items"]],
        }

    def _jittered(self, row: dict[str, Any], jitter: int, call: str = "") -> dict[str, Any]:
        day = date.fromisoformat(row["id_timestamp"][:10]) + timedelta(days=jitter)
        return {
            "id": row["id"],
            "id_source": row["id_source"],
            "suid": self.suid_prefix + _digest(row["id_source"] + row["id"] + call).hex()[:12],
            "jitter": jitter,
            "jittered_timestamp": f"{day.isoformat()}T00:00:00{self.offset}",
        }


def _digest(text: str) -> bytes:
    return hashlib.sha256(b"standin" + text.encode()).digest()


def complaint(headers: Any, path: str, request: Any) -> str:
    """What the service would refuse in a request, "" when nothing."""
    if not PATH.fullmatch(path):
        return "the path is not /api/v1/uid/STUDY in lower case"
    if headers.get("Content-Type") != "application/json":
        return "the content type is not application/json"
    if not isinstance(request, dict) or set(request) != {"identifiers"} or not request["identifiers"]:
        return "the body is not one list of identifiers"
    entities = request["identifiers"]
    if sum(len(entity.get("items", [])) for entity in entities) > MOST_ITEMS:
        return f"more than {MOST_ITEMS} items"
    for entity in entities:
        if set(entity) - {"custom_fields"} != {"id", "id_source", "id_timestamp", "items"} or not entity["items"]:
            return "an entity has other keys"
        if "-" in entity["id"] or entity["id_source"] != "Stanford MRN":
            return "an entity is not a Stanford MRN without hyphens"
        if any(
            item.get("id_source") != "DCM Accession #" or set(item) - {"custom_fields"} != ITEM
            for item in entity["items"]
        ):
            return "an item is not a DCM Accession #"
        for row in (entity, *entity["items"]):
            if not all(set(one) == {"key", "value"} for one in row.get("custom_fields", ())):
                return "custom fields are no list of key and value"
            if not ID.fullmatch(str(row["id"])) or not TIMESTAMP.fullmatch(str(row.get("id_timestamp"))):
                return "an id or a timestamp is not written as it should"
    return ""


class _Handler(standin.Handler):
    service: Dasher

    def do_GET(self) -> None:
        self.send(404, {})

    def do_POST(self) -> None:
        try:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        except ValueError:
            self.send(400, {"error": "no JSON"})
            return
        if self.path == "/token/api/v1/refresh":
            self._refresh(request)
        elif not self.fails():
            self._identify(request)

    def _refresh(self, request: Any) -> None:
        fault = self.service.fault
        if fault == "refresh-500":
            self.send(500, {})
        elif fault == "refresh-garbled":
            self.send(200, {"accessToken": "only-one\nhalf"})
        elif fault == "refresh-401" or not (tokens := self.service.refresh(request.get("refreshToken"))):
            self.send(401, {"error": "refresh token"})
        else:
            self.send(200, tokens)

    def _identify(self, request: Any) -> None:
        dasher = self.service
        if self.headers.get("Authorization") != f"Bearer {dasher.access_token}":
            self.send(401, {"error": "token"})
            return
        if wrong := complaint(self.headers, self.path, request):
            dasher.complaints.append(wrong)
            self.send(400, {"error": wrong})
            return
        with dasher.lock:
            dasher.asked.append(request)
            answer = dasher.answer(request)
        if dasher.fault == "wrong-order":
            answer["results"].reverse()
            for entity in answer["results"]:
                entity["items"].reverse()
        if spoil := SPOILERS.get(dasher.fault):
            spoil(answer)
        self.send(200, answer)


def main() -> None:
    """Run until Ctrl-C; a line on standard input is the fault from then on."""
    dasher = Dasher().start()
    tokens = dasher.write_token_file(Path(tempfile.mkdtemp(prefix="dasher-"), "tokens.json"))
    sys.stdout.write(f"DEIDENTIFY_RESTFUL=yes DASHER_URL={dasher.url} STANFORD_CLIENT_SECRETS={tokens}\n")
    sys.stdout.write(f"Faults, one a line; an empty line ends it: {' '.join(FAULTS)}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        dasher.fault = line.strip()
    dasher.ended.wait()


if __name__ == "__main__":
    main()
