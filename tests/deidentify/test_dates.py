"""Dates and times of a patient move together, for ever by the same, and every interval between them stays."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidentify.dates import Shift, keyed_shift
from deidentify.recipe.policies import DatePolicy
from tests.deidentify.objects import KEY

POLICY = DatePolicy(mode="shift")
EARLIER = Shift(-1243, 81702)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
SHIFTS = st.text(max_size=20).map(lambda patient: keyed_shift(KEY, patient, POLICY))


def pair(moment: datetime) -> tuple[bytes, bytes]:
    return moment.strftime("%Y%m%d").encode(), moment.strftime("%H%M%S.%f").encode()


def moved_pair(shift: Shift, moment: datetime) -> datetime:
    """Return where a DA and its TM come to lie."""
    day, time = pair(moment)
    moved = shift.time(time)
    assert moved is not None
    moved_time, carry = moved
    moved_day = shift.date(day, carry)
    assert moved_day is not None
    return datetime.strptime((moved_day + moved_time).decode(), "%Y%m%d%H%M%S.%f")


@given(MOMENTS, MOMENTS, SHIFTS)
def test_the_interval_between_any_two_moments_holds(first: datetime, second: datetime, shift: Shift) -> None:
    assert moved_pair(shift, second) - moved_pair(shift, first) == second - first


@given(MOMENTS, SHIFTS, st.sampled_from(["", "+0100", "-0500", "+1400"]))
def test_a_datetime_moves_like_the_date_and_the_time_of_the_same_moment(
    moment: datetime, shift: Shift, offset: str
) -> None:
    day, time = pair(moment)
    moved = shift.datetime(day + time + offset.encode())
    assert moved is not None
    assert moved == moved_pair(shift, moment).strftime("%Y%m%d%H%M%S.%f").encode() + offset.encode()


@given(MOMENTS, MOMENTS, SHIFTS)
def test_dates_without_a_time_keep_their_intervals_and_nobody_is_examined_before_birth(
    birth: datetime, examined: datetime, shift: Shift
) -> None:
    birth, examined = sorted((birth, examined))
    days = [datetime.strptime((shift.date(pair(moment)[0]) or b"").decode(), "%Y%m%d") for moment in (birth, examined)]
    assert days[1] - days[0] == timedelta(days=examined.toordinal() - birth.toordinal())
    assert moved_pair(shift, examined) >= days[0]


@given(MOMENTS, SHIFTS)
def test_a_moment_never_stays_and_goes_back(moment: datetime, shift: Shift) -> None:
    assert moved_pair(shift, moment) < moment
    assert shift.date(pair(moment)[0]) != pair(moment)[0]


@given(st.text(max_size=64), st.integers(1, 400), st.integers(0, 4000))
def test_the_shift_of_a_patient_lies_within_the_policy_and_is_always_the_same(
    patient: str, least: int, span: int
) -> None:
    policy = DatePolicy("shift", least, least + span)
    shift = keyed_shift(KEY, patient, policy)
    assert least <= -shift.days <= least + span
    assert 0 < shift.seconds < 86400
    assert shift == keyed_shift(KEY, f" {patient} \0", policy) == keyed_shift(KEY, patient, policy)
    assert keyed_shift(KEY, patient, DatePolicy("shift", least, least + span, "keep")) == (shift.days, 0)


def test_the_shift_is_the_one_that_earlier_versions_gave() -> None:
    assert keyed_shift(KEY, "HN-448812", POLICY) == EARLIER
    assert len({keyed_shift(KEY, str(number), POLICY) for number in range(200)}) == 200
    assert keyed_shift(KEY[::-1], "HN-448812", POLICY) != EARLIER


@given(st.sampled_from(["%H", "%H%M", "%H%M%S", "%H%M%S.%f"]), MOMENTS, MOMENTS, SHIFTS)
def test_a_time_alone_keeps_its_precision_and_its_intervals_within_a_day(
    form: str, first: datetime, second: datetime, shift: Shift
) -> None:
    moved = []
    for moment in (first, second):
        result = shift.time(moment.strftime(form).encode())
        assert result is not None
        assert len(result[0]) == len(moment.strftime(form))
        moved.append(datetime.strptime(result[0].decode(), form))
    written = [datetime.strptime(moment.strftime(form), form) for moment in (first, second)]
    assert (moved[1] - moved[0] - (written[1] - written[0])) % timedelta(days=1) == timedelta()


SHIFT = Shift(-10, 20 * 3600)


@pytest.mark.parametrize(("value", "moved"), [
    ("20200105", "20191226"),
    ("2020.01.05", "20191226"),
    ("20200105 ", "20191226"),
    ("", ""),
    ("20200101-20200131", "20191222-20200121"),
    ("20200101-", "20191222-"),
    ("-20200131", "-20200121"),
    ("-", None),
    ("20200230", None),
    ("00010105", None),
    ("19", None),
    ("202001", None),
    ("2020-01-05", None),
    ("today", None),
])  # fmt: skip
def test_forms_of_dates(value: str, moved: str | None) -> None:
    assert SHIFT.date(value.encode()) == (None if moved is None else moved.encode())


@pytest.mark.parametrize(("value", "moved"), [
    ("10", ("06", 1)),
    ("1015", ("0615", 1)),
    ("101530", ("061530", 1)),
    ("10:15:30", ("061530", 1)),
    ("10:15", ("0615", 1)),
    ("10:15:30.5", ("061530.5", 1)),
    ("035959.999999 ", ("235959.999999", 0)),
    ("235960", ("200000", 1)),
    ("", ("", 0)),
    ("24", None),
    ("1060", None),
    ("101", None),
    ("10:1530", None),
    ("noon", None),
])  # fmt: skip
def test_forms_of_times(value: str, moved: tuple[str, int] | None) -> None:
    assert SHIFT.time(value.encode()) == (None if moved is None else (moved[0].encode(), moved[1]))
    if moved:
        assert Shift(-10, 0).time(value.encode()) == (value.replace(":", "").strip().encode(), 0)


@pytest.mark.parametrize(("value", "moved"), [
    ("2020", "2020"),
    ("202001", "202001"),
    ("20200105", "20191226"),
    ("2020010523", "2019122719"),
    ("202001050000", "201912262000"),
    ("20200105101530.25+0100", "20191227061530.25+0100"),
    ("2020-0500", "2020-0500"),
    ("", ""),
    ("20200105101530.1234567", None),
    ("20201305", None),
    ("20200105250000", None),
    ("2020-01-05", None),
])  # fmt: skip
def test_forms_of_datetimes(value: str, moved: str | None) -> None:
    assert SHIFT.datetime(value.encode()) == (None if moved is None else moved.encode())
