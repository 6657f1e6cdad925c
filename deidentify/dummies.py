"""Dummy values: what stands where an attribute must not be empty, and what may stay inside a sequence that is a dummy.

Everything here is constant or computed from the value alone, so that the same input gives the same bytes.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, cast

from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from deidentify.dictionary import TAGS

TEXT = b"ANONYMIZED"
DATE, TIME, DATETIME = b"19000101", b"000000", b"19000101000000"

_BY_VR = {
    "AS": b"000Y",
    "DA": DATE,
    "TM": TIME,
    "DT": DATETIME,
    "UR": b"urn:anonymized",
    "IS": b"0",
    "DS": b"0",
    "AT": bytes(4),
    "UN": bytes(2),
    "OB": bytes(2),
    "OW": bytes(2),
    **dict.fromkeys(("US", "SS"), bytes(2)),
    **dict.fromkeys(("UL", "SL", "FL", "OF", "OL"), bytes(4)),
    **dict.fromkeys(("FD", "SV", "UV", "OD", "OV"), bytes(8)),
}
# Attributes whose values PS3.3 enumerates, so that plain text would not do.
_BY_TAG = {TAGS["ReasonForTheAttributeModification"]: b"COERCE"}

_WORD = re.compile(rb"[A-Z0-9_ \\]*")
_NUMBER = re.compile(rb"[0-9+\-.eE \\]*")
_NUMERIC = frozenset(["AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV", "OF", "OD", "OL"])

CODE_VALUE, SCHEME, SCHEME_VERSION, CODE_MEANING = 0x00080100, 0x00080102, 0x00080103, 0x00080104
LONG_CODE_VALUE, URN_CODE_VALUE = 0x00080119, 0x00080120
CODE_TAGS = frozenset({CODE_VALUE, SCHEME, SCHEME_VERSION, CODE_MEANING, LONG_CODE_VALUE, URN_CODE_VALUE})


def dummy(tag: int, vr: str) -> bytes:
    """Return the dummy value of an attribute, of even length."""
    value = _BY_TAG.get(tag) or _BY_VR.get(vr, TEXT)
    return value + b"\0" if vr == "UR" and len(value) % 2 else value + b" " * (len(value) % 2)


def inside_dummy(vr: str, value: bytes) -> bytes | None:
    """Return what stays of a value that no rule names, inside a sequence that is replaced by a dummy.

    Numbers and defined terms stay, text and times become dummies, anything opaque is removed (None).
    """
    if vr in _NUMERIC:
        return value
    if vr == "CS":
        return value if _WORD.fullmatch(value) else TEXT
    if vr in ("IS", "DS"):
        return value if _NUMBER.fullmatch(value) else b"0 "
    if vr in ("OB", "OW", "OV", "UN", ""):
        return None
    return dummy(0, vr) if value.strip(b"\0 ") else b""


def code(values: dict[int, bytes]) -> dict[int, bytes]:
    """Return the code that may stand in place of another, inside a sequence that is replaced by a dummy (PS3.3 8).

    A code that the standard's own tables know stays, with its meaning as those tables have it; of any other only the
    shape stays.
    """
    scheme = _text(values.get(SCHEME, b""))
    for tag in (CODE_VALUE, LONG_CODE_VALUE, URN_CODE_VALUE):
        value = _text(values.get(tag, b""))
        meaning = meanings().get((scheme, value))
        if meaning and meaning.isascii():
            return {tag: value.encode(), SCHEME: scheme.encode(), CODE_MEANING: meaning[:64].encode()}
    return {CODE_VALUE: b"0", SCHEME: b"99ANON", CODE_MEANING: TEXT}


@cache
def meanings() -> dict[tuple[str, str], str]:
    """Return the meanings of codes by coding scheme and code value, as the tables of the standard have them (PS3.16)."""
    known = {
        (scheme, value): meaning
        for scheme, by_keyword in cast(dict[str, Any], concepts).items()
        for codes in by_keyword.values()
        for value, (meaning, _) in codes.items()
    }
    for old, new in mapping.get("SRT", {}).items():
        if ("SCT", new) in known:
            known["SRT", old] = known["SCT", new]
    return known


def _text(value: bytes) -> str:
    return value.strip(b"\0 ").decode("latin-1")
