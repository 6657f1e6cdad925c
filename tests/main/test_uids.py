"""UIDs of a node: below the root that it is given, and back to their originals through the vault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from main import certificates, vault
from main.models import Destination, Series
from main.pipeline.release import deidentifier
from tests.main.conftest import Node

ROOT = "1.2.826.0.1.3680043.10.9999"


@pytest.fixture
def rooted(settings: Any) -> None:
    settings.SENDIT_UID_ROOT = ROOT


def study(ct: Dataset, folder: Path, images: int = 3) -> None:
    ct.StudyInstanceUID, ct.SeriesInstanceUID = generate_uid(), generate_uid()
    for number in range(images):
        ct.SOPInstanceUID = generate_uid()
        ct.save_as(folder / f"{number}.dcm")


@pytest.mark.parametrize("recipe", ["basic", "research", "uids-stay"])
def test_released_uids_lead_back_to_their_originals(node: Node, ct: Dataset, tmp_path: Path, recipe: str) -> None:
    if recipe == "uids-stay":
        recipe = str(tmp_path / "uids-stay.yaml")
        Path(recipe).write_text("name: uids-stay\nprofile: basic\noptions: [retain-uids]\n")
    Destination.objects.update(recipe=recipe)
    batch = node.drop("d", lambda folder: study(ct, folder))
    released = [dcmread(path) for path in node.out()]
    originals = {str(dcmread(path).SOPInstanceUID) for path in batch.folder.rglob("*.dcm")}
    found = {vault.original_instance(one.SeriesInstanceUID, one.SOPInstanceUID) for one in released}
    assert found == originals
    assert vault.original_study(released[0].StudyInstanceUID) == ct.StudyInstanceUID
    assert vault.original_series(released[0].SeriesInstanceUID) == ct.SeriesInstanceUID
    assert vault.original_study("1.2.3") is vault.original_series("1.2.3") is None
    assert vault.original_instance("1.2.3", "1.2.3") is None
    assert vault.original_instance(released[0].SeriesInstanceUID, "1.2.3") is None


def test_a_node_releases_below_its_root(node: Node, ct: Dataset, rooted: None) -> None:
    node.drop("d", lambda folder: study(ct, folder))
    for one in map(dcmread, node.out()):
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
            assert one[keyword].value.startswith(f"{ROOT}.")
        assert vault.original_study(one.StudyInstanceUID) == ct.StudyInstanceUID
    [certificate] = certificates.of_study(Series.objects.get())
    assert certificate.content["recipe"]["sha256"] == deidentifier("basic", "default").recipe.hash
