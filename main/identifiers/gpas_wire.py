"""What pseudonym services that speak FHIR are asked and answer: gPAS's TTP-FHIR gateway and the MII interface.

Pure functions between values and bytes, in JSON or XML; nothing is sent from here, and no value is put into an error.

Sources: the gateway's operations as gPAS 1.10.2 and 1.10.3 name them; the implementation guide of the Medizininformatik-
Initiative, interface module pseudonymization, 1.0.2, 1.1.0 and 2026.1.0-ballot.1; FHIR R4 Parameters and Bundle.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from main.errors import Transient

FHIR = "http://hl7.org/fhir"
SYSTEM = "https://ths-greifswald.de/gpas"
ORIGINAL, PSEUDONYM = "original", "pseudonym"
JSON, XML = "application/fhir+json", "application/fhir+xml"

# A resource as JSON has it.
Resource = dict[str, Any]


@dataclass(frozen=True)
class Api:
    """One published shape of the interface.

    Attributes
    ----------
    create, look_up, back : str
        The operations that give pseudonyms (one makes those that are missing, the other does not) and that give originals.
    domain : str
        What the parameter of the domain is called.
    batched : bool
        Whether many values go into one call as a batch Bundle of single questions, instead of as one list.
    identifiers : bool
        Whether domain and value are sent as Identifier instead of as string.
    says_create : bool
        Whether `allowCreate` says if missing pseudonyms are made.
    """

    create: str
    look_up: str
    back: str = "$de-pseudonymize"
    domain: str = "target"
    batched: bool = False
    identifiers: bool = False
    says_create: bool = False


APIS = {
    "gpas": Api("$pseudonymizeAllowCreate", "$pseudonymize", "$dePseudonymize"),
    "gpas-1.10.2": Api("$pseudonymize-allow-create", "$pseudonymize"),
    "mii-1.0": Api("$pseudonymize", "$pseudonymize", batched=True, says_create=True),
    "mii-1.1": Api("$pseudonymize", "$pseudonymize", batched=True, says_create=True),
    "mii-2026": Api("$pseudonymize", "$get-pseudonym", domain="context", batched=True, identifiers=True),
}


@dataclass(frozen=True)
class Found:
    """What an answer says: the pseudonym of each original (or the other way), and the code of each that has none."""

    values: dict[str, str] = field(repr=False)
    errors: dict[str, str] = field(repr=False)


def question(api: Api, domain: str, originals: Sequence[str], create: bool) -> tuple[str, Resource]:
    """The operation to POST to (empty: the base address) for pseudonyms of `originals`, and the resource to send."""
    says_create = [{"name": "allowCreate", "valueBoolean": create}] if api.says_create else []
    return _question(api, domain, api.create if create else api.look_up, ORIGINAL, originals, says_create)


def question_back(api: Api, domain: str, pseudonyms: Sequence[str]) -> tuple[str, Resource]:
    """The same for the originals of `pseudonyms`."""
    return _question(api, domain, api.back, PSEUDONYM, pseudonyms, [])


def _question(
    api: Api, domain: str, operation: str, asked: str, values: Sequence[str], options: list[Resource]
) -> tuple[str, Resource]:
    def parameters(*some: str) -> Resource:
        named = [_value(api, asked, one) for one in some]
        return {"resourceType": "Parameters", "parameter": [_value(api, api.domain, domain), *options, *named]}

    if not api.batched:
        return operation, parameters(*values)
    entries = [{"resource": parameters(one), "request": {"method": "POST", "url": operation}} for one in values]
    return "", {"resourceType": "Bundle", "type": "batch", "entry": entries}


def _value(api: Api, name: str, value: str) -> Resource:
    if api.identifiers:
        return {"name": name, "valueIdentifier": {"system": SYSTEM, "value": value}}
    return {"name": name, "valueString": value}


def encode(resource: Resource, media_type: str) -> bytes:
    """The bytes of a resource in `JSON` or `XML`."""
    if media_type == JSON:
        return json.dumps(resource).encode("utf-8")
    root = Element(resource["resourceType"], xmlns=FHIR)
    _fill(root, resource)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _fill(element: Element, content: Resource) -> None:
    for name, value in content.items():
        if name == "resourceType":
            continue
        for one in value if isinstance(value, list) else [value]:
            child = SubElement(element, name)
            if isinstance(one, dict):
                inner = SubElement(child, one["resourceType"]) if "resourceType" in one else child
                _fill(inner, one)
            else:
                child.set("value", str(one).lower() if isinstance(one, bool) else str(one))


def decode(content: bytes) -> Resource:
    """A resource, whichever format it comes in.

    Raises
    ------
    Transient
        `identifiers-garbled`: something else than the service answered.
    """
    try:
        if content.lstrip()[:1] == b"<":
            root = fromstring(content, forbid_dtd=True)
            if root.tag.startswith(f"{{{FHIR}}}"):
                return {**_content(root), "resourceType": _local(root)}
        elif isinstance(resource := json.loads(content), dict):
            return resource
    except (ValueError, RecursionError, ParseError, DefusedXmlException):
        pass
    raise Transient(
        "identifiers-garbled",
        f"The pseudonym service answered with {len(content)} bytes that are no FHIR resource. Will try again; if it stays "
        "so, look whether a proxy answers in its place.",
    )


_LISTS = {"parameter", "part", "entry", "issue"}


def _content(element: Element) -> Resource:
    found: Resource = {}
    for child in element:
        name = _local(child)
        value = child.get("value") if child.get("value") is not None else _content(child)
        if name == "resource" and len(child):
            value = {**_content(child[0]), "resourceType": _local(child[0])}
        if name in _LISTS:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def read(api: Api, domain: str, asked: Sequence[str], answer: Resource, given: str = PSEUDONYM) -> Found | None:
    """What `answer` says about `asked`; None when it is not an answer to this question.

    `given` says what it gives: `PSEUDONYM` or `ORIGINAL`. The outer names differ between examples of one version, so an
    entry is read by its parts.
    """
    found = Found({}, {})
    if not api.batched:
        return found if _read_parameters(answer, domain, asked, given, found) else None
    entries = answer.get("entry")
    if answer.get("resourceType") != "Bundle" or not isinstance(entries, list) or len(entries) != len(asked):
        return None
    for one, entry in zip(asked, entries, strict=True):  # FHIR R4 3.1.0.11.1: in the order of the questions
        if not isinstance(entry, dict) or not isinstance(response := entry.get("response"), dict):
            return None
        status = str(response.get("status", ""))[:3]
        resource = entry.get("resource")
        if not status.startswith("2"):
            found.errors[one] = status or "unknown"
        elif not isinstance(resource, dict) or not _read_parameters(resource, domain, [one], given, found):
            return None
    return found


def _read_parameters(answer: Resource, domain: str, asked: Sequence[str], given: str, found: Found) -> bool:
    parameters = answer.get("parameter")
    if answer.get("resourceType") != "Parameters" or not isinstance(parameters, list):
        return False
    flat = {name: value for one in parameters if (value := _text(one)) is not None and (name := one.get("name"))}
    rows = [_parts(one) for one in parameters if isinstance(one, dict) and isinstance(one.get("part"), list)]
    if not rows and flat:
        rows = [("", flat)]
    for name, parts in rows:
        one = parts.get(ORIGINAL if given == PSEUDONYM else PSEUDONYM, asked[0] if len(asked) == 1 else "")
        told = parts.get("target", parts.get("context", domain))
        if told != domain or one not in asked or one in found.values or one in found.errors:
            return False
        if name == "error":
            found.errors[one] = parts.get("error-code", "unknown")
        elif value := parts.get(given, parts.get("value")):
            found.values[one] = value
        else:
            found.errors[one] = f"no-{given}"
    return True


def _parts(parameter: Resource) -> tuple[str, dict[str, str]]:
    values: Iterable[tuple[Any, str | None]] = (
        (part.get("name"), _text(part)) for part in parameter["part"] if isinstance(part, dict)
    )
    return str(parameter.get("name")), {str(name): value for name, value in values if value is not None}


def _text(parameter: Any) -> str | None:
    """The value of a parameter or part: a string, an identifier's value, or a code."""
    if not isinstance(parameter, dict):
        return None
    for name, inner in (("valueString", None), ("valueIdentifier", "value"), ("valueCoding", "code")):
        value = parameter.get(name)
        if inner and isinstance(value, dict):
            value = value.get(inner)
        if isinstance(value, str):
            return value
    return None
