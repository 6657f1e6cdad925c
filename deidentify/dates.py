"""Dates and times: one keyed shift per patient for DA, TM and DT (PS3.15 E.3.6, PS3.5 6.2).

It only moves a value that it is given; which values are moved is `deidentify.plan`, dates in texts are found by
`deidentify.text`.

Every moment of a patient goes back by the same time: `Shift.days` whole days (never 0), less `Shift.seconds` within the
day. So the interval between any two moments holds to the last digit of their fractions: delays, ages, SUV. What that
needs:

- A DA and the TM that belongs to it are one moment. The time says how many days it carried, and the date takes that
  over. A DA without a TM moves by the whole days alone, so intervals between such dates hold exactly, and between such
  a date and a moment to the day. Seconds are added, never taken away, so nobody is examined before the birth date.
- A TM without a DA holds modulo 24 hours: no more is said by it.
- Moments go back, so no date lies in the future.
- Precision stays: ``HH`` stays ``HH``. Intervals between values of one precision hold exactly, and others to the coarser.
- A UTC offset stays as it is, since what it is added to moves; a shift is no journey.
- PatientBirthDate moves like the rest: the age at every study stays.

The shift follows from key and PatientID alone; nothing is stored, so it is the same in every process and for ever.
"""

from __future__ import annotations

import hmac
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from deidentify.uids import derived

if TYPE_CHECKING:
    from deidentify.recipe import DatePolicy

_DAY, _HOUR, _MINUTE = 86400, 3600, 60
_DATE = re.compile(rb"(\d{4})(\d\d)(\d\d)|(\d{4})\.(\d\d)\.(\d\d)")
_TIME = re.compile(rb"(\d\d)(?:(:?)(\d\d)(?:\2(\d\d)(\.\d{1,6})?)?)?")
_DATETIME = re.compile(rb"(\d{4})(?:(\d\d)(?:(\d\d)(\d\d(?:\d\d(?:\d\d(?:\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?")
_PADDING = b"\0 "


class Shift(NamedTuple):
    """How far the moments of one patient move.

    Attributes
    ----------
    days : int
        Whole days; negative, since moments go back.
    seconds : int
        0 to 86,399, added to that.
    """

    days: int
    seconds: int

    def date(self, raw: bytes, carry: int = 0) -> bytes | None:
        """Return a DA moved, as ``YYYYMMDD``.

        Parameters
        ----------
        raw : bytes
            One value, also in the form of ACR-NEMA (``YYYY.MM.DD``) or a range of a query (``A-B``, ``A-``, ``-B``).
        carry : int
            Days that the time belonging to it carried; see `time`.

        Returns
        -------
        bytes or None
            None when it is no date of the calendar or leaves the years 1 to 9999; empty stays empty.
        """
        raw = raw.strip(_PADDING)
        if not raw:
            return raw
        if b"-" in raw:
            ends = [self.date(end, carry) for end in raw.split(b"-")]
            if len(ends) != 2 or None in ends or not any(ends):
                return None
            return b"-".join(end for end in ends if end is not None)
        found = _DATE.fullmatch(raw)
        if found is None:
            return None
        year, month, day = (int(part) for part in found.groups() if part is not None)
        result = moved(year, month, day, self.days + carry)
        return None if result is None else _written(result)

    def time(self, raw: bytes) -> tuple[bytes, int] | None:
        """Return a TM moved, and the days that this carried its date over midnight (0 or 1).

        Parameters
        ----------
        raw : bytes
            One value: ``HH``, ``HHMM``, ``HHMMSS``, with a fraction of up to six digits, with or without colons.

        Returns
        -------
        (bytes, int) or None
            In the same precision, without colons. None when it is no time; empty stays empty.
        """
        raw = raw.strip(_PADDING)
        if not raw:
            return raw, 0
        found = _TIME.fullmatch(raw)
        if found is None:
            return None
        hour, _, minute, second, fraction = found.groups()
        if int(hour) > 23 or int(minute or 0) > 59 or int(second or 0) > 60:
            return None
        plain = hour + (minute or b"") + (second or b"") + (fraction or b"")
        if not self.seconds:
            return plain, 0
        carry, moment = divmod(int(hour) * _HOUR + int(minute or 0) * _MINUTE + int(second or 0) + self.seconds, _DAY)
        written = b"%02d%02d%02d" % (moment // _HOUR, moment // _MINUTE % _MINUTE, moment % _MINUTE)
        return written[: 2 + len(minute or b"") + len(second or b"")] + (fraction or b""), carry

    def datetime(self, raw: bytes) -> bytes | None:
        """Return a DT moved, with its precision, fraction and UTC offset.

        A year or a month without a day moves to the one in which its middle comes to lie.

        Returns
        -------
        bytes or None
            None when it is no DT or leaves the years 1 to 9999; empty stays empty.
        """
        raw = raw.strip(_PADDING)
        if not raw:
            return raw
        found = _DATETIME.fullmatch(raw)
        if found is None:
            return None
        year, month, day, time, offset = found.groups()
        moved_time, carry = b"", 0
        if time:
            result = self.time(time)
            if result is None:
                return None
            moved_time, carry = result
        middle = (int(month or 7), int(day or (15 if month else 2)))
        moved_date = moved(int(year), *middle, self.days + carry)
        if moved_date is None:
            return None
        precision = 4 + len(month or b"") + len(day or b"")
        return _written(moved_date)[:precision] + moved_time + (offset or b"")


def moved(year: int, month: int, day: int, days: int) -> date | None:
    """Return a date of the calendar moved by `days`, or None when there is no such date before or after."""
    try:
        return date(year, month, day) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None


def keyed_shift(key: bytes, patient: str, policy: DatePolicy) -> Shift:
    """Return the shift of a patient: the same for the same key, PatientID and policy.

    Parameters
    ----------
    key : bytes
        Of the project. Without it the shift cannot be computed or guessed from the PatientID.
    patient : str
        The original PatientID; padding around it does not matter.
    policy : DatePolicy
        Between how many days, and whether times of day move too.
    """
    digest = hmac.digest(derived(key, "dates"), patient.strip("\0 ").encode("utf-8", "surrogateescape"), "sha256")
    least = max(1, policy.least_days)
    span = max(1, policy.most_days - least + 1)
    days = least + int.from_bytes(digest[:8], "big") % span
    seconds = 1 + int.from_bytes(digest[8:16], "big") % (_DAY - 1) if policy.times == "shift" else 0
    return Shift(-days, seconds)


def _written(day: date) -> bytes:
    return b"%04d%02d%02d" % (day.year, day.month, day.day)
