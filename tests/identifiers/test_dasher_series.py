"""A series and its identifiers from DASHER: it waits while the service is away, and goes on with what was answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from main import identity, work
from main.demo import SECRETS, write_study
from main.identifiers.dasher import Provider
from main.models import Image, Series, SeriesIdentifiers
from main.models.imaging import Status
from main.pipeline.take import take_copy
from tests.identifiers.dasher_standin import Dasher

pytestmark = pytest.mark.django_db


@pytest.fixture
def series(provider: Provider, settings: Any, tmp_path: Path) -> Series:
    """A registered series of two images of an invented patient, on a node that asks DASHER."""
    settings.DEIDENTIFY_RESTFUL = True
    settings.DROPS_DIR = tmp_path / "drops"
    settings.DROPS_DIR.mkdir()
    write_study(tmp_path / "study", 2)
    batch = take_copy(tmp_path / "study")
    assert work.work_one("register", batch.pk)
    return Image.objects.filter(batch=batch)[0].series


def test_it_waits_and_says_why_while_the_service_is_away(series: Series, dasher: Dasher) -> None:
    dasher.fault = "500"

    assert work.work_one("identify", series.pk)

    series.refresh_from_db()
    assert (series.stage, series.error_code, series.status) == ("identify", "identifiers-away", Status.NEW)
    assert "500" in series.error
    assert series.due_at is not None

    dasher.fault = ""
    Series.objects.filter(pk=series.pk).update(due_at=timezone.now())
    assert work.work_one("identify", series.pk)
    series.refresh_from_db()
    assert (series.stage, series.error_code, series.status) == ("deidentify", "", Status.PROCESSING)


def test_the_answer_is_kept_whole_and_sealed(series: Series) -> None:
    work.work_one("identify", series.pk)

    known = SeriesIdentifiers.objects.get(series=series)
    kept = json.loads(identity.unseal(known.sealed_response))
    [entity] = kept["results"]
    assert entity["id"] == SECRETS["PatientID"].replace("-", "")
    assert known.values["PatientID"] == entity["suid"]
    assert known.date_shift_days == entity["items"][0]["jitter"]
    assert known.provider == "dasher"
    in_clear = known.sealed_response + json.dumps(known.values)
    assert not [value for value in (entity["id"], SECRETS["AccessionNumber"]) if value in in_clear]


def test_an_answer_that_cannot_be_used_puts_its_images_into_quarantine(series: Series, dasher: Dasher) -> None:
    dasher.fault = "long-item-suid"

    work.work_one("identify", series.pk)

    images = Image.objects.filter(series=series)
    assert {(image.status, image.code) for image in images} == {(Status.QUARANTINED, "identifiers-too-long")}
