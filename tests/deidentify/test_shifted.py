"""All moments of a patient move by the same time, at every depth; what is no date does not stay (PS3.15 E.3.6)."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deidentify import Deidentifier, Recipe
from deidentify.dictionary import TAGS
from tests.deidentify.objects import KEY, Elements
from tests.deidentify.rewriting import rewritten

PAIRS = [
    ("StudyDate", "StudyTime"),
    ("ContentDate", "ContentTime"),
    ("DateOfSecondaryCapture", "TimeOfSecondaryCapture"),
]
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(microsecond=0))  # noqa: DTZ001  # a DA and a TM have no zone


def moment(date: bytes, time: bytes) -> datetime:
    return datetime.strptime((date + time).decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def written(when: datetime) -> tuple[str, str]:
    return when.strftime("%Y%m%d"), when.strftime("%H%M%S")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moments=st.lists(MOMENTS, min_size=3, max_size=3), start=MOMENTS)
def test_intervals_hold_to_the_second_at_every_depth(moments: list[datetime], start: datetime, tmp_path: Path) -> None:
    elements: Elements = {TAGS["AcquisitionDateTime"]: ("DT", "".join(written(start)))}
    item: Elements = {}
    for (date, time), when in zip(PAIRS, moments, strict=True):
        one, other = written(when)
        elements |= {TAGS[date]: ("DA", one), TAGS[time]: ("TM", other)}
        item |= {TAGS[date]: ("DA", one), TAGS[time]: ("TM", other)}
    elements[TAGS["ReferencedInstanceSequence"]] = ("SQ", [item])
    found = rewritten(elements, tmp_path)
    moved = found[(TAGS["AcquisitionDateTime"],)]
    shift = moment(moved[:8], moved[8:]) - start.replace(tzinfo=UTC)
    assert shift.days < 0
    for (date, time), when in zip(PAIRS, moments, strict=True):
        for place in ((), (TAGS["ReferencedInstanceSequence"], 0)):
            new = moment(found[(*place, TAGS[date])], found[(*place, TAGS[time])])
            assert new - when.replace(tzinfo=UTC) == shift


def test_each_value_of_several_takes_over_what_its_own_time_carried(tmp_path: Path) -> None:
    elements: Elements = {
        TAGS["DateOfLastCalibration"]: ("DA", "20200101\\20200101"),
        TAGS["TimeOfLastCalibration"]: ("TM", "000000\\235959"),
        TAGS["StudyDate"]: ("DA", "20200101"),
        TAGS["StudyTime"]: ("TM", "000000"),
    }
    found = rewritten(elements, tmp_path)
    dates, times = (found[(TAGS[f"{what}OfLastCalibration"],)].split(b"\\") for what in ("Date", "Time"))
    first, second = (moment(date, time) for date, time in zip(dates, times, strict=True))
    assert (second - first).total_seconds() == 86399
    assert moment(found[(TAGS["StudyDate"],)], found[(TAGS["StudyTime"],)]) == first


@pytest.mark.parametrize("value", ["Zwock", "20201350", "20200101\\Zwock", "2020", "0101"])
def test_what_is_no_date_does_not_stay(value: str, tmp_path: Path) -> None:
    elements: Elements = {TAGS["StudyDate"]: ("DA", value), TAGS["SeriesDate"]: ("DA", value)}
    found = rewritten(elements, tmp_path)
    assert found[(TAGS["StudyDate"],)] == b"", "Type 2 of an image"
    assert (TAGS["SeriesDate"],) not in found, "Type 3"


def test_an_age_stays_and_the_birth_date_goes(tmp_path: Path) -> None:
    elements: Elements = {
        TAGS["PatientAge"]: ("AS", "042Y"),
        TAGS["PatientBirthDate"]: ("DA", "19780401"),
        TAGS["StudyDate"]: ("DA", "20200101"),
    }
    found = rewritten(elements, tmp_path)
    assert found[(TAGS["PatientAge"],)] == b"042Y"
    assert found.get((TAGS["PatientBirthDate"],)) != b"19780401"


def test_full_dates_stay_only_where_they_are_dates(tmp_path: Path) -> None:
    recipe = tmp_path / "full.yaml"
    recipe.write_text("name: full\nprofile: basic\noptions: [retain-full-dates]\npixels: keep\n")
    engine = Deidentifier(Recipe.load(recipe), KEY)
    elements: Elements = {
        TAGS["StudyDate"]: ("DA", "20200101"),
        TAGS["StudyTime"]: ("TM", "101112.5"),
        TAGS["SeriesDate"]: ("DA", "Zwock"),
    }
    found = rewritten(elements, tmp_path, engine)
    assert found[(TAGS["StudyDate"],)] == b"20200101"
    assert found[(TAGS["StudyTime"],)] == b"101112.5"
    assert b"Zwock" not in (tmp_path / "target").read_bytes()


def test_the_same_patient_moves_alike_and_another_does_not(tmp_path: Path) -> None:
    def of(patient: str) -> bytes:
        elements: Elements = {TAGS["StudyDate"]: ("DA", "20200101"), TAGS["PatientID"]: ("LO", patient)}
        return rewritten(elements, tmp_path)[(TAGS["StudyDate"],)]

    assert of("A-1") == of("A-1 ") != of("B-2")
