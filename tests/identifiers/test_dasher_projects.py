"""DASHER in several projects: a study of its own, and custom fields that are filled from the header."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from main import work
from main.identifiers.dasher import Provider
from main.models import Series, SeriesIdentifiers
from main.projects import Project
from tests.identifiers.conftest import asking
from tests.identifiers.dasher_standin import Dasher
from tests.main.conftest import Node, node  # noqa: F401 - the fixture
from tests.main.projects import Projects, real

PROJECT = Project(
    "trial",
    options={"DASHER_STUDY": "Trial-7"},
    entity_fields=(("site", "Boston"), ("sex", "{PatientSex}"), ("nothing", "{PatientAge}")),
    item_fields=(("what", "{Modality} of {BodyPartExamined}"),),
)
HEADER = {"PatientID": "P1", "AccessionNumber": "A1", "PatientSex": "F", "Modality": "CT", "BodyPartExamined": "HEAD"}


def test_a_project_asks_for_its_study_with_its_custom_fields(provider: Provider, dasher: Dasher) -> None:
    ours = Provider(PROJECT)
    assert ours.keywords == {"PatientSex", "PatientAge", "Modality", "BodyPartExamined"}
    assert ours.check().endswith("/uid/trial-7")

    ours.identify(asking(header=HEADER))

    [entity] = dasher.asked[0]["identifiers"]
    assert entity["custom_fields"] == [{"key": "site", "value": "Boston"}, {"key": "sex", "value": "F"}]
    assert entity["items"][0]["custom_fields"] == [{"key": "what", "value": "CT of HEAD"}]
    assert dasher.complaints == []


def test_without_custom_fields_the_request_has_none(provider: Provider, dasher: Dasher) -> None:
    Provider(replace(PROJECT, entity_fields=(("age", "{PatientAge}"),), item_fields=())).identify(asking(header=HEADER))
    assert "custom_fields" not in str(dasher.asked)


def test_a_patient_with_two_sets_of_custom_fields_is_asked_about_in_two_calls(
    provider: Provider, dasher: Dasher
) -> None:
    requests = [asking(header=HEADER), asking(header=HEADER | {"PatientSex": "O"}, accession_number="A2")]
    first, second = Provider(PROJECT).identify_many(requests)
    assert len(dasher.asked) == 2
    assert first.values["PatientID"] == second.values["PatientID"]  # type: ignore[union-attr]  # both are answers


def test_the_pipeline_reads_what_custom_fields_need(
    provider: Provider,
    dasher: Dasher,
    node: Node,  # noqa: F811 - the fixture
    tmp_path: Path,
    settings: Any,
) -> None:
    projects = Projects(node, tmp_path, settings)
    folder = projects.watched("trial")
    projects.write(
        """
        [trial]
        folders = ["{folder}/trial"]
        identifiers = "dasher"
        dasher_study = "Trial"
        [trial.dasher_custom_fields.entity]
        weight = "{PatientSize} {PatientSex} kg"
        [trial.dasher_custom_fields.item]
        "made by" = "{Manufacturer}"
        """
    )
    values = {"PatientID": "P1", "AccessionNumber": "A1", "PatientBirthDate": "19700101", "PatientSex": "F"}
    projects.drop(folder, real(**values))
    projects.drop(node.inbox, real(**values))
    assert work.drain(seconds=60)
    assert sorted(Series.objects.values_list("project", "status")) == [("default", "SENT"), ("trial", "SENT")]
    [entity] = dasher.asked[0]["identifiers"]
    assert entity["custom_fields"] == [{"key": "weight", "value": "F kg"}]
    assert entity["items"][0]["custom_fields"] == [{"key": "made by", "value": "GE MEDICAL SYSTEMS"}]
    assert len(dasher.asked) == 1, "the default project asks nobody"
    assert set(SeriesIdentifiers.objects.values_list("provider", flat=True)) == {"keyed", "dasher"}


@pytest.mark.parametrize("value", ["{PatientWeigth}", "{PixelData}", "{", "a}b", "{PatientSex"])
def test_a_place_that_nothing_fills_is_refused_at_the_start(tmp_path: Path, settings: Any, value: str) -> None:
    from django.core.exceptions import ImproperlyConfigured

    from main.projects import projects

    file = tmp_path / "projects.toml"
    file.write_text(f'[trial]\ndasher_custom_fields.entity.sex = "{value}"\n')
    settings.SENDIT_PROJECTS = file
    with pytest.raises(ImproperlyConfigured, match="project 'trial': dasher_custom_fields.entity.sex"):
        projects()
