"""A stand-in for gPAS and the MII interface: a real HTTP server that checks what it gets and fails when told to."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from main.identifiers import gpas_wire
from tests.identifiers import standin

BASE = "/ttp-fhir/fhir/gpas"
DOMAINS = {"Patients", "Accessions"}
USER, PASSWORD, TOKEN = "sendit", "pässword:1", "a-bearer-token"

Answer = dict[str, Any]


def _first(answer: Answer) -> list[Answer]:
    return answer["parameter"][0]["part"]


def _set(answer: Answer, name: str, value: str) -> None:
    [part] = [part for part in _first(answer) if part["name"] == name]
    part["valueIdentifier"]["value"] = value


# Each changes a good answer of gPAS into a bad one, in place.
SPOILERS: dict[str, Callable[[Answer], object]] = {
    "other-resource": lambda answer: answer.update(resourceType="Patient"),
    "no-parameters": lambda answer: answer.pop("parameter"),
    "too-few": lambda answer: answer["parameter"].pop(),
    "twice": lambda answer: answer["parameter"].append(answer["parameter"][0]),
    "other-original": lambda answer: _set(answer, "original", "somebody"),
    "other-domain": lambda answer: _set(answer, "target", "Others"),
    "original-as-pseudonym": lambda answer: _set(answer, "pseudonym", _first(answer)[1]["valueIdentifier"]["value"]),
    "empty-pseudonym": lambda answer: _set(answer, "pseudonym", ""),
    "no-pseudonym": lambda answer: _first(answer).pop(),
    "caret": lambda answer: _set(answer, "pseudonym", "A^B"),
    "backslash": lambda answer: _set(answer, "pseudonym", "A\\B"),
    "control": lambda answer: _set(answer, "pseudonym", "A\nB"),
    "too-long": lambda answer: _set(answer, "pseudonym", "a" * 65),
}


# The same for answers that give originals.
BACK_SPOILERS: dict[str, Callable[[Answer], object]] = {
    "other-pseudonym": lambda answer: _set(answer, "pseudonym", "somebody's"),
    "empty-original": lambda answer: _set(answer, "original", ""),
    "pseudonym-as-original": lambda answer: _set(answer, "original", _first(answer)[1]["valueIdentifier"]["value"]),
}


class Gpas(standin.Standin):
    """The service at `url`; `calls` has domain, values and operation of each question."""

    def __init__(self) -> None:
        self.handler = _Handler
        super().__init__()
        self.known: dict[tuple[str, str], str] = {}
        self.calls: list[tuple[str, str, list[str]]] = []
        self.authorization: str | None = None
        self.same_for_all = False

    @property
    def url(self) -> str:
        """What GPAS_URL is set to."""
        return f"http://127.0.0.1:{self.port}{BASE}"

    def require_basic(self) -> None:
        """Answer only who knows the password."""
        self.authorization = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def require_bearer(self) -> None:
        """Answer only who has the token."""
        self.authorization = f"Bearer {TOKEN}"

    def pseudonym(self, domain: str, original: str, create: bool) -> str | None:
        """The pseudonym of `original`, made if need be."""
        with self.lock:
            if (domain, original) not in self.known and create:
                digest = hashlib.sha256(f"{domain}\0{original}".encode()).hexdigest()[:9].upper()
                self.known[domain, original] = "SAME" if self.same_for_all else f"psn_{digest}"
            return self.known.get((domain, original))

    def original(self, domain: str, pseudonym: str) -> str | None:
        """The original of a pseudonym that was made."""
        with self.lock:
            return next((one for (of, one), name in self.known.items() if (of, name) == (domain, pseudonym)), None)


class _Handler(standin.Handler):
    service: Gpas

    def do_GET(self) -> None:
        if self.path == f"{BASE}/metadata" and self._is_authorised():
            self._resource(200, {"resourceType": "CapabilityStatement"})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._is_authorised() or self.fails():
            return
        self.media_type = self.headers["Content-Type"]
        question = gpas_wire.decode(content)
        operation = self.path.removeprefix(BASE).strip("/")
        if question["resourceType"] == "Bundle":
            self._resource(200, self._batch(question))
        else:
            self._resource(*self._gateway(operation, question))

    def _is_authorised(self) -> bool:
        wanted = self.service.authorization
        if wanted and self.headers.get("Authorization") != wanted:
            self._resource(401, {"resourceType": "OperationOutcome"})
            return False
        return True

    def _gateway(self, operation: str, question: Answer) -> tuple[int, Answer]:
        """One list in, one list out (gPAS)."""
        values = _values(question)
        [domain] = values["target"]
        back = operation in ("$dePseudonymize", "$de-pseudonymize")
        asked, given = ("pseudonym", "original") if back else ("original", "pseudonym")
        self.service.calls.append((operation, domain, values[asked]))
        if domain not in DOMAINS:
            return 404, {"resourceType": "OperationOutcome"}
        if not back and operation not in ("$pseudonymizeAllowCreate", "$pseudonymize-allow-create", "$pseudonymize"):
            return 400, {"resourceType": "OperationOutcome"}
        rows = []
        for one in values[asked]:
            if back:
                found = self.service.original(domain, one)
            else:
                found = self.service.pseudonym(domain, one, operation != "$pseudonymize")
            parts = [_identifier("target", domain), _identifier(asked, one)]
            if found is None:
                code = {"system": "http://hl7.org/fhir/issue-type", "code": "not-found"}
                rows.append({"name": "error", "part": [*parts, {"name": "error-code", "valueCoding": code}]})
            else:
                rows.append({"name": given, "part": [*parts, _identifier(given, found)]})
        answer = {"resourceType": "Parameters", "parameter": rows}
        if self.service.fault == "wrong-order":
            rows.reverse()
        if self.service.fault == "swapped-names":
            for row in rows:
                row["name"] = "original"
        if spoil := SPOILERS.get(self.service.fault) or BACK_SPOILERS.get(self.service.fault):
            spoil(answer)
        return 200, answer

    def _batch(self, bundle: Answer) -> Answer:
        """One question a value (MII)."""
        entries = []
        for entry in bundle["entry"]:
            assert entry["request"]["method"] == "POST"
            values = _values(entry["resource"])
            is_2026 = "context" in values
            target = "context" if is_2026 else "target"
            operation = entry["request"]["url"]
            back = operation == "$de-pseudonymize"
            [domain], [one] = values[target], values["pseudonym" if back else "original"]
            self.service.calls.append((operation, domain, [one]))
            if back:
                found = self.service.original(domain, one)
            else:
                create = operation == "$pseudonymize" if is_2026 else values["allowCreate"] in ([True], ["true"])
                found = self.service.pseudonym(domain, one, create)
            if found is None:
                entries.append({"response": {"status": "404 Not Found"}})
                continue
            if back:
                parts = [_identifier(target, domain), _identifier("value", found), _identifier("pseudonym", one)]
                rows = [{"name": "original", "part": parts}]
            elif self.service.fault.startswith("mii-1.0-shape"):
                name = "value" if self.service.fault.endswith("value") else "pseudonym"
                parts = [{"name": "target", "valueString": domain}, {"name": "original", "valueString": one}]
                rows = [{"name": "pseudonym", "part": [*parts, {"name": name, "valueString": found}]}]
            else:
                rows = [_identifier(target, domain), _identifier("original", one), _identifier("pseudonym", found)]
            resource = {"resourceType": "Parameters", "parameter": rows}
            entries.append({"resource": resource, "response": {"status": "200 OK"}})
        if self.service.fault == "too-few":
            entries.pop()
        return {"resourceType": "Bundle", "type": "batch-response", "entry": entries}

    def _resource(self, status: int, resource: Answer) -> None:
        self.send(status, gpas_wire.encode(resource, self.headers.get("Accept") or gpas_wire.JSON))


def _identifier(name: str, value: str) -> Answer:
    return {"name": name, "valueIdentifier": {"system": gpas_wire.SYSTEM, "value": value}}


def _values(question: Answer) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in question["parameter"]:
        value = one.get("valueString", one.get("valueBoolean", one.get("valueIdentifier", {}).get("value")))
        found.setdefault(one["name"], []).append(value)
    return found
