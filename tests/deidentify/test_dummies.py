"""A sequence that becomes a dummy keeps its shape, its numbers and the standard's codes, and nothing that anyone wrote."""

from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from deidentify import Deidentifier, Identifiers
from deidentify.dictionary import TAGS
from tests.deidentify.objects import MINIMAL, Elements, encoded, part10, written


def test_a_structured_report_keeps_measurements_and_standard_codes(
    engine: Deidentifier, identifiers: Identifiers, tmp_path: Path
) -> None:
    source = dcmread(get_testdata_file("test-SR.dcm"))
    engine.file(get_testdata_file("test-SR.dcm"), tmp_path / "target", identifiers)
    target = dcmread(tmp_path / "target")

    def numbers(ds: Dataset) -> list[object]:
        return [
            element.value for element in ds.iterall() if element.keyword in ("NumericValue", "ValueType", "GraphicData")
        ]

    assert numbers(target) == numbers(source)
    assert len(numbers(target)) > 20
    meanings = {element.value for element in target.iterall() if element.keyword == "CodeMeaning"}
    assert "ANONYMIZED" in meanings
    assert "Diagnosis" in meanings
    texts = {element.value for element in target.iterall() if element.keyword == "TextValue"}
    assert texts <= {"ANONYMIZED"}


def test_inside_a_dummy_only_what_cannot_be_written_by_a_person_stays(
    engine: Deidentifier, identifiers: Identifiers, tmp_path: Path
) -> None:
    def code(value: str, scheme: str, meaning: str) -> Elements:
        return {
            TAGS["CodeValue"]: ("SH", value),
            TAGS["CodingSchemeDesignator"]: ("SH", scheme),
            TAGS["CodeMeaning"]: ("LO", meaning),
        }

    content: Elements = {
        TAGS["ValueType"]: ("CS", "NUM"),
        TAGS["RelationshipType"]: ("CS", "by Dr Qzv"),
        TAGS["ConceptNameCodeSequence"]: ("SQ", [code("121401", "DCM", "for Dr Qzv")]),
        TAGS["ConceptCodeSequence"]: ("SQ", [code("Qzv-1", "99QZV", "Dr Qzv")]),
        TAGS["NumericValue"]: ("DS", "12.5"),
        TAGS["KVP"]: ("DS", "Qzv 120"),
        TAGS["TextValue"]: ("UT", "Dr Qzv said"),
        TAGS["Manufacturer"]: ("LO", "Qzv"),
        TAGS["ICCProfile"]: ("OB", b"Qzv"),
        TAGS["ReferencedSOPClassUID"]: ("UI", "1.2.840.10008.5.1.4.1.1.2"),
        TAGS["Rows"]: ("US", b"\1\2"),
        TAGS["TickAlignment"]: ("CS", "QZVORINSKY"),
        TAGS["IOLPower"]: ("FL", b"Qzv Qorinsky Wkj"),
        TAGS["SelectorOFValue"]: ("OF", b"Qzv Qorinsky Wkj"),
        TAGS["PatientOrientation"]: ("CS", "L\\P"),
    }
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded({**MINIMAL, TAGS["ContentSequence"]: ("SQ", [content])})))
    engine.file(source, target, identifiers)
    found = {
        path[2:]: value for path, value in written(target).items() if path[0] == TAGS["ContentSequence"] and path[2:]
    }

    assert b"qzv" not in target.read_bytes().lower()
    assert found[(TAGS["ValueType"],)] == b"NUM "
    assert found[(TAGS["NumericValue"],)] == b"12.5"
    assert found[(TAGS["KVP"],)] == b"0 "
    assert found[(TAGS["Rows"],)] == b"\1\2"
    assert found[(TAGS["TickAlignment"],)] == b"ANONYMIZED"
    assert found[(TAGS["PatientOrientation"],)] == b"L\\P "
    assert (TAGS["IOLPower"],) not in found
    assert found[(TAGS["TextValue"],)] == found[(TAGS["Manufacturer"],)] == b"ANONYMIZED"
    assert (TAGS["ICCProfile"],) not in found
    concept, value = TAGS["ConceptNameCodeSequence"], TAGS["ConceptCodeSequence"]
    assert found[concept, 0, TAGS["CodeValue"]] == b"121401"
    assert found[concept, 0, TAGS["CodeMeaning"]].strip() == b"Derivation"
    assert found[value, 0, TAGS["CodeValue"]] == b"0 "
    assert found[value, 0, TAGS["CodingSchemeDesignator"]] == b"99ANON"


def test_an_encapsulated_document_is_replaced(engine: Deidentifier, identifiers: Identifiers, tmp_path: Path) -> None:
    pdf: Elements = {
        TAGS["EncapsulatedDocument"]: ("OB", b"%PDF-1.4 Qzv " * 100),
        TAGS["DocumentTitle"]: ("ST", "Letter to Qzv"),
    }
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded({**MINIMAL, **pdf})))
    engine.file(source, target, identifiers)
    assert written(target)[(TAGS["EncapsulatedDocument"],)] == bytes(2)
    assert b"Qzv" not in target.read_bytes()


def test_values_of_odd_length_come_out_padded(engine: Deidentifier, identifiers: Identifiers, tmp_path: Path) -> None:
    odd = b"\x08\x00\x60\x00CS\x01\x00C" + b"\x08\x00\x70\x00LO\x05\x00Canon" + b"\xe0\x7f\x10\x00OB\0\0\x03\0\0\0xyz"
    elements = {tag: element for tag, element in MINIMAL.items() if tag >> 16 > 8}
    before = {tag: element for tag, element in MINIMAL.items() if tag >> 16 == 8}
    pixels = odd[-15:]
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded(before) + odd[:-15] + encoded(elements) + pixels))
    engine.file(source, target, identifiers)
    found = written(target)
    assert found[(TAGS["Modality"],)] == b"C "
    assert found[(TAGS["Manufacturer"],)] == b"Canon "
    assert found[(TAGS["PixelData"],)] == b"xyz\0"


def test_values_that_outgrow_their_vr_come_out_as_un(
    engine: Deidentifier, identifiers: Identifiers, tmp_path: Path
) -> None:
    uids = "\\".join(f"1.2.{number}" for number in range(7000))
    long: Elements = {
        TAGS["FailedSOPInstanceUIDList"]: ("UN", uids),
        TAGS["ContentSequence"]: ("SQ", [{TAGS["Rows"]: ("UN", bytes(100_000)), TAGS["KVP"]: ("UN", "1" * 70_000)}]),
        TAGS["ImageType"]: ("UN", "A" * 70_000),
    }
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded({**MINIMAL, **long})))
    engine.file(source, target, identifiers)
    found = written(target)
    assert found[(TAGS["FailedSOPInstanceUIDList"],)].count(b"2.25.") == 7000
    assert len(found[TAGS["ContentSequence"], 0, TAGS["Rows"]]) == 100_000
    dcmread(target)
