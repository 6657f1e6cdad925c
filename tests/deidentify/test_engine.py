"""What comes out: the same bytes every time, valid, consistent, marked truthfully, with the pixels of the source."""

import hashlib
import subprocess
import warnings
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.config import RAISE
from pydicom.data import get_testdata_file
from pydicom.filereader import read_file_meta_info
from pydicom.valuerep import STR_VR, validate_value

from deidentify import Deidentifier, Identifiers, Recipe, Refused, read_structure
from deidentify.dictionary import TAGS
from deidentify.elements import Encoding
from deidentify.marks import IMPLEMENTATION_CLASS_UID
from tests.deidentify.objects import (
    FILES,
    FOLDER,
    IDENTIFIERS,
    KEY,
    MINIMAL,
    Elements,
    encoded,
    part10,
    structure_or_code,
    written,
)

# Not released, for reasons that stand in the file itself.
WITHOUT_STUDY = {
    "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_jls_lossy_sample.dcm",
}
WITHOUT_CLASS = {
    "UN_sequence.dcm",
    "empty_charset_LEI.dcm",
    "nested_priv_SQ.dcm",
    "no_meta_group_length.dcm",
    "priv_SQ.dcm",
}
WHOLE = [path for path in FILES if not isinstance(structure_or_code(path), str)]
RELEASABLE = [path for path in WHOLE if path.name not in WITHOUT_STUDY | WITHOUT_CLASS and "DICOMDIR" not in path.name]


