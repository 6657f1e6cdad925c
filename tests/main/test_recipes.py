"""The pipeline carries out whole recipes: filters, what is known from the rest of a study, the provider's jitter.

And each study has its certificate.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from deidentify import validity
from deidentify.certificate import Certificate, verify
from main import certificates, work
from main.models import Destination, Image, Release, Series, SeriesIdentifiers
from tests.main.conftest import Node, statuses


def recipe(tmp_path: Path, text: str) -> str:
    """A recipe file."""
    path = tmp_path / "of-the-test.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def two_series(ct: Dataset, folder: Path, **second: Any) -> None:
    """Write `ct`, and another series of its study in which `second` is different."""
    ct.save_as(folder / "1.dcm", enforce_file_format=True)
    other = copy.deepcopy(ct)
    other.SeriesInstanceUID, other.SOPInstanceUID = generate_uid(), generate_uid()
    other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
    for keyword, value in second.items():
        setattr(other, keyword, value)
    other.save_as(folder / "2.dcm", enforce_file_format=True)


def test_what_a_filter_excludes_is_not_sent_and_says_why(node: Node, ct: Dataset, tmp_path: Path) -> None:
    text = (
        "name: a\nprofile: basic\nfilters:\n  - {name: localizers, action: exclude, if: {SeriesDescription: 'LOC*'}}\n"
    )
    Destination.objects.update(recipe=recipe(tmp_path, text))
    batch = node.drop("d", lambda folder: two_series(ct, folder, SeriesDescription="LOCALIZER"))
    assert statuses(batch) == {"SENT": 1, "EXCLUDED": 1}
    excluded = Image.objects.get(status="EXCLUDED")
    assert excluded.code == "excluded"
    assert "localizers" in excluded.sentence
    assert len(node.out()) == 1


def test_an_image_that_one_recipe_excludes_still_goes_to_other_destinations(
    node: Node, ct: Dataset, tmp_path: Path
) -> None:
    text = "name: b\nprofile: basic\nfilters:\n  - {name: no CT, action: exclude, if: {Modality: CT}}\n"
    choosy = recipe(tmp_path, text)
    Destination.objects.create(name="choosy", kind="folder", recipe=choosy, settings={"path": str(tmp_path / "b")})
    batch = node.drop("d", lambda folder: ct.save_as(folder / "1.dcm", enforce_file_format=True))
    assert statuses(batch) == {"SENT": 1}
    assert len(node.out()) == 1
    assert not (tmp_path / "b").exists() or not list((tmp_path / "b").rglob("*.dcm"))


def test_a_name_known_from_one_series_is_cleaned_from_another(node: Node, ct: Dataset) -> None:
    """The second series calls the patient otherwise, and has his name in a description: its header alone does not tell."""
    Destination.objects.update(recipe="research")
    ct.PatientName = "Brain^Axial"
    ct.SeriesDescription = "CT ABDOMEN"
    node.drop(
        "d",
        lambda folder: two_series(ct, folder, PatientName="", SeriesDescription="CT ABDOMEN AXIAL BRAIN"),
    )
    described = {str(dcmread(path).get("SeriesDescription", "")) for path in node.out()}
    assert described == {"CT ABDOMEN"}
    known = SeriesIdentifiers.objects.first()
    assert known is not None
    assert "Brain" not in known.sealed_known


def test_the_jitter_of_the_provider_moves_the_dates(node: Node, ct: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    Destination.objects.update(recipe="research")
    ct.StudyDate, ct.StudyTime = "20200229", "120000"
    from main.identifiers import keyed

    whole = keyed.Provider.identify_many

    def with_jitter(self: Any, requests: Any) -> Any:
        answers = whole(self, requests)
        return [type(answer)(answer.values, -10, answer.response) for answer in answers]

    monkeypatch.setattr(keyed.Provider, "identify_many", with_jitter)
    node.drop("d", lambda folder: ct.save_as(folder / "1.dcm", enforce_file_format=True))
    out = dcmread(node.out()[0])
    assert (out.StudyDate, out.StudyTime) == ("20200219", "120000")
    assert out.LongitudinalTemporalInformationModified == "MODIFIED"


def test_every_study_has_a_certificate_that_holds_and_has_no_value(node: Node, ct: Dataset, tmp_path: Path) -> None:
    ct.PatientName = "Qzvorin^Wkjalda"
    node.drop("d", lambda folder: two_series(ct, folder))
    (certificate,) = certificates.of_study(Series.objects.all()[0])
    assert certificate.is_signed
    assert certificate.content["pixels"] == {"kept": 2}
    assert certificate.content["elements_by_rule"]["E.1-1:U"] > 0
    assert verify(certificate, node.out()).holds
    for text in (certificate.json(), certificate.html()):
        assert "Qzvorin" not in text
        assert ct.StudyInstanceUID not in text
    node.out()[0].write_bytes(b"another")
    assert not verify(certificate, node.out()).holds


@pytest.mark.skipif(not validity.is_there(), reason="dciodvfy (package dicom3tools) is not installed")
@pytest.mark.parametrize("switched_on", [False, True])
def test_a_certificate_says_how_valid_its_outputs_are_where_that_is_measured(
    switched_on: bool, node: Node, ct: Dataset, tmp_path: Path, settings: Any
) -> None:
    settings.SENDIT_VALIDITY = switched_on
    text = "name: v\nprofile: basic\noverrides: {RescaleSlope: remove}\n"
    Destination.objects.update(recipe=recipe(tmp_path, text))
    ct.PatientSex = "QZVORIN"
    node.drop("d", lambda folder: two_series(ct, folder))
    (certificate,) = certificates.of_study(Series.objects.all()[0])
    assert "QZVORIN" not in certificate.json() + certificate.html()
    if not switched_on:
        assert certificate.content["validity"] == "not measured"
        return
    found = certificate.content["validity"]
    assert (found["outputs_measured"], found["outputs_not_measured"]) == (2, 0)
    assert found["errors_gained"] == {"Missing attribute for Type 1 Required: RescaleSlope": 2}
    assert found["errors_lost"]["Unrecognized enumerated value: PatientSex"] == 2


def test_cleaning_up_leaves_the_certificate(node: Node, ct: Dataset, settings: Any) -> None:
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0
    node.drop("d", lambda folder: two_series(ct, folder))
    work.drain(seconds=60)
    assert not Release.objects.exists()
    kept = [Certificate.load(path) for path in settings.CERTIFICATES_DIR.rglob("*.json")]
    assert kept
    assert all(one.is_signed for one in kept)
    assert sorted(uid for one in kept for uid, _ in one.outputs()) == sorted(
        str(dcmread(path).SOPInstanceUID) for path in node.out()
    )


def test_a_study_that_was_renamed_between_two_releases_is_still_certified_and_cleaned_up(
    node: Node, ct: Dataset, settings: Any
) -> None:
    """A release of another project's time lies beside a new one: they are not put into one certificate."""
    node.drop("d", lambda folder: two_series(ct, folder))
    older = Release.objects.order_by("pk")[0]
    Release.objects.filter(pk=older.pk).update(study_instance_uid="2.25.1")
    (certificate,) = certificates.of_study(Series.objects.all()[0])
    assert [uid for uid, _ in certificate.outputs()] == [Release.objects.order_by("pk")[1].sop_instance_uid]
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0
    Series.objects.update(due_at=timezone.now())
    work.drain(seconds=60)
    assert not Release.objects.exists()
