"""What the values of one patient become: texts cleaned, dates and times moved (PS3.15 E.3.5, E.3.6).

It is given a value and returns one; which values it is given, and what is done when nothing of one stays, is
`deidentify.rewrite`. What it returned once it remembers, because the images of a series say the same again and again.
"""

from __future__ import annotations

from typing import TypeVar

from deidentify.charset import decode, encode
from deidentify.dates import Shift
from deidentify.dictionary import TAGS, vr_of
from deidentify.errors import Refused
from deidentify.known import Known
from deidentify.text import TextCleaner

_MOST_REMEMBERED = 1 << 14
_LONGEST_REMEMBERED = 1 << 10
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_SINGLE = frozenset(("LT", "ST", "UT", "UR"))

# What a report and a graphic are built by (PS3.3 C.17.3.2.1, C.17.3.2.4, C.10.5, C.18.6): enumerated words that tell
# nothing of anybody, not even where the patient has one of them for a name.
STRUCTURE = frozenset(
    """TEXT NUM CODE DATE TIME DATETIME UIDREF PNAME COMPOSITE IMAGE WAVEFORM SCOORD SCOORD3D TCOORD CONTAINER TABLE
    SEPARATE CONTINUOUS CONTAINS POINT POLYLINE MULTIPOINT MULTISEGMENT POLYGON CIRCLE ELLIPSE ELLIPSOID INTERPOLATED
    SEGMENT BEGIN END PIXEL DISPLAY""".split()  # noqa: SIM905 - forty strings in brackets are no easier to read
) | {"HAS OBS CONTEXT", "HAS ACQ CONTEXT", "HAS CONCEPT MOD", "HAS PROPERTIES", "INFERRED FROM", "SELECTED FROM"}

# The TM that belongs to a DA of the same item (PS3.3): StudyTime to StudyDate, TimeOfLastCalibration to DateOf...
TIME_OF: dict[int, int] = {
    tag: TAGS[time]
    for keyword, tag in TAGS.items()
    if vr_of(tag) == "DA" and vr_of(TAGS.get(time := keyword.replace("Date", "Time"), 0)) == "TM"
}


class Values:
    """Cleans and moves values of one patient.

    Parameters
    ----------
    cleaner : TextCleaner
        Of the recipe.
    known : Known
        What is known of the patient.
    shift : Shift, optional
        How far the patient's dates move.
    """

    def __init__(self, cleaner: TextCleaner, known: Known, shift: Shift | None) -> None:
        self.known, self.shift = known, shift
        self._cleaner = cleaner
        self._seen: dict[tuple[bytes, bytes, str, bool], bytes] = {}
        self._times: dict[bytes, tuple[bytes, list[int]] | None] = {}
        self._dates: dict[tuple[bytes, tuple[int, ...]], bytes | None] = {}

    def cleaned(self, raw: bytes, character_set: bytes, vr: str, *, technical: bool) -> bytes:
        """Return a text, or several, with nothing left that tells who it is about (PS3.15 E.3.5).

        Parameters
        ----------
        raw : bytes
            Without a change it comes back as it is.
        character_set : bytes
            Raw SpecificCharacterSet, of the value and of the result.
        vr : str
            Tells whether a backslash separates values (PS3.5 6.4).
        technical : bool
            Whether it names devices and methods instead of describing findings.
        """
        key = (raw, character_set, vr, technical)
        found = self._seen.get(key)
        if found is None:
            found = self._cleaned(raw, character_set, vr, technical)
            _remember(self._seen, key, raw, found)
        return found

    def _cleaned(self, raw: bytes, character_set: bytes, vr: str, technical: bool) -> bytes:
        text = decode(raw, character_set)
        parts = [text] if vr in _SINGLE else text.split("\\")
        clean = [
            part.strip()
            if vr == "CS" and part.strip() in STRUCTURE
            else self._cleaner.cleaned(part.strip(), self.known, self.shift, technical=technical)
            for part in parts
        ]
        if clean == [part.strip() for part in parts]:
            return raw
        if not any(clean):
            return b""
        if vr == "CS":
            clean = [part.upper() for part in clean]
        result = "\\".join(clean)
        try:
            return encode(result, character_set)
        except Refused:
            return result.encode("ascii", "ignore")

    def moved_datetime(self, raw: bytes) -> bytes | None:
        """Return a DT moved, all its values; None when one of them cannot be read, or nothing is known to move it by."""
        if self.shift is None:
            return None
        values = [self.shift.datetime(part) for part in raw.split(b"\\")]
        return None if None in values else b"\\".join(value for value in values if value is not None)

    def moved_date(self, raw: bytes, carries: list[int]) -> bytes | None:
        """Return a DA moved, where each of its values also takes over the days that its time carried."""
        key = (raw, tuple(carries))
        if key in self._dates:
            return self._dates[key]
        moved = self._moved_date(raw, carries)
        _remember(self._dates, key, raw, moved)
        return moved

    def _moved_date(self, raw: bytes, carries: list[int]) -> bytes | None:
        if self.shift is None:
            return None
        parts = raw.split(b"\\")
        carries = carries + [0] * (len(parts) - len(carries))
        values = [self.shift.date(part, carry) for part, carry in zip(parts, carries, strict=False)]
        return None if None in values else b"\\".join(value for value in values if value is not None)

    def moved_time(self, raw: bytes) -> tuple[bytes, list[int]] | None:
        """Return a TM moved, and the days that each of its values carried over midnight."""
        if raw in self._times:
            return self._times[raw]
        moved = self._moved_time(raw)
        _remember(self._times, raw, raw, moved)
        return moved

    def _moved_time(self, raw: bytes) -> tuple[bytes, list[int]] | None:
        if self.shift is None:
            return None
        moved = [self.shift.time(part) for part in raw.split(b"\\")]
        values = [one for one in moved if one is not None]
        if len(values) < len(moved):
            return None
        return b"\\".join(value for value, _ in values), [carry for _, carry in values]


def _remember(seen: dict[_Key, _Value], key: _Key, raw: bytes, value: _Value) -> None:
    if len(raw) <= _LONGEST_REMEMBERED:
        if len(seen) >= _MOST_REMEMBERED:
            seen.clear()
        seen[key] = value