def read(path: Path) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(path, force=True)


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # of a source
@pytest.mark.parametrize("path", WHOLE, ids=lambda path: str(path.relative_to(FOLDER)))
def test_pydicoms_files_come_out_readable_with_the_same_pixels(
    path: Path, engine: Deidentifier, identifiers: Identifiers, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    if path not in RELEASABLE:
        with pytest.raises(Refused) as refused:
            engine.file(path, target, identifiers)
        assert refused.value.code in ("dicomdir", "no-study", "no-sop-class")
        assert not target.exists()
        return
    released = engine.file(path, target, identifiers)

    assert released.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert released.size == target.stat().st_size
    structure = read_structure(target, [TAGS["SOPInstanceUID"]])
    assert structure.dataset_offset == released.dataset_offset
    assert structure.transfer_syntax_uid == released.transfer_syntax_uid
    before, after = read(path), read(target)
    str(after)
    for tag in (0x7FE00008, 0x7FE00009, 0x7FE00010):
        if tag in before:
            assert after[tag].value == before[tag].value
    assert after.SOPInstanceUID == released.sop_instance_uid == engine.uid(before.SOPInstanceUID)
    assert after.SOPClassUID == released.sop_class_uid == before.SOPClassUID
    assert after.StudyInstanceUID == released.study_instance_uid
    assert after.SeriesInstanceUID == released.series_instance_uid
    assert after.PatientID == IDENTIFIERS["PatientID"]


def invalid(path: Path) -> set[str]:
    """Return the keywords whose values do not fit their VR, at every depth."""
    found = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for element in read(path).iterall():
            values = element.value if element.VM > 1 else [element.value]
            for value in values if element.VR in STR_VR else []:
                try:
                    validate_value(element.VR, str(value) if value is not None else "", RAISE)
                except ValueError:
                    found.add(element.keyword)
    return found


@pytest.mark.parametrize("path", RELEASABLE, ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_value_is_less_valid_than_it_was(
    path: Path, engine: Deidentifier, identifiers: Identifiers, tmp_path: Path
) -> None:
    engine.file(path, tmp_path / "target", identifiers)
    assert invalid(tmp_path / "target") <= invalid(path)


def test_dcmtk_reads_every_output_without_a_complaint(
    engine: Deidentifier, identifiers: Identifiers, tmp_path: Path, dcmdump: str
) -> None:
    for number, path in enumerate(RELEASABLE):
        engine.file(path, tmp_path / f"{number:03}-{path.name}", identifiers)
    dump = subprocess.run(
        [dcmdump, "-q", "+sd", str(tmp_path)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert dump.returncode == 0
    assert dump.stderr == ""


def test_references_still_resolve(engine: Deidentifier, identifiers: Identifiers, tmp_path: Path) -> None:
    referenced, frame = "1.2.826.0.1.3680043.9.5.1", "1.2.826.0.1.3680043.9.5.2"
    item: Elements = {TAGS["ReferencedSOPInstanceUID"]: ("UI", referenced)}
    elements: Elements = {
        TAGS["ReferencedImageSequence"]: ("SQ", [item]),
        TAGS["ReferencedFrameOfReferenceUID"]: ("UI", frame),
        TAGS["FailedSOPInstanceUIDList"]: ("UI", f"{referenced}\\{frame}"),
        TAGS["FrameOfReferenceUID"]: ("UI", "1.2.840.10008.1.4.1.1"),
        TAGS["ReferencedSeriesSequence"]: ("SQ", [{TAGS["ReferencedSOPSequence"]: ("SQ", [item])}]),
    }
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded({**MINIMAL, **elements})))
    engine.file(source, target, identifiers)
    found = {path: value.rstrip(b"\0").decode() for path, value in written(target).items()}
    new = engine.uid(referenced)
    assert found[TAGS["ReferencedImageSequence"], 0, TAGS["ReferencedSOPInstanceUID"]] == new
    assert (
        found[TAGS["ReferencedSeriesSequence"], 0, TAGS["ReferencedSOPSequence"], 0, TAGS["ReferencedSOPInstanceUID"]]
        == new
    )
    assert found[(TAGS["FailedSOPInstanceUIDList"],)] == f"{new}\\{engine.uid(frame)}"
    assert found[(TAGS["FrameOfReferenceUID"],)] == "1.2.840.10008.1.4.1.1", "a well-known frame of reference stays"


def test_uids_are_legal_keyed_and_constant(engine: Deidentifier) -> None:
    assert engine.uid("1.2.3") == "2.25.305042425284221233564006880312635491598"
    assert engine.uid("1.2.3") != Deidentifier(Recipe.load("basic"), KEY[::-1]).uid("1.2.3")
    assert engine.uid("1.2.3\0") == engine.uid("1.2.3")
    new = {engine.uid(f"1.2.{number}") for number in range(1000)}
    assert len(new) == 1000
    assert all(uid.startswith("2.25.") and len(uid) <= 44 and not uid[5:].startswith("0") for uid in new)
    with pytest.raises(Refused, match="16 bytes"):
        Deidentifier(Recipe.load("basic"), b"short")


def test_preamble_and_file_meta_are_made_new(
    engine: Deidentifier, identifiers: Identifiers, ct: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    engine.file(ct, target, identifiers)
    assert target.read_bytes()[:132] == bytes(128) + b"DICM"
    meta = read_file_meta_info(target)
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert {element.keyword for element in meta} == {
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "ImplementationClassUID",
        "ImplementationVersionName",
    }


def test_the_marks_say_what_was_done(engine: Deidentifier, ct: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("name: mine\nprofile: basic\noverrides: {StudyDate: keep}\n")
    keeping = Deidentifier(Recipe.load(recipe), KEY)
    for number, (deidentifier, values, temporal) in enumerate(
        [
            (engine, {"PatientID": "P"}, "REMOVED"),
            (engine, {"PatientID": "P", "StudyDate": "20200101"}, "MODIFIED"),
            (engine, {"PatientID": "P", "PatientBirthDate": "19500101"}, "REMOVED"),
            (keeping, {"PatientID": "P"}, "UNMODIFIED"),
        ]
    ):
        target = tmp_path / str(number)
        deidentifier.file(ct, target, Identifiers(values))
        ds = dcmread(target)
        assert ds.PatientIdentityRemoved == "YES"
        assert ds.LongitudinalTemporalInformationModified == temporal
        assert "2026c" in ds.DeidentificationMethod
        codes = [item.CodeValue for item in ds.get("DeidentificationMethodCodeSequence", [])]
        assert codes == ([] if deidentifier is keeping else ["113100"])


def test_marks_of_an_earlier_deidentification_are_replaced(
    engine: Deidentifier, identifiers: Identifiers, tmp_path: Path
) -> None:
    earlier: Elements = {
        TAGS["PatientIdentityRemoved"]: ("CS", "YES"),
        TAGS["DeidentificationMethod"]: ("LO", "by hand, by Dr Qzv"),
        TAGS["DeidentificationMethodCodeSequence"]: ("SQ", [{TAGS["CodeValue"]: ("SH", "113106")}]),
    }
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded({**MINIMAL, **earlier})))
    engine.file(source, target, identifiers)
    found = written(target)
    assert b"Qzv" not in target.read_bytes()
    assert found[TAGS["DeidentificationMethodCodeSequence"], 0, TAGS["CodeValue"]].strip() == b"113100"


def test_identifiers_are_put_in_where_the_source_has_none(engine: Deidentifier, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded(MINIMAL)))
    engine.file(source, target, Identifiers({**IDENTIFIERS, "PatientName": ""}))
    found = written(target)
    assert found[(TAGS["AccessionNumber"],)] == b"ACC-1 "
    assert found[(TAGS["StudyDate"],)] == b"20200202"
    assert found[(TAGS["PatientName"],)] == b""
    for values in ({}, {"PatientID": ""}, {"PatientID": "  "}, {"AccessionNumber": "A"}):
        target.unlink(missing_ok=True)
        with pytest.raises(Refused) as refused:
            engine.file(source, target, Identifiers(values))
        assert refused.value.code == "no-identifiers"
        assert not target.exists()


def test_a_name_that_the_character_set_cannot_express_is_refused(engine: Deidentifier, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    values = Identifiers({"PatientID": "P", "PatientName": "Grün^Ada"})
    source.write_bytes(part10(encoded(MINIMAL)))
    with pytest.raises(Refused) as refused:
        engine.file(source, target, values)
    assert refused.value.code == "bad-identifier"
    assert "Grün" not in str(refused.value)
    source.write_bytes(part10(encoded({**MINIMAL, TAGS["SpecificCharacterSet"]: ("CS", "ISO_IR 192")})))
    engine.file(source, target, values)
    assert str(dcmread(target).PatientName) == "Grün^Ada"


def test_a_data_set_goes_through_the_same_engine(
    engine: Deidentifier, identifiers: Identifiers, ct: Path, tmp_path: Path
) -> None:
    before = dcmread(ct)
    after = engine.dataset(before, identifiers)
    engine.file(ct, tmp_path / "target", identifiers)
    assert after == dcmread(tmp_path / "target")
    assert before.PatientName == "CompressedSamples^CT1"


def test_recipe_none_passes_bytes_on(ct: Path, tmp_path: Path) -> None:
    engine = Deidentifier(Recipe.load("none"), KEY)
    released = engine.file(ct, tmp_path / "target", Identifiers({}))
    assert (tmp_path / "target").read_bytes() == ct.read_bytes()
    assert not engine.recipe.deidentifies
    assert released.sop_instance_uid == dcmread(ct).SOPInstanceUID == engine.uid(released.sop_instance_uid)
    assert released.actions == {}


def test_an_existing_target_is_never_overwritten(
    engine: Deidentifier, identifiers: Identifiers, ct: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    with pytest.raises(FileExistsError):
        engine.file(ct, target, identifiers)
    assert target.read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["image_dfl.dcm", "ExplVR_BigEnd.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm"]
)
def test_the_transfer_syntax_stays(name: str, engine: Deidentifier, identifiers: Identifiers, tmp_path: Path) -> None:
    source = Path(str(get_testdata_file(name)))
    released = engine.file(source, tmp_path / "target", identifiers)
    assert released.transfer_syntax_uid == dcmread(source).file_meta.TransferSyntaxUID
    assert dcmread(tmp_path / "target").file_meta.TransferSyntaxUID == released.transfer_syntax_uid


def test_duplicate_and_disordered_elements_come_out_once_and_in_order(
    engine: Deidentifier, identifiers: Identifiers, tmp_path: Path
) -> None:
    def one(keyword: str, vr: str, value: str) -> bytes:
        return encoded({TAGS[keyword]: (vr, value)})

    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(
        part10(
            one("Modality", "CS", "MR") + encoded(MINIMAL) + one("Modality", "CS", "CT") + one("Laterality", "CS", "L")
        )
    )
    engine.file(source, target, identifiers)
    tags = [path[0] for path in written(target) if len(path) == 1]
    assert tags == sorted(set(tags))
    assert written(target)[(TAGS["Modality"],)] == b"CT"


def test_un_sequences_are_cleaned_like_any_other(
    engine: Deidentifier, identifiers: Identifiers, tmp_path: Path
) -> None:
    implicit = Encoding(implicit=True, little=True)
    item = encoded(
        {
            TAGS["PatientName"]: ("PN", "Qzv^Wkj"),
            TAGS["ReferencedSOPInstanceUID"]: ("UI", "1.2.826.0.1.9.9.9"),
            TAGS["KVP"]: ("DS", "120 "),
        },
        implicit,
    )
    tag = TAGS["ReferencedSeriesSequence"]
    source, target = tmp_path / "source", tmp_path / "target"
    for undefined in (False, True):
        items = implicit.item([item], undefined=undefined)
        sequence = b"".join(
            piece
            for piece in Encoding(implicit=False, little=True).sequence(tag, b"UN", items, undefined=undefined)
            if isinstance(piece, bytes)
        )
        source.write_bytes(part10(encoded(MINIMAL) + sequence))
        target.unlink(missing_ok=True)
        engine.file(source, target, identifiers)
        output = target.read_bytes()
        assert b"Qzv" not in output
        assert b"1.2.826.0.1.9.9.9" not in output
        assert engine.uid("1.2.826.0.1.9.9.9").encode() in output
        assert b"120 " in output
