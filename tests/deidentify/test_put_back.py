"""Values of a table are put into elements that an object has; everything else of it stays as it is, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from deidentify import Refused, put_back
from tests.deidentify.test_engine import RELEASABLE

VALUES = {"PatientName": "DOE^JANE", "PatientID": "0042", "PatientAddress": "not there", "PatientBirthDate": "19010203"}


@pytest.mark.parametrize("path", RELEASABLE, ids=lambda path: path.name)
def test_only_what_is_there_is_replaced(tmp_path: Path, path: Path) -> None:
    before = dcmread(path, force=True)
    changed = put_back(path, VALUES, tmp_path / "out")
    assert set(changed) == {keyword for keyword in VALUES if keyword in before}
    after = dcmread(tmp_path / "out")
    for keyword in changed:
        assert str(after[keyword].value) == VALUES[keyword]
        assert after[keyword].VR == before[keyword].VR
        after[keyword] = before[keyword]
    assert after == before


def test_with_the_same_values_the_file_stays_as_it_is(tmp_path: Path) -> None:
    path = Path(str(get_testdata_file("CT_small.dcm")))
    ds = dcmread(path)
    assert put_back(path, {"PatientID": ds.PatientID}, tmp_path / "out") == ("PatientID",)
    assert (tmp_path / "out").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_bare_data_set_becomes_a_file(tmp_path: Path, syntax: str) -> None:
    ds = dcmread(str(get_testdata_file("CT_small.dcm")))
    del ds.file_meta
    ds.preamble = None
    implicit = syntax == ImplicitVRLittleEndian
    dcmwrite(tmp_path / "bare", ds, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    put_back(tmp_path / "bare", {"PatientID": "0042"}, tmp_path / "out")
    after = dcmread(tmp_path / "out")
    assert after.PatientID == "0042"
    assert after.file_meta.TransferSyntaxUID == syntax
    assert after.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert after.PixelData == ds.PixelData


def test_values_are_written_in_the_objects_character_set(tmp_path: Path) -> None:
    path = str(get_testdata_file("CT_small.dcm"))
    ds = dcmread(path)
    ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 100", "sub-001"
    ds.save_as(tmp_path / "in")
    put_back(tmp_path / "in", {"PatientName": "MÜLLER^JÖRG"}, tmp_path / "out")
    assert dcmread(tmp_path / "out").PatientName == "MÜLLER^JÖRG"
    with pytest.raises(Refused):
        put_back(tmp_path / "in", {"PatientName": "山田^太郎"}, tmp_path / "out2")
    assert not (tmp_path / "out2").exists()
