"""Codes, and content items that a code names: SR trees, acquisition contexts, protocols (PS3.3 8, 10.2; PS3.15 E.3.4).

Says what a value becomes by the code that stands beside it; the rules for concepts are those of the plan, and elements
are rebuilt in `deidentify.rewrite`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from deidentify.actions import CLEAN, DUMMY, DUMMY_IF_FILLED, EMPTY, KEEP, REMOVE, SHIFT, UID, Rule
from deidentify.dictionary import TAGS
from deidentify.dummies import (
    CODE_MEANING,
    CODE_VALUE,
    LONG_CODE_VALUE,
    SCHEME,
    SCHEME_VERSION,
    TEXT,
    URN_CODE_VALUE,
    meanings,
)
from deidentify.plan import Plan

CONCEPT_NAME = TAGS["ConceptNameCodeSequence"]
CONCEPT_CODE = TAGS["ConceptCodeSequence"]

# The Value Type (PS3.3 C.17.3.2.1) of a content item by the attribute that holds its value.
VALUES = {
    TAGS["DateTime"]: "DATETIME",
    TAGS["Date"]: "DATE",
    TAGS["Time"]: "TIME",
    TAGS["PersonName"]: "PNAME",
    TAGS["UID"]: "UIDREF",
    TAGS["TextValue"]: "TEXT",
    CONCEPT_CODE: "CODE",
    TAGS["MeasuredValueSequence"]: "NUM",
}
_TEMPORAL = frozenset(("DATE", "TIME", "DATETIME"))
_GONE = frozenset((REMOVE, EMPTY, DUMMY, DUMMY_IF_FILLED))
_NAME = "E.3.4-1"
Concept = tuple[str, str]

# How the values of registered coding schemes look (PS3.16 8); what looks otherwise may be anything.
_SCHEMES = {
    scheme: re.compile(form)
    for scheme, form in {
        "DCM": rb"\d{4,6}",
        "SRT": rb"[A-Z][0-9A-F]?-[0-9A-F]{3,6}",
        "SNM3": rb"[A-Z][0-9A-F]?-[0-9A-F]{3,6}",
        "99SDM": rb"[A-Z][0-9A-F]?-[0-9A-F]{3,6}",
        "SCT": rb"\d{6,18}",
        "LN": rb"\d{1,5}-\d",
        "UCUM": rb"[A-Za-z0-9\[\]{}'/.*^%+\-]{1,16}",
        "RADLEX": rb"RID\d{1,7}",
        "FMA": rb"\d{1,6}",
        "NCIt": rb"C\d{3,6}",
        "UMLS": rb"C\d{7}",
    }.items()
}

_VERSION = re.compile(rb"[0-9._]{0,16}[\0 ]*")


def concept_rule(plan: Plan, concept: Concept, tag: int, rule: Rule) -> Rule:
    """Return the rule for the value of a content item.

    The item itself stays, so that the tree, the numbers by which its items refer to each other and the rest of its
    branch stay valid; a value that may not stay is replaced by a dummy, or its sequence emptied where that is valid.

    Parameters
    ----------
    plan : Plan
        Knows the concepts of PS3.15 Table E.3.4-1.
    concept : (str, str)
        Coding scheme and value of the concept name.
    tag : int
        One of `VALUES`.
    rule : Rule
        What is done with this attribute whatever the concept.
    """
    value_type = VALUES[tag]
    action = plan.concept(*concept, value_type)
    if action is None or (action == SHIFT) > (value_type in _TEMPORAL) or (action == UID) > (value_type == "UIDREF"):
        return rule._replace(action=DUMMY if rule.action in (REMOVE, EMPTY) else rule.action, type=1)
    if value_type == "NUM":
        return rule if action in (KEEP, CLEAN) else Rule(EMPTY, _NAME, True, 2)
    if value_type == "UIDREF" and action != KEEP:
        return Rule(UID, _NAME)
    return Rule(DUMMY if action in _GONE else action, _NAME, rule.sequence, 1)


def concept_of(code: dict[int, bytes]) -> Concept:
    """Return coding scheme and value of a code."""
    return _text(code.get(SCHEME, b"")), _text(code.get(CODE_VALUE) or code.get(LONG_CODE_VALUE) or b"")


def cleaned_code(code: dict[int, bytes], clean: Callable[[int, bytes], bytes]) -> dict[int, bytes]:
    """Return a code whose texts are cleaned (PS3.3 8).

    A code that the standard's tables know stays, with their meaning unless its own says nothing else; one of a
    registered scheme stays when its value looks as in that scheme. Of any other its texts are cleaned, and a value of
    which nothing stays becomes one of no scheme.

    Parameters
    ----------
    code : dict of int to bytes
        Raw values of the attributes of the item.
    clean : callable
        Cleans the raw value of a tag; returns nothing where nothing of it stays.
    """
    if not any(raw.strip(b"\0 ") for raw in code.values()):
        return code
    scheme, value = concept_of(code)
    known = meanings().get((scheme, value))
    meaning = code.get(CODE_MEANING, b"")
    form = _SCHEMES.get(scheme)
    result = dict(code)
    if known is None or _text(meaning).casefold() != known.casefold():
        shown = known.encode("ascii", "ignore")[:64] if known else TEXT
        result[CODE_MEANING] = clean(CODE_MEANING, meaning) or shown
    if known is None and not (form and form.fullmatch(value.encode("latin-1", "replace"))):
        for tag in code.keys() - {CODE_MEANING}:
            result[tag] = clean(tag, code[tag])
        values = [tag for tag in (CODE_VALUE, LONG_CODE_VALUE, URN_CODE_VALUE) if result.get(tag)]
        if not values or (not result.get(SCHEME) and values != [URN_CODE_VALUE]):
            return {CODE_VALUE: b"0", SCHEME: b"99ANON", CODE_MEANING: result[CODE_MEANING]}
    elif not _VERSION.fullmatch(code.get(SCHEME_VERSION, b"")):
        result[SCHEME_VERSION] = clean(SCHEME_VERSION, code[SCHEME_VERSION])
    return {tag: raw for tag, raw in result.items() if raw}


def _text(raw: bytes) -> str:
    return raw.strip(b"\0 ").decode("latin-1")
