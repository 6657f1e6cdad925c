"""A file that goes through the node and the same file through `python -m deidentify` become the same bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from django.conf import settings
from pydicom import dcmread
from pydicom.data import get_testdata_file

from main import identity
from main.models import Destination
from tests.deidentify.command import finished
from tests.main.conftest import Node

FILES = ("CT_small.dcm", "MR_small.dcm", "MR_small_jp2klossless.dcm", "rtplan.dcm", "reportsi.dcm", "test-SR.dcm")


def files_of_patients(folder: Path) -> None:
    """Files of many kinds, of patients with and without an issuer of their ids, each study with an accession number."""
    for number, name in enumerate(FILES):
        ds = dcmread(get_testdata_file(name))
        ds.PatientID, ds.PatientName = f"4711-{number % 3}", f"Quinby^Zoe{number % 3}"
        ds.AccessionNumber = f"ACC{number % 3}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.4.{number % 3}", f"1.2.5.{number}"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        if number % 3 == 1:
            ds.IssuerOfPatientID = "WEST"
        if "ImageType" in ds:
            ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        ds.save_as(folder / name, enforce_file_format=True)


def hashes(folder: Path) -> set[str]:
    """The hashes of all DICOM files below a folder."""
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.dcm")}


@pytest.mark.parametrize("recipe", ["basic", "research", "minimal"])
def test_the_node_and_the_command_make_the_same_bytes(node: Node, tmp_path: Path, recipe: str) -> None:
    Destination.objects.update(recipe=recipe)
    node.drop("studies", files_of_patients)
    source, key = tmp_path / "source", tmp_path / "node.key"
    source.mkdir()
    files_of_patients(source)
    key.write_text(identity.keyring().pseudonym.hex())
    key.chmod(0o600)
    options = ("--recipe", recipe, "--key-file", key, "--project", settings.SENDIT_PROJECT, "--by-issuer")
    finished(source, tmp_path / "by-command", *options, "--workers", 1)
    by_node, by_command = hashes(node.outbox), hashes(tmp_path / "by-command")
    assert len(by_node) == len(FILES)
    assert by_node == by_command
