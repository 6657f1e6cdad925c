"""In how many ways a name, a place, a number or a date may be written: pure functions from text to text.

It does not know which attribute a value comes from (`deidentify.known`) or where it is searched (`deidentify.leak`,
`deidentify.text`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import permutations

WORDS = re.compile(r"[^\W_]+")
_EAST_ASIAN = 0x2E80
_SPREAD = {
    "ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae", "œ": "oe", "ß": "ss",
    "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i", "ŋ": "n",
}  # fmt: skip
_BARE = {**_SPREAD, "ø": "o", "å": "a", "ä": "a", "ö": "o", "ü": "u"}
_SPREAD_TABLE, _BARE_TABLE = str.maketrans(_SPREAD), str.maketrans(_BARE)
_GATHERED = re.compile("([aou])e")

MONTHS: dict[str, int] = {
    word: month
    for month, words in enumerate(
        (
            "january jan januar jänner janvier janv enero ene gennaio gen januari",
            "february feb februar februari février fevrier févr fevr febrero febbraio febr",
            "march mar märz maerz mär mrz mars marzo maart mrt",
            "april apr avril avr abril abr aprile",
            "may mai mayo maggio mag mei",
            "june jun juni juin junio giugno giu",
            "july jul juli juillet juil julio luglio lug",
            "august aug août aout agosto ago augustus",
            "september sep sept septembre septiembre setiembre settembre set",
            "october oct oktober okt octobre octubre ottobre ott",
            "november nov novembre noviembre",
            "december dec dezember dez décembre décembre déc diciembre dic dicembre",
        ),
        1,
    )
    for word in words.split()
}


def bare(text: str) -> str:
    """Return `text` in lower case, without marks on its letters: the one form in which words are compared."""
    text = text.lower()
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).lower().translate(_BARE_TABLE))
    return "".join(char for char in text if not unicodedata.combining(char))


def spread(text: str) -> str:
    """Return `text` in lower case as it is written where there are no umlauts: ``ü`` becomes ``ue``."""
    text = text.lower()
    return text if text.isascii() else bare(unicodedata.normalize("NFKC", text).lower().translate(_SPREAD_TABLE))


def unmarked(text: str) -> set[str]:
    """Return every form without marks that `text` may stand for, also ``mueller`` as ``muller``."""
    plain = bare(text)
    return {plain, spread(text), _GATHERED.sub(r"\1", plain)}


def is_alphabetic(value: str) -> bool:
    """Tell whether words of this script have spaces between them: not so for Chinese, Japanese and Korean."""
    return not any(ord(char) >= _EAST_ASIAN for char in value)


def compact(value: str) -> str:
    """Return only the letters and digits of `value`."""
    return "".join(WORDS.findall(value))


def name_parts(group: str) -> list[str]:
    """Return family, given and middle name of one group of a person name (PS3.5 6.2.1), those that are filled."""
    parts = [part.strip() for part in group.split("^")[:3]]
    return [part for part in parts if part]


def orders(parts: Iterable[str]) -> Iterator[str]:
    """Yield every two parts of a name in every order, with what people write between them."""
    for first, second in permutations(parts, 2):
        for between in (" ", ", ", ",", "^", "_", "-", ".", ""):
            yield first + between + second


def date_forms(day: date) -> Iterator[str]:
    """Yield the usual ways to write a date, in lower case; the first is ``yyyymmdd``."""
    year, month, number = f"{day.year:04}", f"{day.month:02}", f"{day.day:02}"
    yield year + month + number
    for between in ("-", ".", "/"):
        for parts in ((year, month, number), (number, month, year), (month, number, year)):
            yield between.join(parts)
    for parts in ((number, month, year), (month, number, year)):
        yield "".join(parts)
        for between in (".", "/"):
            yield between.join(str(int(part)) for part in parts)
    yield f"{number}.{month}.{year[2:]}"
    for word in (word for word, value in MONTHS.items() if value == day.month):
        yield from (
            f"{written}{between}{word}{between}{year}" for written in {number, str(day.day)} for between in " -"
        )
        yield from (f"{day.day}. {word} {year}", f"{word} {day.day}, {year}", f"{word} {day.day} {year}")
        yield f"{number}{word}{year}"
