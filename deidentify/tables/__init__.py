"""Table E.1-1 of PS3.15 as data: tags, keywords and action letters, with their edition.

Nothing is decided here; `deidentify.plan` turns rows into rules. The data file is written by `generate.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

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


@cache
def table_e1_1() -> Table:
    """Return Table E.1-1 as shipped."""
    data = json.loads(files(__package__).joinpath("e1_1.json").read_text("utf-8"))
    rows = tuple(
        Row(tag, keyword, vr, basic, dict(zip(OPTIONS, options, strict=True)))
        for tag, keyword, vr, basic, *options in data["rows"]
    )
    rows = tuple(
        Row(row.tag, row.keyword, row.vr, row.basic, {k: v for k, v in row.options.items() if v}) for row in rows
    )
    return Table(data["edition"], data["source_sha256"], rows)
