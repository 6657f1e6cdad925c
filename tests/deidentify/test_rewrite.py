"""What cannot stay goes in the way that its Type asks for, and what hides where nobody looks goes too (PS3.5 6.2, 7.4)."""

from dataclasses import replace
from pathlib import Path

import pytest

from deidentify import Deidentifier, Identifiers, Recipe, Refused
from deidentify.dictionary import TAGS
from tests.deidentify.objects import KEY, MINIMAL, Elements, encoded, part10
from tests.deidentify.rewriting import RESEARCH, rewritten, rewritten_bytes


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("SliceThickness", "DS", "Zwock "),
        ("AcquisitionNumber", "IS", "Zwock "),
        ("SmallestImagePixelValue", "LO", "Zwock "),
        ("RealWorldValueSlope", "FD", "Zwock "),
        ("RedPaletteColorLookupTableData", "OW", "Zwock, Ottilie"),
        ("BodyPartExamined", "CS", "Zwock "),
        ("Manufacturer", "OB", "Zwock "),
        ("PatientSize", "ZZ", "Zwock "),
    ],
)
def test_a_value_that_is_none_of_its_vr_does_not_stay(keyword: str, vr: str, value: str, tmp_path: Path) -> None:
    rewritten({TAGS[keyword]: (vr, value)}, tmp_path)
    assert b"zwock" not in (tmp_path / "target").read_bytes().lower()


def test_what_goes_leaves_what_its_type_asks_for(tmp_path: Path) -> None:
    name = "Zwock"
    elements: Elements = {
        TAGS["Modality"]: ("CS", name),  # Type 1
        TAGS["PositionReferenceIndicator"]: ("LO", name),  # Type 2
        TAGS["SeriesDescription"]: ("LO", name),  # Type 3
    }
    found = rewritten(elements, tmp_path)
    assert found[(TAGS["Modality"],)] == b"ANONYMIZED"
    assert found[(TAGS["PositionReferenceIndicator"],)] == b""
    assert (TAGS["SeriesDescription"],) not in found


def test_values_that_fit_stay_byte_by_byte(tmp_path: Path) -> None:
    elements: Elements = {
        TAGS["SliceThickness"]: ("DS", " 1.50e+0"),
        TAGS["ImagePositionPatient"]: ("DS", r"-1.5\2\+3 "),
        TAGS["RealWorldValueSlope"]: ("FD", b"Smith  ?"),
        TAGS["RedPaletteColorLookupTableData"]: ("OW", bytes(range(64))),
    }
    rewritten(elements, tmp_path)
    assert all(encoded({tag: element}) in (tmp_path / "target").read_bytes() for tag, element in elements.items())


def test_text_is_cleaned_in_the_character_set_of_its_item(tmp_path: Path) -> None:
    tag = TAGS["RequestAttributesSequence"]
    description = TAGS["ScheduledProcedureStepDescription"]
    item: Elements = {
        TAGS["SpecificCharacterSet"]: ("CS", "ISO_IR 192"),
        description: ("LO", "Schädel Zwock".encode()),
    }
    elements: Elements = {
        TAGS["SpecificCharacterSet"]: ("CS", "ISO_IR 100"),
        TAGS["StudyDescription"]: ("LO", "Schädel Zwock".encode("latin-1")),
        tag: ("SQ", [item]),
    }
    found = rewritten(elements, tmp_path)
    assert found[(TAGS["StudyDescription"],)] == "Schädel".encode("latin-1")
    assert found[tag, 0, description] == "Schädel".encode()


