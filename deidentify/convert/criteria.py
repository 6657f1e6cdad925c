"""The criteria of a deid filter as conditions of a recipe: comparisons joined by ``+`` and ``||``.

Only what our patterns can say; anything else makes the whole filter one that cannot be carried over.
"""

from __future__ import annotations

import re
from itertools import product

from deidentify.dictionary import TAGS, vr_of
from deidentify.recipe.conditions import BINARY, TEXT

Criteria = dict[str, list[str]]

_WORDS = r"(?:notcontains|contains|notequals|equals|missing|present|notempty|empty)\b"
_SPLIT = re.compile(rf"\s*(\|\||\+)\s*(?={_WORDS})")
_ONE = re.compile(rf"({_WORDS})\s+(\w+)\s*(.*)", re.IGNORECASE)
_NO_LITERAL = re.compile(r"[\[\](){}^$*?\\]")
_MOST = 8


def conjunctions(lines: list[str]) -> list[Criteria] | None:
    """Return conditions of which one has to hold, or None when they cannot be said.

    The alternatives within a line belong together; lines are taken in their order.
    """
    found: list[Criteria] | None = None
    for line in lines:
        joint = "||" if line.startswith("||") else "+"
        alternatives = _alternatives(line.lstrip("|+ "))
        if alternatives is None:
            return None
        if found is None:
            found = alternatives
        elif joint == "||":
            found = found + alternatives
        else:
            joined = [_both(one, other) for one, other in product(found, alternatives)]
            if None in joined:
                return None
            found = [one for one in joined if one is not None]
        if len(found) > _MOST:
            return None
    return found or None


def _alternatives(line: str) -> list[Criteria] | None:
    """Return what a line says, read from left to right."""
    first, *rest = _SPLIT.split(line)
    one = _comparison(first)
    if one is None:
        return None
    found = [one]
    for joint, text in zip(rest[::2], rest[1::2], strict=True):
        other = _comparison(text)
        if other is None:
            return None
        if joint == "||":
            found.append(other)
            continue
        joined = [_both(one, other) for one in found]
        if None in joined:
            return None
        found = [one for one in joined if one is not None]
    return [one for place, one in enumerate(found) if one not in found[:place]]


def _both(one: Criteria, other: Criteria) -> Criteria | None:
    """Return the condition that both hold; None where an attribute would have to fit two lists of patterns."""
    result = {keyword: list(patterns) for keyword, patterns in one.items()}
    for keyword, patterns in other.items():
        before = result.setdefault(keyword, [])
        wanted = [pattern for pattern in before if not pattern.startswith("!")]
        added = [pattern for pattern in patterns if not pattern.startswith("!")]
        if wanted and added and wanted != added:
            return None
        before += [pattern for pattern in patterns if pattern not in before]
    return result


def _comparison(text: str) -> Criteria | None:
    match = _ONE.fullmatch(text.strip())
    if match is None:
        return None
    word, keyword, value = match[1].lower(), match[2], match[3].strip()
    tag = TAGS.get(keyword, 0)
    if tag >> 16 < 8 or vr_of(tag).split(" or ")[0] not in TEXT | BINARY.keys():
        return None
    if word in ("missing", "empty"):
        return {keyword: [""]}
    if word in ("present", "notempty"):
        return {keyword: ["?*"]}
    values = [one.strip().rstrip("+") for one in value.split("|")]
    if not all(values) or any(_NO_LITERAL.search(one) for one in values):
        return None
    negated = "!" if word.startswith("not") else ""
    around = "*" if word.endswith("contains") else ""
    return {keyword: [f"{negated}{around}{one}{around}" for one in values]}
