"""Which numbers and which mixtures of letters and digits are measurements or technique, and which could be an identity.

It looks at one token alone; plain words are `deidentify.text.vocabulary`.
"""

from __future__ import annotations

import re

from deidentify.spelling import bare
from deidentify.text.vocabulary import listed, safe, technical

_RUNS = re.compile(r"\d+(?:\.\d+)*|[^\W\d_]+")
_CAMEL = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])")
_ROUND = re.compile(r"[1-9]0?\d?00|1024|2048|4096|0000")

UNITS = listed("units.txt")
_LONG_UNITS = frozenset(unit for unit in UNITS if len(unit) > 1)
# What stands before a number of four digits that is a measurement.
MEASURED = frozenset(
    {"jpeg", "te", "tr", "ti", "td", "fov", "b", "bval", "bvalue", "bvalues", "venc", "matrix", "flow"}
)
# Letters that stand beside digits in protocols without being words.
_AFFIXES = listed("affixes.txt")
_SINGLES = frozenset("lrapsifhtcvwoxyzbm")
_LONGEST_FREE = 3
_LAST_LATIN = "\u0250"
_DIRECTIONS = re.compile(r"(?!.*(?:A.*P|P.*A|L.*R|R.*L|H.*F|F.*H))(?!.*(.).*\1)[APLRHF]{1,3}")


def is_number(text: str, *, technical_value: bool = False, unit: bool = False) -> bool:
    """Tell whether a bare number, perhaps with dots, is too short or too round to be one that identifies."""
    groups = text.split(".")
    if len(groups) == 1:
        if len(text) == 4:
            return technical_value or unit or bool(_ROUND.fullmatch(text) and text[:2] not in ("19", "20", "21"))
        return len(text) <= (5 if unit or technical_value else 3)
    if len(groups) == 2:
        return len(groups[0]) <= 4 and len(groups[1]) <= (16 if technical_value else 6)
    return len(groups) <= 4 and all(len(group) <= (4 if technical_value else 2) for group in groups)


def is_single(letter: str) -> bool:
    """Tell whether one letter is a side, a direction, a vertebra and the like."""
    return letter in _SINGLES


def is_written(text: str) -> bool:
    """Tell whether letters may be a word as somebody wrote it: bytes read by another character set are mostly marked letters."""
    marked = 0 if text.isascii() else sum("\x7f" < char < _LAST_LATIN for char in text)
    return 2 * marked <= len(text) or text in "àÀ"


def is_orientation(text: str) -> bool:
    """Tell whether letters are directions of the body, as in PatientOrientation (PS3.3 C.7.6.1.1.1)."""
    return bool(_DIRECTIONS.fullmatch(text))


def is_mixture(text: str, *, technical_value: bool = False) -> bool:
    """Tell whether a token of letters and digits is a measurement or the name of a technique."""
    runs = _RUNS.findall(text)
    if len(runs) == 2 and runs[0][0].isdecimal() and runs[1].lower() in UNITS:
        return is_number(runs[0], technical_value=technical_value, unit=runs[1].lower() in _LONG_UNITS)
    numbers = [run for run in runs if run[0].isdecimal()]
    letters = [run for run in runs if not run[0].isdecimal()]
    if all(run in "xX" for run in letters):
        return len(numbers) <= 4 and all(len(number) <= 5 for number in numbers)
    if len(numbers) > (4 if technical_value else 2):
        return False
    if not all(_is_part(run, technical_value=technical_value) for run in letters):
        return False
    if technical_value:
        return all(is_number(number, technical_value=True) for number in numbers)
    return all(
        is_number(number) and (len(number) < 3 or "." in number or _carries_three(runs, position))
        for position, number in enumerate(runs)
        if number[0].isdecimal()
    )


def camel_parts(text: str) -> list[str]:
    """Return the words of ``SpinalCordLeft``; of anything else, and of what is not ASCII, the text alone."""
    parts = _CAMEL.findall(text) if text.isascii() else []
    return parts if len(parts) > 1 and "".join(parts) == text and not text.islower() else [text]


def _is_part(run: str, *, technical_value: bool) -> bool:
    words = [bare(part) for part in camel_parts(run)]
    if all(word in safe() or word in _AFFIXES or (technical_value and word in technical()) for word in words):
        return True
    return technical_value and len(run) <= _LONGEST_FREE


def _carries_three(runs: list[str], position: int) -> bool:
    """Tell whether the letters before three or four digits are those of a technique; one letter is not enough, but b."""
    before = runs[position - 1].lower() if position else ""
    after = runs[position + 1].lower() if position + 1 < len(runs) else ""
    if before == "i":
        return runs[position] in ("123", "124", "125", "131")
    return before == "b" or len(before) > 1 or after in _LONG_UNITS