def test_pixel_data_inside_of_sequences_goes_where_pixels_have_to_be_looked_at(tmp_path: Path) -> None:
    icon: Elements = {TAGS["Rows"]: ("US", b"\1\0"), 0x7FE00010: ("OW", b"icon")}
    elements: Elements = {TAGS["ReferencedImageSequence"]: ("SQ", [icon]), 0x7FE00010: ("OW", b"picture ")}
    rewritten(elements, tmp_path)
    assert b"icon" in (tmp_path / "target").read_bytes()
    looking = Deidentifier(Recipe.load("research"), KEY)
    with pytest.raises(Refused) as refused:
        rewritten(elements, tmp_path, looking)
    assert refused.value.code == "pixels-undecided"
    recipe = tmp_path / "own.yaml"
    recipe.write_text(
        "name: own\nprofile: basic\npixels:\n  mode: clean\n  rectangles:\n"
        "    - {if: {SOPClassUID: '*'}, columns: 4, rows: 1, boxes: [[0, 0, 1, 1]]}\n"
    )
    picture: Elements = {
        TAGS["ImageType"]: ("CS", "ORIGINAL\\PRIMARY"),
        TAGS["PhotometricInterpretation"]: ("CS", "MONOCHROME2"),
        **{
            TAGS[keyword]: ("US", value.to_bytes(2, "little"))
            for keyword, value in {
                "SamplesPerPixel": 1,
                "Rows": 1,
                "Columns": 4,
                "BitsAllocated": 16,
                "BitsStored": 16,
                "HighBit": 15,
                "PixelRepresentation": 0,
            }.items()
        },
    }
    found = rewritten({**elements, **picture}, tmp_path, Deidentifier(Recipe.load(recipe), KEY))
    assert b"icon" not in (tmp_path / "target").read_bytes()
    assert found[(TAGS["BurnedInAnnotation"],)] == b"NO"


def test_only_pixel_data_may_be_made_of_fragments(tmp_path: Path) -> None:
    fragments = (
        b"\x05\x00\x00\x30OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\x06\0\0\0Zwock " + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    lut = fragments.replace(b"\x05\x00\x00\x30", b"\x28\x00\x01\x12")
    rewritten_bytes(encoded(MINIMAL) + lut, tmp_path)
    assert b"Zwock" not in (tmp_path / "target").read_bytes()


def test_a_filter_of_the_recipe_excludes_by_its_name(tmp_path: Path) -> None:
    recipe = tmp_path / "own.yaml"
    recipe.write_text(
        "name: own\nprofile: basic\npixels: keep\nfilters:\n"
        "  - {name: no reports, if: {Modality: SR}, action: exclude}\n"
        "  - {name: look at these, if: {Modality: US}, action: quarantine}\n"
    )
    engine = Deidentifier(Recipe.load(recipe), KEY)
    with pytest.raises(Refused) as excluded:
        rewritten({TAGS["Modality"]: ("CS", "SR")}, tmp_path, engine)
    assert (excluded.value.code, excluded.value.rule) == ("excluded", "no reports")
    with pytest.raises(Refused, match="look at these") as held:
        rewritten({TAGS["Modality"]: ("CS", "US")}, tmp_path, engine)
    assert held.value.code == "quarantined-by-recipe"
    assert not (tmp_path / "target").exists()
    rewritten({TAGS["Modality"]: ("CS", "CT")}, tmp_path, engine)


def test_a_condition_of_the_recipe_changes_the_rules_of_some_objects(tmp_path: Path) -> None:
    recipe = tmp_path / "own.yaml"
    recipe.write_text(
        "name: own\nprofile: basic\npixels: keep\nwhen:\n  - if: {Modality: MR}\n    overrides: {PatientSex: keep}\n"
    )
    engine = Deidentifier(Recipe.load(recipe), KEY)
    sex: Elements = {TAGS["PatientSex"]: ("CS", "F")}
    assert rewritten({**sex, TAGS["Modality"]: ("CS", "MR")}, tmp_path, engine)[(TAGS["PatientSex"],)] == b"F"
    assert rewritten({**sex, TAGS["Modality"]: ("CS", "CT")}, tmp_path, engine)[(TAGS["PatientSex"],)] == b""


def test_retained_uids_are_those_of_the_output(tmp_path: Path) -> None:
    recipe = replace(RESEARCH.recipe, options=(*RESEARCH.recipe.options, "retain-uids"))
    engine = Deidentifier(recipe, KEY)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded(MINIMAL)))
    released = engine.file(source, target, Identifiers({"PatientID": "P"}))
    assert released.sop_instance_uid == "1.2.826.0.1.3680043.9.1.1" == engine.uid("1.2.826.0.1.3680043.9.1.1")
