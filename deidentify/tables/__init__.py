"""The tables of PS3.15 Annex E as data, and Types from the IODs of PS3.3: tags, codes and letters, with their edition.

Nothing is decided here; `deidentify.plan` turns rows into rules. The files are written by `generate.py`,
`generate_types.py` and, for the technical attributes, by somebody who read through PS3.6.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

OPTIONS = (
    "retain-safe-private",
    "retain-uids",
    "retain-device-identity",
    "retain-institution-identity",
    "retain-patient-characteristics",
    "retain-full-dates",
    "retain-modified-dates",
    "clean-descriptors",
    "clean-structured-content",
    "clean-graphics",
)
CLEAN_PIXELS, CLEAN_VISUAL = "clean-pixel-data", "clean-recognizable-visual-features"
# Of Table E.1-1, those that Table E.3.4-1 has a column for, in its order.
CONCEPT_OPTIONS = (*OPTIONS[1:8],)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of Table E.1-1 (PS3.15 E.1.1).

    Attributes
    ----------
    tag : str
        Eight hexadecimal digits; ``x`` stands for any digit, ``private`` for every odd group.
    keyword, vr : str
        Of PS3.6; empty where the row stands for many attributes.
    basic : str
        The action of the Basic Profile, such as ``X/Z/D``.
    options : dict of str to str
        The action under each option that has one for this attribute.
    """

    tag: str
    keyword: str
    vr: str
    basic: str
    options: dict[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of one edition, with the hash of the document that they were read from."""

    edition: str
    source_sha256: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Concept:
    """One row of Table E.3.4-1 (PS3.15 E.3.4): a concept name, the value type, and actions as in `Row`."""

    scheme: str
    value: str
    value_type: str
    basic: str
    options: dict[str, str]


@cache
def table_e1_1() -> Table:
    """Return Table E.1-1 as shipped."""
    data = _read("e1_1.json")
    rows = tuple(
        Row(tag, keyword, vr, basic, _letters(OPTIONS, letters)) for tag, keyword, vr, basic, *letters in data["rows"]
    )
    return Table(data["edition"], data["source_sha256"], rows)


@cache
def table_e3_4_1() -> tuple[Concept, ...]:
    """Return Table E.3.4-1 as shipped."""
    return tuple(
        Concept(scheme, value, value_type, basic, _letters(CONCEPT_OPTIONS, letters))
        for scheme, value, value_type, basic, *letters in _read("e3_4_1.json")["rows"]
    )


@cache
def table_e3_10_1() -> tuple[tuple[str, str, str], ...]:
    """Return tag (``ggggxxee``), Private Creator and VR of each element of Table E.3.10-1 as shipped."""
    return tuple((tag, creator, vr) for tag, creator, vr in _read("e3_10_1.json")["rows"])


@cache
def technical() -> frozenset[str]:
    """Return the keywords of the attributes that no table names and whose text is technical."""
    lines = files(__package__).joinpath("technical.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


@cache
def types(sop_class: str) -> dict[int, frozenset[int]]:
    """Return the Types that attributes have anywhere in the IOD of a SOP class, by tag; empty where it is not known."""
    modules, classes = _types()
    found: dict[int, frozenset[int]] = {}
    for number in classes.get(sop_class, ()):
        for kinds, tags in modules[number].items():
            for start in range(0, len(tags), 8):
                tag = int(tags[start : start + 8], 16)
                found[tag] = found.get(tag, frozenset()) | frozenset(map(int, kinds))
    return found


@cache
def _types() -> tuple[list[dict[str, str]], dict[str, list[int]]]:
    data = _read("types.json")
    return data["modules"], {uid: numbers for uids, numbers in data["classes"] for uid in uids}


def _letters(options: tuple[str, ...], letters: list[str]) -> dict[str, str]:
    return {option: letter for option, letter in zip(options, letters, strict=True) if letter}


def _read(name: str) -> Any:
    return json.loads(files(__package__).joinpath(name).read_text("utf-8"))
