"""The values that an identity provider puts in: checked against their attribute, never shortened to fit.

What is not supplied here follows the recipe; no value is made up in this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from deidentify.dictionary import TAGS, vr_of
from deidentify.errors import Refused

_LENGTHS = {"AE": 16, "AS": 4, "CS": 16, "DA": 8, "DS": 16, "DT": 26, "IS": 12, "LO": 64, "SH": 16, "TM": 14}
_LENGTHS |= {"ST": 1024, "LT": 10240, "PN": 64, "UT": 1 << 20, "UC": 1 << 20}
_MULTILINE = frozenset({"ST", "LT", "UT"})
_FORMS = {
    "AS": re.compile(r"\d{3}[DWMY]"),
    "CS": re.compile(r"[A-Z0-9_ ]+"),
    "DA": re.compile(r"\d{8}"),
    "DS": re.compile(r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)? *"),
    "DT": re.compile(r"\d{4}(\d\d){0,5}(\.\d{1,6})?([+-]\d{4})?"),
    "IS": re.compile(r" *[+-]?\d+ *"),
    "TM": re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"),
}


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Values to put into an object, by DICOM keyword.

    Parameters
    ----------
    values : mapping of str to str
        For example ``PatientID``, ``PatientName``, ``AccessionNumber``, ``PatientBirthDate``, ``StudyDate``. An empty
        string empties the attribute.
    date_shift_days : int, optional
        By how many days the provider wants dates to be moved, where the recipe moves them. Times of day then stay.

    Raises
    ------
    Refused
        ``bad-identifier``, when a keyword is unknown or stands for a UID or a sequence, or when a value does not fit
        its VR (PS3.5 6.2) as it is.
    """

    values: Mapping[str, str] = field(repr=False)
    date_shift_days: int | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for keyword, value in self.values.items():
            _check(keyword, value)

    def elements(self) -> Iterator[tuple[int, str, str]]:
        """Yield tag, VR and value of each."""
        for keyword, value in self.values.items():
            tag = TAGS[keyword]
            yield tag, vr_of(tag), value

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """The values in a form that can be a key of a mapping."""
        return tuple(sorted(self.values.items()))


def _check(keyword: str, value: str) -> None:
    tag = TAGS.get(keyword) if isinstance(keyword, str) else None
    if tag is None or tag >> 16 < 8:
        raise Refused("bad-identifier", "A supplied identifier has a keyword that PS3.6 does not know.")
    vr = vr_of(tag)
    if vr not in _LENGTHS:
        raise Refused(
            "bad-identifier", f"{keyword} ({vr}) cannot be supplied: only text, numbers, dates and times can."
        )
    if not isinstance(value, str):
        raise Refused("bad-identifier", f"The supplied {keyword} is no text.")
    if "\\" in value:
        raise Refused("bad-identifier", f"The supplied {keyword} has a backslash, which separates values in DICOM.")
    if any(ord(char) < 32 or 127 <= ord(char) < 160 for char in value if not (vr in _MULTILINE and char in "\r\n\t\f")):
        raise Refused("bad-identifier", f"The supplied {keyword} has a control character.")
    longest = max((len(group) for group in value.split("=")), default=0) if vr == "PN" else len(value)
    if longest > _LENGTHS[vr]:
        raise Refused(
            "bad-identifier", f"The supplied {keyword} has {longest} characters; VR {vr} holds {_LENGTHS[vr]}."
        )
    if vr == "PN" and (value.count("=") > 2 or any(group.count("^") > 4 for group in value.split("="))):
        raise Refused("bad-identifier", f"The supplied {keyword} has more parts than a person name can have.")
    form = _FORMS.get(vr)
    if value and form and not form.fullmatch(value):
        raise Refused("bad-identifier", f"The supplied {keyword} is not written as VR {vr} asks.")
    if value and vr == "DA" and not _is_date(value):
        raise Refused("bad-identifier", f"The supplied {keyword} is not a date of the calendar.")


def _is_date(value: str) -> bool:
    try:
        date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return False
    return True
