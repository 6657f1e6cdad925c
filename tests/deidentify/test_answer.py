"""Answers to queries, streams and data sets go through the same engine as files."""

import hashlib
import io
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from deidentify import Deidentifier, Identifiers, Refused
from deidentify.dictionary import TAGS
from tests.deidentify.objects import IDENTIFIERS, MINIMAL, encoded, part10
from tests.deidentify.rewriting import RESEARCH


def an_answer() -> Dataset:
    answer = Dataset()
    answer.QueryRetrieveLevel = "STUDY"
    answer.RetrieveAETitle = "ARCHIVE"
    answer.PatientName = "Grunwald^Ottilie"
    answer.PatientID = "77-1"
    answer.StudyInstanceUID = "1.2.826.0.1.3.4"
    answer.StudyDate = "20200101"
    answer.StudyDescription = "CT ABDOMEN OF GRUNWALD"
    answer.ModalitiesInStudy = ["CT", "SR"]
    answer.NumberOfStudyRelatedInstances = 12
    return answer


def test_an_answer_is_cleaned_and_nothing_is_added_to_it(identifiers: Identifiers) -> None:
    before = an_answer()
    after = RESEARCH.answer(before, identifiers)
    assert set(after.keys()) <= set(before.keys())
    assert after.PatientName == IDENTIFIERS["PatientName"]
    assert after.PatientID == IDENTIFIERS["PatientID"]
    assert after.StudyInstanceUID == RESEARCH.uid("1.2.826.0.1.3.4")
    assert after.StudyDescription == "CT ABDOMEN"
    assert after.NumberOfStudyRelatedInstances == 12
    assert after.ModalitiesInStudy == ["CT", "SR"]
    assert before == an_answer()


def test_identifiers_stand_only_where_they_were_asked_for(identifiers: Identifiers) -> None:
    answer = an_answer()
    del answer.PatientName
    answer.ReferencedPatientSequence = [Dataset()]
    answer.ReferencedPatientSequence[0].PatientName = "Grunwald^Ottilie"
    assert "PatientName" not in RESEARCH.answer(answer, identifiers)
    assert "AccessionNumber" not in RESEARCH.answer(answer, identifiers)


def test_dates_move_like_those_of_the_objects(identifiers: Identifiers, tmp_path: Path) -> None:
    source = tmp_path / "source"
    elements = {TAGS["PatientID"]: ("LO", "77-1"), TAGS["SeriesDate"]: ("DA", "20200101")}
    source.write_bytes(part10(encoded({**MINIMAL, **elements})))
    RESEARCH.file(source, tmp_path / "target", Identifiers({"PatientID": "P"}))
    moved = dcmread(tmp_path / "target").SeriesDate
    only_ids = Identifiers({"PatientID": "P"})
    assert RESEARCH.answer(an_answer(), only_ids).StudyDate == moved
    without = an_answer()
    del without.PatientID
    assert RESEARCH.answer(without, only_ids, patient="77-1").StudyDate == moved
    assert not RESEARCH.answer(without, only_ids).get("StudyDate"), "nothing says by how much"


def test_what_else_is_known_of_the_patient_is_cleaned_too(identifiers: Identifiers) -> None:
    answer = an_answer()
    answer.StudyDescription = "CT ABDOMEN WHITE"
    assert RESEARCH.answer(answer, identifiers).StudyDescription == "CT ABDOMEN WHITE"
    more = [("PatientName", "White^Anna")]
    assert RESEARCH.answer(answer, identifiers, more=more).StudyDescription == "CT ABDOMEN"


def test_metadata_comes_without_pixels_and_file_meta(identifiers: Identifiers, ct: Path) -> None:
    metadata = RESEARCH.answer(dcmread(ct), identifiers)
    assert "PixelData" not in metadata
    assert not any(tag.group == 2 for tag in metadata.keys())  # noqa: SIM118  # a Dataset yields elements
    assert metadata.Rows == 128


class Pipe(io.RawIOBase):
    """A stream that can be read once, from its start to its end."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # memoryview is what it is given
        return self._rest.readinto(buffer)


def test_a_stream_comes_out_as_a_file_does(
    engine: Deidentifier, identifiers: Identifiers, ct: Path, tmp_path: Path
) -> None:
    released = engine.file(ct, tmp_path / "target", identifiers)
    expected = (tmp_path / "target").read_bytes()
    with ct.open("rb") as file:
        for source in (file, io.BytesIO(ct.read_bytes()), io.BufferedReader(Pipe(ct.read_bytes()))):
            sink = io.BytesIO()
            assert engine.stream(source, sink, identifiers) == released
            assert sink.getvalue() == expected
    assert released.sha256 == hashlib.sha256(expected).hexdigest()
    with pytest.raises(Refused, match="no bytes"):
        engine.stream(io.BytesIO(), io.BytesIO(), identifiers)


def test_the_mapping_is_given_only_to_who_asks(engine: Deidentifier, identifiers: Identifiers, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(part10(encoded(MINIMAL)))
    mapping: dict[str, str] = {}
    released = engine.file(source, tmp_path / "target", identifiers, mapping=mapping)
    assert mapping == {
        "ORIGINAL-7": IDENTIFIERS["PatientID"],
        "1.2.826.0.1.3680043.9.1.1": released.sop_instance_uid,
        "1.2.826.0.1.3680043.9.1.2": released.study_instance_uid,
        "1.2.826.0.1.3680043.9.1.3": released.series_instance_uid,
    }
    assert "ORIGINAL-7" not in repr(released)
