"""Reads a recipe of pydicom's deid (``FORMAT dicom`` with its sections) and makes one of ours of it.

What its actions and filters mean is known here, as far as our recipe can say it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from deidentify.convert.criteria import Criteria, conjunctions
from deidentify.convert.draft import Converted, Draft
from deidentify.dictionary import TAGS, vr_of
from deidentify.errors import Refused
from deidentify.recipe.targets import FIXED, TEMPORAL_VRS

_ACTIONS = {"KEEP": "keep", "REMOVE": "remove", "BLANK": "empty", "JITTER": "shift"}
_EXPANDERS = ("contains", "startswith", "endswith", "except", "select", "fields", "values", "allfields", "allexcept")
_PRIVATE = re.compile(r'\(([0-9A-Fa-f]{4}),\s*(?:xx([0-9A-Fa-f]{2}),\s*)?"([^"]+)"(?:,\s*([0-9A-Fa-f]{2}))?\)')
_SELECT_VR = re.compile(r"select:VR:([A-Z]{2})")
_COORDINATES = re.compile(r"(ctp)?(keep)?coordinates\s+(.*)", re.IGNORECASE)
_MOST_ATTRIBUTES = 100
_OWN = "The value comes with the identifiers of the provider, or the profile replaces it."
Line = tuple[int, str]


def from_deid(recipe: str, name: str = "from-deid") -> Converted:
    """Return the recipe that a deid recipe comes to.

    Parameters
    ----------
    recipe : str
        With the sections ``%header``, ``%filter``, ``%fields``, ``%values``.
    name : str
        Of the new recipe.

    Raises
    ------
    Refused
        ``bad-recipe``, when it is no such recipe.
    """
    lines = [
        (number, line.split(" #")[0].strip())
        for number, line in enumerate(recipe.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#")
    ]
    if not lines or re.fullmatch(r"FORMAT\s+dicom", lines[0][1], re.IGNORECASE) is None:
        raise Refused("bad-recipe", "This is no deid recipe: its first line is not 'FORMAT dicom'.")
    return _Deid(Draft(name, "a deid recipe")).read(lines[1:])


class _Deid:
    def __init__(self, draft: Draft) -> None:
        self.draft = draft

    def read(self, lines: list[Line]) -> Converted:
        section, group = "", ""
        blocks = _blocks(lines)
        for block in blocks:
            number, text = block[0]
            if text.startswith("%"):
                section, _, group = text[1:].strip().partition(" ")
                section = section.lower()
            elif section == "header":
                self._header(number, text)
            elif section == "filter" and text.upper().startswith("LABEL"):
                self._filter(group.strip().lower(), block)
            else:
                for number, text in block:
                    self.draft.leave(number, text, "A recipe has no groups of fields or values; name the attributes.")
        return self.draft.converted()

    def _header(self, line: int, text: str) -> None:
        verb, _, rest = text.partition(" ")
        verb, rest = verb.upper(), rest.strip()
        private = _PRIVATE.match(rest)
        target = private[0] if private else rest.split(" ")[0]
        value = rest[len(target) :].strip()
        if verb == "ADD" or (target in FIXED and verb in ("REPLACE", "REMOVE", "BLANK")):
            if target not in FIXED:
                self.draft.leave(line, text, "Nothing is added but identifiers and the marks of de-identification.")
            return
        if verb == "REPLACE":
            if vr_of(TAGS.get(target, 0)) == "UI":
                self.draft.override(line, text, target, "replace-uid")
            else:
                self.draft.leave(line, text, _OWN)
            return
        if verb not in _ACTIONS or (value.startswith("func:") and verb != "JITTER"):
            self.draft.leave(line, text, "A recipe runs no functions of its own.")
            return
        if private:
            element = private[2] or private[4]
            key = f"({private[1].upper()},xx{element.upper()}) {private[3]}" if element else f"private: {private[3]}"
            self.draft.override(line, text, key, _ACTIONS[verb])
            return
        self._attributes(line, text, target, _ACTIONS[verb])

    def _attributes(self, line: int, text: str, target: str, action: str) -> None:
        select = _SELECT_VR.fullmatch(target)
        kind, colon, pattern = target.partition(":")
        if select:
            self.draft.override(line, text, f"VR:{select[1]}", action)
        elif colon and kind in ("contains", "startswith", "endswith"):
            named = _named(kind, pattern, action)
            if not 0 < len(named) <= _MOST_ATTRIBUTES:
                self.draft.leave(line, text, f"The pattern fits {len(named)} attributes; name those that you mean.")
                return
            for keyword in named:
                self.draft.override(line, text, keyword, action)
        elif target.upper() == "ALL" or (colon and kind in _EXPANDERS):
            self.draft.leave(line, text, "The Basic Profile decides about what is not named; see the recipe 'minimal'.")
        else:
            self.draft.override(line, text, target, action)

    def _filter(self, group: str, block: list[Line]) -> None:
        line, head = block[0]
        label = head[len("LABEL") :].strip()
        boxes, criteria, odd = [], list[str](), ""
        for _, text in block[1:]:
            coordinates = _COORDINATES.fullmatch(text)
            if coordinates is None:
                criteria.append(text)
                continue
            box = _box(coordinates[3], by_size=bool(coordinates[1]))
            if coordinates[2] or box is None:
                odd = "Only rectangles to blank can be carried over, written as four numbers."
            else:
                boxes.append(box)
        found = conjunctions(criteria)
        if group == "whitelist":
            self.draft.leave(line, head, "No filter declares an image clean: pixels are decided by what is in them.")
        elif found is None or odd:
            self.draft.leave(line, head, odd or "Its criteria are no plain comparisons of attributes.")
        elif boxes:
            self._rectangles(line, head, found, boxes)
        else:
            for condition in found:
                self.draft.quarantine(label, condition)

    def _rectangles(self, line: int, head: str, found: list[Criteria], boxes: list[list[int]]) -> None:
        for condition in found:
            rest = {keyword: patterns for keyword, patterns in condition.items() if keyword not in ("Columns", "Rows")}
            sides = [condition.get(keyword, [""])[0] for keyword in ("Columns", "Rows")]
            if not all(side.isdigit() for side in sides) or not rest:
                why = "A rectangle is for one size of image: 'equals Columns' and 'equals Rows' are needed."
                self.draft.leave(line, head, f"{why} Without it text is found by looking for it.")
                return
            columns, rows = map(int, sides)
            inside = [
                [x, y, min(width, columns - x), min(height, rows - y)]
                for x, y, width, height in boxes
                if x < columns and y < rows
            ]
            if inside:
                self.draft.rectangles(rest, columns, rows, inside)


def _blocks(lines: list[Line]) -> Iterator[list[Line]]:
    """Yield lines one by one, and a LABEL with everything that belongs to it."""
    block: list[Line] = []
    for number, text in lines:
        if block and not text.startswith("%") and not text.upper().startswith("LABEL"):
            block.append((number, text))
            continue
        if block:
            yield block
        block = [(number, text)] if text.upper().startswith("LABEL") else []
        if not block:
            yield [(number, text)]
    if block:
        yield block


def _named(kind: str, pattern: str, action: str) -> list[str]:
    """Return the keywords that a pattern of deid names and that an override can be for."""
    tests: dict[str, Callable[[str], bool]] = {
        "contains": lambda keyword: pattern.lower() in keyword,
        "startswith": lambda keyword: keyword.startswith(pattern.lower()),
        "endswith": lambda keyword: keyword.endswith(pattern.lower()),
    }
    return [
        keyword
        for keyword, tag in sorted(TAGS.items(), key=lambda one: one[1])
        if tests[kind](keyword.lower())
        and keyword not in FIXED
        and tag >> 16 >= 8
        and (action != "shift" or vr_of(tag) in TEMPORAL_VRS)
    ]


def _box(text: str, *, by_size: bool) -> list[int] | None:
    """Return x, y, width and height; deid writes the lower right corner, CTP the size."""
    numbers = [part.strip() for part in text.split(",")]
    if len(numbers) != 4 or not all(number.isdigit() for number in numbers):
        return None
    x, y, right, lower = map(int, numbers)
    width, height = (right, lower) if by_size else (right - x, lower - y)
    return [x, y, width, height] if width > 0 and height > 0 else None
