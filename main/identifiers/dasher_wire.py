"""DASHER's wire format: what is asked about a study, how many go into one call, and what an answer must look like.

Pure functions on values; nothing is sent from here, and no value of a patient is put into an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from main.errors import Quarantine, Transient
from main.identifiers import Answer, Request
from main.projects import Project
from main.projects.configured import filled

ENTITY_SOURCE = "Stanford MRN"
ITEM_SOURCE = "DCM Accession #"

# The service takes 1,000 items a call; its own client stays at this number.
ITEMS_PER_CALL = 950

# PS3.5 6.2: the most characters of the attribute that the suid is put into (PatientID and PatientName, AccessionNumber).
_ENTITY_LENGTH, _ITEM_LENGTH = 64, 16

_ID = re.compile(r"[A-Za-z0-9_-]+")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d{4})")


# Custom fields: name and value of each.
Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Asked:
    """One study of one patient as the service is asked about it: an entity with one item, and custom fields of both."""

    entity: str = field(repr=False)
    born: date = field(repr=False)
    item: str = field(repr=False)
    taken: date = field(repr=False)
    entity_fields: Fields = field(default=(), repr=False)
    item_fields: Fields = field(default=(), repr=False)

    @classmethod
    def of(cls, request: Request, entity_id: str, item_id: str, project: Project) -> Asked:
        """`request` with the id of the keyword `entity_id` as the entity's, and that of `item_id` as the item's.

        The custom fields of `project` are filled from its header.

        Raises
        ------
        Quarantine
            `identifiers-request`: a value that the service requires is missing or not as it accepts it.
        """
        return cls(
            entity=_id(entity_id, _value(request, entity_id, "ENTITY_ID").replace("-", "")),
            born=_date("PatientBirthDate", request.patient_birth_date),
            item=_id(item_id, _value(request, item_id, "ITEM_ID")),
            taken=_date("StudyDate", request.study_date),
            entity_fields=filled(project.entity_fields, request.header),
            item_fields=filled(project.item_fields, request.header),
        )


def _value(request: Request, keyword: str, setting: str) -> str:
    known = request.header | {"PatientID": request.patient_id, "AccessionNumber": request.accession_number}
    if keyword not in known:
        raise Transient(
            "identifiers-settings",
            f"{setting} names {keyword!r}, which is not read for identifiers. Known: {', '.join(sorted(known))}.",
        )
    return known[keyword].strip()


def _id(keyword: str, value: str) -> str:
    if not value:
        raise Quarantine("identifiers-request", f"{keyword} is missing or empty, so DASHER cannot be asked.")
    if not _ID.fullmatch(value):
        raise Quarantine(
            "identifiers-request",
            f"{keyword} has characters that DASHER does not accept (letters, digits, '_' and '-' only).",
        )
    return value


def _date(keyword: str, value: str) -> date:
    digits = value.strip().replace(".", "")  # yyyy.mm.dd is how ACR-NEMA wrote dates (PS3.5 6.2)
    try:
        return datetime.strptime(digits if len(digits) == 8 else "", "%Y%m%d").date()
    except ValueError:
        raise Quarantine("identifiers-request", f"{keyword} is missing or no date, and DASHER requires it.") from None


def calls(asked: Iterable[Asked]) -> list[list[Asked]]:
    """`asked`, each once, in groups of one call: an id stands in a call with one date only, so answers are unambiguous.

    It has one set of custom fields there as well.
    """
    groups: list[list[Asked]] = []
    said: dict[tuple[str, ...], tuple[date, Fields]] = {}
    for one in dict.fromkeys(asked):
        mine = {(one.entity,): (one.born, one.entity_fields), (one.entity, one.item): (one.taken, one.item_fields)}
        if (
            not groups
            or len(groups[-1]) == ITEMS_PER_CALL
            or any(said.get(key, mine[key]) != mine[key] for key in mine)
        ):
            groups.append([])
            said = {}
        groups[-1].append(one)
        said |= mine
    return groups


def body(call: list[Asked]) -> dict[str, Any]:
    """The request of one call."""
    entities: dict[str, dict[str, Any]] = {}
    for one in call:
        if one.entity not in entities:
            entities[one.entity] = _object(one.entity, ENTITY_SOURCE, one.born, one.entity_fields) | {"items": []}
        entities[one.entity]["items"].append(_object(one.item, ITEM_SOURCE, one.taken, one.item_fields))
    return {"identifiers": list(entities.values())}


def _object(name: str, source: str, day: date, fields: Fields) -> dict[str, Any]:
    """An entity or an item; without custom fields there is no list of them."""
    found: dict[str, Any] = {"id": name, "id_source": source, "id_timestamp": _timestamp(day)}
    if fields:
        found["custom_fields"] = [{"key": key, "value": value} for key, value in fields]
    return found


def _timestamp(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def read(answer: Any, call: list[Asked]) -> dict[Asked, Answer | Quarantine]:
    """What `answer` says about each of `call`; one that cannot be used stops no other.

    Raises
    ------
    Quarantine
        `identifiers-answer`: the answer as a whole is not one to this call.
    """
    if not isinstance(answer, dict) or "results" not in answer:
        raise _bad("has no results")
    asked: dict[str, dict[str, Asked]] = {}
    for one in call:
        asked.setdefault(one.entity, {})[one.item] = one
    found: dict[Asked, Answer | Quarantine] = {}
    for entity_id, entity in _by_id(answer["results"], asked.keys(), "results").items():
        wanted = asked[entity_id]
        for item_id, item in _by_id(entity.get("items"), wanted.keys(), "items").items():
            kept = {**answer, "results": [{**entity, "items": [item]}]}
            try:
                found[wanted[item_id]] = _answer(wanted[item_id], entity, item, kept)
            except Quarantine as refused:
                found[wanted[item_id]] = refused
    return found


def _by_id(rows: Any, asked: Iterable[str], what: str) -> dict[str, dict[str, Any]]:
    """The rows by their id: exactly those asked for, each once, in whatever order."""
    ids = list(asked)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _bad(f"has {what} that are no list of objects")
    if len(rows) != len(ids):
        raise _bad(f"has {len(rows)} {what} where {len(ids)} were asked for")
    found = {row.get("id"): row for row in rows if isinstance(row.get("id"), str)}
    if found.keys() != set(ids):
        raise _bad(f"has {what} with ids other than those asked for")
    return {one: found[one] for one in ids}


def _answer(asked: Asked, entity: dict[str, Any], item: dict[str, Any], kept: dict[str, Any]) -> Answer:
    patient = _suid(entity, asked, "PatientID", _ENTITY_LENGTH)
    born, _ = _jittered(entity, asked.born, "entity")
    taken, jitter = _jittered(item, asked.taken, "item")
    return Answer(
        values={
            "PatientID": patient,
            "PatientName": patient,
            "AccessionNumber": _suid(item, asked, "AccessionNumber", _ITEM_LENGTH),
            "PatientBirthDate": f"{born:%Y%m%d}",
            "StudyDate": f"{taken:%Y%m%d}",
        },
        date_shift_days=jitter,
        response=kept,
    )


def _suid(row: dict[str, Any], asked: Asked, keyword: str, longest: int) -> str:
    suid = row.get("suid")
    if not isinstance(suid, str) or not _ID.fullmatch(suid):
        raise _bad(
            f"has a suid for {keyword} that is missing or has other characters than letters, digits, '_' and '-'"
        )
    if suid in (asked.entity, asked.item):
        raise _bad(f"gives an original id back as the suid for {keyword}")
    if len(suid) > longest:
        raise Quarantine(
            "identifiers-too-long",
            f"DASHER's suid for {keyword} has {len(suid)} characters and the attribute holds {longest}. It is not cut: "
            "a cut one may be another patient's. Ask DASHER for shorter ones.",
        )
    return suid


def _jittered(row: dict[str, Any], original: date, what: str) -> tuple[date, int]:
    """The jittered date and the jitter; they must agree but for the day that a time zone may make."""
    jitter, stamp = row.get("jitter"), row.get("jittered_timestamp")
    if not isinstance(jitter, int) or isinstance(jitter, bool):
        raise _bad(f"has a jitter of the {what} that is no whole number")
    if not isinstance(stamp, str) or not _TIMESTAMP.fullmatch(stamp):
        raise _bad(f"has a jittered_timestamp of the {what} that is not written as one")
    try:
        day = datetime.strptime(stamp[:10], "%Y-%m-%d").date()
        apart = abs(day - (original + timedelta(days=jitter)))
    except (ValueError, OverflowError):
        raise _bad(f"has a jittered date of the {what} that is not in the calendar") from None
    if apart > timedelta(days=1):
        raise _bad(f"has a jittered_timestamp of the {what} that its jitter does not lead to")
    return day, jitter


def _bad(what: str) -> Quarantine:
    return Quarantine("identifiers-answer", f"DASHER's answer {what}. It is not used. Ask those who run DASHER.")
