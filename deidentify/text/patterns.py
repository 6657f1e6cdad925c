"""What is recognised in a text by its form alone: dates, times, telephone numbers, addresses of every kind, old ages.

Only patterns; a date is handed to the one who knows the shift, and everything else goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from deidentify.dates import Shift, moved
from deidentify.spelling import MONTHS, bare

_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
# Without a year, only what is no other word: "set 2" and "mag 3" are no days.
_CLEAR_MONTH = "|".join(
    sorted(
        (
            month
            for month in MONTHS
            if len(month) > 4 or month in ("jan", "feb", "apr", "aug", "oct", "okt", "nov", "dez")
        ),
        reverse=True,
    )
)
_YEAR = r"(?:1[89]|20)\d\d"
_DAY, _NUMBER = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])"
_BETWEEN = r"(?:[\s,./_'’-]|(?<![^\W_])(?:de|of)(?![^\W_])){0,6}"

# A date in figures alone is none behind a figure and a stroke; one with the name of its month is: "0.625/01 ene 2000".
_ALONE = r"(?<!\d[-/])"
_DATE = re.compile(
    rf"""
    (?<![^\W_])(?<!\d[.:])(?:
      {_ALONE}(?P<y1>{_YEAR})(?P<s1>[-/._])(?P<m1>{_NUMBER})(?P=s1)(?P<d1>{_DAY})(?!\d|(?P=s1)\d)
    | {_ALONE}(?P<d2>{_DAY})(?P<s2>[-/._])(?P<m2>{_NUMBER})(?P=s2)(?P<y2>{_YEAR}|\d\d)(?!\d|(?P=s2)\d)
    | {_ALONE}(?P<m3>{_NUMBER})(?P<s3>[-/._])(?P<d3>{_DAY})(?P=s3)(?P<y3>{_YEAR}|\d\d)(?!\d|(?P=s3)\d)
    | {_ALONE}(?P<y4>{_YEAR})(?P<m4>0[1-9]|1[0-2])(?P<d4>0[1-9]|[12]\d|3[01])(?!\d)
    | (?P<d5>{_DAY})(?:st|nd|rd|th|er|º)?{_BETWEEN}(?P<w5>{_MONTH})(?![^\W\d_])\.?{_BETWEEN}(?P<y5>{_YEAR}|\d\d)(?![^\W_])
    | (?P<w6>{_MONTH})(?![^\W\d_])\.?[\s._-]*(?P<d6>{_DAY})(?:st|nd|rd|th)?(?!\d)[\s,./_'’-]+(?P<y6>{_YEAR})(?!\d)
    | (?P<y7>{_YEAR}){_BETWEEN}(?P<w7>{_MONTH})(?![^\W\d_]){_BETWEEN}(?P<d7>{_DAY})(?!\d)
    | {_ALONE}(?P<y8>{_YEAR})年\s*(?P<m8>{_NUMBER})月\s*(?P<d8>{_DAY})日
    | {_DAY}(?:st|nd|rd|th|er|º)?{_BETWEEN}(?:{_CLEAR_MONTH})(?![^\W\d_])(?:\.?[\s._-]*{_DAY}(?!\d)[\s,./_'’-]+{_YEAR}(?!\d))?
    | (?:{_CLEAR_MONTH})\.?[\s._-]+{_DAY}(?!\d|[.,]\d)
    | (?:{_MONTH})(?![^\W\d_])\.?{_BETWEEN}{_YEAR}(?!\d)
    | {_ALONE}{_NUMBER}[-/._]{_YEAR}(?!\d|[-/._]\d)
    | {_ALONE}{_YEAR}[-/._]{_NUMBER}(?!\d|[-/._]\d) | {_ALONE}{_DAY}\.{_NUMBER}\.(?![\d\w])
    )""",
    re.VERBOSE | re.IGNORECASE,
)

_MODALITY = "CT|MR|US|CR|DX|DR|XA|NM|PT|RF|MG|IV|AP|PA|MM|CM|ML|LT|RT|FS|HU|GY"
# ‹ and › are the start and the end of a word, which an underscore does not continue.
_OTHER = re.compile(
    r"""
    (?<![^{space}])[^{space}]*[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufffd][^{space}]*     # what no character set explains
    | (?:https?|ftp|file|urn|mailto):[^\s"'<>]+ | ‹www\.[^\s"'<>]+                      # addresses of the web
    | (?<![^\s<>"'(),;:=])[^\s<>"'(),;:=]+@[^\s<>"'(),;:]+                                               # of mail
    | \\\\[^\s"'<>]+ | ‹[a-z]:\\[^\s"'<>]+ | (?<![\w/])(?:/[\w.~-]+){3,}              # of files
    | (?<![\w.-])(?:[\w-]+\.)+(?:com|org|net|edu|gov|de|fr|es|nl|uk|ch|eu|local|lan)›        # of computers
    | ‹(?:10|127|169\.254|172\.(?:1[6-9]|2\d|3[01])|192\.168)(?:\.\d{1,3}){2,3}›
    | ‹(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}› | ‹[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}›
    | ‹\d+(?:\.\d+){5,} | ‹(?=[\d.]{16})\d+(?:\.\d+){3,}                             # UIDs
    | ‹(?:[01]?\d|2[0-4]):[0-5]\d(?::[0-6]\d(?:[.,]\d+)?)?(?:\s*(?:[ap]\.?m›\.?|uhr›|h›))?  # times
    | ‹(?:[01]?\d|2[0-4])(?:[.h][0-5]\d)?\s*(?:uhr›|[ap]\.?m›)
    | ‹(?:[01]?\d|2[0-4])h[0-5]\d›
    | (?P<phone>(?<![^\W_])(?<![.,])(?:\(?(?:\+|00)\d[\d\s./()-]{5,20}\d          # telephones
      | \(?0\d{1,5}\)?(?:[ /()-]{1,3}\d{2,8}){1,6}
      | \(\d{3}\)[ -]?\d{3}[ .-]?\d{4} | \d{3}[ .-]\d{3}[ .-]\d{4} | \d{3}[-.]\d{4} | \d{2}(?:[ ]\d{2}){3,})(?!\d|[.,]\d))
    | (?<![^\W_])(?<![.,])\d{2,4}(?:-\d{2,4}){2,}(?!\d) | (?<![^\W_])(?<![.,])\d{1,3}(?:[,'’]\d{3}){2,}(?!\d)  # numbers
    | (?-i:‹[A-Z]{1,2}\d[A-Z\d]?\s\d[ABD-HJLNP-UW-Z]{2}› | ‹\d{4}\s?(?!{modality})[A-Z]{2}›(?=\s+[A-Z][a-z])
      | ‹[A-Z]\d[A-Z]\s?\d[A-Z]\d›)                                                # postcodes
    | ‹(?:9\d|1[0-4]\d)\s*-?\s*(?:y\.?/?o|yrs?|years?|year-old|jahre?|jährige?[rns]?|ans|años|anni|jaar)›   # ages
    | ‹(?:0?9\d|1[0-4]\d)[yj]› | ‹(?:age|aged|alter|âge|edad|età|leeftijd)[\s:=]*(?:9\d|1[0-4]\d)›
    """.replace("‹", r"(?<![^\W_])")
    .replace("›", r"(?![^\W_])")
    .replace("{modality}", _MODALITY)
    .replace("{space}", r"\ \t\r\n\f"),
    re.VERBOSE | re.IGNORECASE,
)
_FEWEST_DIGITS = 7


def found(text: str, births: frozenset[date], shift: Shift | None) -> Iterator[tuple[int, int, str]]:
    """Yield where something stands that has to go, with what takes its place: the moved date, or nothing.

    A date that the shift would move onto a date of birth goes: nobody could tell it from a leak.
    """
    for match in _DATE.finditer(text):
        yield match.start(), match.end(), _shifted(match, births, shift) if shift else ""
    for match in _OTHER.finditer(text):
        if match["phone"] is None or sum(char.isdecimal() for char in match[0]) >= _FEWEST_DIGITS:
            yield match.start(), match.end(), ""


def _shifted(match: re.Match[str], births: frozenset[date], shift: Shift) -> str:
    """Return the date of a match moved, numbers as they were written; nothing for half a date."""
    parts = {key[0]: value for key, value in match.groupdict().items() if value is not None}
    day, year, month = parts.get("d"), parts.get("y"), parts.get("m") or parts.get("w")
    if day is None or year is None or month is None:
        return ""
    number = int(month) if month.isdecimal() else MONTHS.get(month.lower(), 0) or MONTHS.get(bare(month), 0)
    full = int(year) if len(year) == 4 else int(year) + (2000 if int(year) < 50 else 1900)
    new = moved(full, number, int(day), shift.days)
    if new is None or new in births:
        return ""
    if "m" not in parts:
        return f"{new.day} {new:%b} {new.year:04}"
    written = {"y": f"{new.year:04}"[-len(year) :], "m": _number(new.month, month), "d": _number(new.day, day)}
    spans = sorted((match.span(key), key[0]) for key, value in match.groupdict().items() if value and key[0] in written)
    result, last = "", match.start()
    for (start, end), key in spans:
        result += match.string[last:start] + written[key]
        last = end
    return result + match.string[last : match.end()]


def _number(value: int, like: str) -> str:
    return f"{value:02}" if like[0] == "0" or len(like) == 2 else str(value)
