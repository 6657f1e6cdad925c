"""The plan: a recipe compiled into one rule per tag, looked up once per element.

Which rule is said here and nowhere else; how a rule is carried out is `deidentify.rewrite`. The combined actions of
Table E.1-1 are resolved to what keeps an object valid whatever the Type of the attribute is: X/D, Z/D and X/Z/D put in
a dummy where there was a value (and leave an empty one empty), X/Z empties, X/Z/U* keeps the references with their UIDs
replaced and nothing else that is text. A sequence becomes a dummy by keeping its items with everything in them replaced
that is text, time or an unknown code. SeriesDate, SeriesTime, InstanceCreationDate and InstanceCreationTime are Type 3
everywhere but in the PET Series, so they are removed elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import NamedTuple

from deidentify.actions import (
    CHARACTER_SET,
    DUMMY,
    DUMMY_IF_FILLED,
    EMPTY,
    KEEP,
    REMOVE,
    UID,
    UID_OF_KIND,
)
from deidentify.beyond import BEYOND
from deidentify.dictionary import KEYWORDS, TAGS, keyword_of, vr_of
from deidentify.recipe import Recipe
from deidentify.tables import table_e1_1

_BY_ACTION = {
    "X": REMOVE,
    "Z": EMPTY,
    "X/Z": EMPTY,
    "D": DUMMY,
    "X/D": DUMMY_IF_FILLED,
    "Z/D": DUMMY_IF_FILLED,
    "X/Z/D": DUMMY_IF_FILLED,
    "U": UID,
    "X/Z/U*": DUMMY_IF_FILLED,
}
_BY_OVERRIDE = {"keep": KEEP, "remove": REMOVE, "empty": EMPTY, "replace-dummy": DUMMY}
_OPTIONAL_UNLESS_PET = ("SeriesDate", "SeriesTime", "InstanceCreationDate", "InstanceCreationTime")
PET = b"1.2.840.10008.5.1.4.1.1.128"

# UI attributes that name a kind of thing, never one thing of one patient (PS3.6); their values are kept.
_KINDS = frozenset(
    tag
    for tag, keyword in KEYWORDS.items()
    if vr_of(tag) == "UI"
    and ("Class" in keyword or "TransferSyntax" in keyword)
    and keyword != "ManufacturerDeviceClassUID"
)
_NAMES_AND_TIMES = {"PN": "unlisted-name", "DA": "unlisted-date", "DT": "unlisted-date", "TM": "unlisted-date"}


class Rule(NamedTuple):
    """What happens to an attribute.

    ``name`` is how the rule is called in counts and comparisons; ``sequence`` tells that the dictionary's VR is SQ.
    """

    action: int
    name: str
    sequence: bool = False


_REMEMBERED = 1 << 15
_LENGTH_TO_END = 0x00080001
_SECURITY_GROUP = 0x4010  # baggage and persons at checkpoints: no image of a patient has it
_PRIVATE = Rule(REMOVE, "private")
_UNKNOWN = Rule(REMOVE, "not-in-dictionary")
_GROUP_LENGTH = Rule(REMOVE, "group-length")
_GRAPHICS = {0x50: Rule(REMOVE, "curve"), 0x60: Rule(REMOVE, "overlay")}


class Plan(dict[int, Rule]):
    """Rules by tag; those of tags that were not asked for yet are made when they are.

    Parameters
    ----------
    recipe : Recipe
        Of the Basic Profile.
    pet : bool
        Whether the objects are PET images, where the series' date and time are Type 1.
    """

    def __init__(self, recipe: Recipe, *, pet: bool = False) -> None:
        super().__init__()
        self._rows: dict[int, str] = {
            int(row.tag, 16): row.basic for row in table_e1_1().rows if row.tag != "private" and "x" not in row.tag
        }
        for tag, action in recipe.overrides:
            self[tag] = Rule(_BY_OVERRIDE[action], f"override-{action}", vr_of(tag) == "SQ")
        if not pet:
            for keyword in _OPTIONAL_UNLESS_PET:
                self.setdefault(TAGS[keyword], Rule(REMOVE, "E.1-1:X"))
        self.setdefault(TAGS["SpecificCharacterSet"], Rule(CHARACTER_SET, "keep"))

    def __missing__(self, tag: int) -> Rule:
        rule = self._made(tag)
        if len(self) < _REMEMBERED:
            self[tag] = rule
        return rule

    def _made(self, tag: int) -> Rule:
        group = tag >> 16
        if group & 1:
            return _PRIVATE
        if tag & 0xFFFF == 0 or tag == _LENGTH_TO_END:
            return _GROUP_LENGTH
        graphics = _GRAPHICS.get(group >> 8)
        if graphics:
            return graphics
        vr = vr_of(tag)
        basic = self._rows.get(tag)
        if group < 8 or not (vr or basic):
            return _UNKNOWN
        if basic:
            return Rule(_BY_ACTION[basic], f"E.1-1:{basic}", vr == "SQ")
        if tag in BEYOND or group == _SECURITY_GROUP:
            return Rule(BEYOND.get(tag, REMOVE), "beyond-table", vr == "SQ")
        if vr in _NAMES_AND_TIMES:
            return Rule(REMOVE, _NAMES_AND_TIMES[vr])
        if vr == "UI":
            return Rule(UID_OF_KIND, "keep") if tag in _KINDS else Rule(UID, "uid")
        return Rule(KEEP, "keep", vr == "SQ")


@cache
def weakened(recipe: Recipe) -> tuple[str, ...]:
    """Return the keywords that an override keeps although the profile acts on them."""
    bare = Plan(replace(recipe, overrides=()), pet=True)
    return tuple(
        keyword_of(tag)
        for tag, action in recipe.overrides
        if action == "keep" and bare[tag].action not in (KEEP, UID_OF_KIND, CHARACTER_SET)
    )
