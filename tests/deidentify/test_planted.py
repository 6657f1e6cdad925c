"""Nothing that was planted anywhere in a real object is in the bytes of its output."""

import io
import warnings
from pathlib import Path

import pytest
from pydicom import dcmwrite

from deidentify import Deidentifier, Identifiers
from tests.deidentify.objects import FILES, FOLDER, structure_or_code
from tests.deidentify.planting import leaked, planted

# An object is left out when it is none, when it is a media directory, or when pydicom cannot write it again.
OBJECTS = [path for path in FILES if not isinstance(structure_or_code(path), str) and "DICOMDIR" not in path.name]


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_marker_is_in_the_output(path: Path, engine: Deidentifier, identifiers: Identifiers, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds, plants, preamble = planted(path, OBJECTS.index(path))
        if not ds.get("SOPClassUID"):
            ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        if not ds.file_meta.get("TransferSyntaxUID"):
            ds.file_meta.TransferSyntaxUID = structure_of(path)
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.preamble = preamble
        buffer = io.BytesIO()
        dcmwrite(buffer, ds, enforce_file_format=True)
    source.write_bytes(buffer.getvalue())
    assert len(leaked(source, plants)) > 0.9 * len(plants.where), "the markers have to be in the source"
    engine.file(source, target, identifiers)
    assert leaked(target, plants) == []


def structure_of(path: Path) -> str:
    structure = structure_or_code(path)
    assert not isinstance(structure, str)
    return structure.transfer_syntax_uid


def test_most_of_pydicoms_files_are_tried() -> None:
    assert len(OBJECTS) > 140


def test_the_search_finds_a_marker_that_is_left(
    engine: Deidentifier, identifiers: Identifiers, ct: Path, tmp_path: Path
) -> None:
    ds, plants, _ = planted(ct, 1)
    ds.Manufacturer = plants.value("LO", "unlisted")
    source, target = tmp_path / "source", tmp_path / "target"
    ds.save_as(source)
    engine.file(source, target, identifiers)
    assert leaked(target, plants) == ["unlisted"]
