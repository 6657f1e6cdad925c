"""Conditions on an object: what its top-level attributes have to look like for a part of a recipe to apply.

They read original values and say yes or no; no value leaves this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from struct import unpack

from deidentify.charset import decode
from deidentify.dictionary import TAGS, name_of, vr_of

CHARACTER_SET = TAGS["SpecificCharacterSet"]
BINARY = {"US": ("H", 2), "SS": ("h", 2), "UL": ("L", 4), "SL": ("l", 4)}
TEXT = frozenset({"AE", "AS", "CS", "DA", "DS", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI", "UC", "UT"})
NOT = "!"


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds when every test in it does.

    Attributes
    ----------
    tests : tuple of (int, tuple of str)
        Tag of a top-level attribute and patterns. A test holds when one of its patterns fits one of the values, case
        aside, and none of its patterns after ``!`` does; ``*`` stands for any characters, ``?`` for one. An attribute
        that is absent has one empty value.
    """

    tests: tuple[tuple[int, tuple[str, ...]], ...]

    def __str__(self) -> str:
        """Return the condition as it is written, in one line."""
        return ", ".join(f"{name_of(tag)}: {' or '.join(patterns)}" for tag, patterns in self.tests)

    def matches(self, values: Mapping[int, bytes], *, little: bool = True) -> bool:
        """Tell whether the condition holds for an object with these raw values of its top level."""
        return all(_holds(patterns, _values(tag, values, little)) for tag, patterns in self.tests)


def test_of(keyword: str, patterns: Iterable[str]) -> tuple[int, tuple[str, ...]]:
    """Return a test as a `Condition` has it.

    Raises
    ------
    ValueError
        With a sentence on what is wrong with the keyword.
    """
    tag = TAGS.get(keyword)
    if tag is None or tag >> 16 < 8:
        raise ValueError(f"{keyword!r} is no keyword of an attribute in PS3.6")
    if vr_of(tag).split(" or ")[0] not in TEXT | BINARY.keys():
        raise ValueError(f"{keyword} ({vr_of(tag)}) is no text or whole number to compare")
    return tag, tuple(sorted(set(patterns)))


def _holds(patterns: tuple[str, ...], values: list[str]) -> bool:
    wanted = [pattern for pattern in patterns if not pattern.startswith(NOT)]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith(NOT)]
    return (not wanted or _fits(wanted, values)) and not _fits(unwanted, values)


def _fits(patterns: list[str], values: list[str]) -> bool:
    return any(_compiled(pattern).match(value) for pattern in patterns for value in values)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern), re.IGNORECASE)


def _values(tag: int, values: Mapping[int, bytes], little: bool) -> list[str]:
    raw = values.get(tag, b"")
    binary = BINARY.get(vr_of(tag).split(" or ")[0])
    if binary is None:
        return [value.strip() for value in decode(raw, values.get(CHARACTER_SET, b"")).split("\\")]
    letter, size = binary
    numbers = unpack(f"{'<' if little else '>'}{len(raw) // size}{letter}", raw[: len(raw) // size * size])
    return [str(number) for number in numbers] or [""]
