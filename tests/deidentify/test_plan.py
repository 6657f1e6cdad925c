"""Who decides about an attribute: overrides, then options, then the profile by the attribute's Type, then what is safe."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary

from deidentify import Recipe
from deidentify.actions import (
    CHARACTER_SET,
    CLEAN,
    DUMMY,
    DUMMY_IF_FILLED,
    EMPTY,
    KEEP,
    REMOVE,
    SHIFT,
    TECHNICAL,
    UID,
    UID_OF_KIND,
)
from deidentify.dictionary import TAGS, vr_of
from deidentify.plan import Kind, Plan
from deidentify.recipe.reader import read
from deidentify.tables import OPTIONS, table_e1_1, table_e3_4_1, table_e3_10_1, technical, types

CT, GSPS, RTPLAN = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.481.5"
ROWS = {int(row.tag, 16): row for row in table_e1_1().rows if row.tag != "private" and "x" not in row.tag}
DATES = {"retain-full-dates", "retain-modified-dates"}
TEXT_VRS = {"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
HEAD = "name: mine\nprofile: basic\n"


def plan(text: str = "", sop_class: str = CT, conditions: tuple[bool, ...] = ()) -> Plan:
    return Plan(read("mine.yaml", HEAD + text), Kind(sop_class, conditions))


def action(of: Plan, keyword: str) -> int:
    return of[TAGS[keyword]].action


@pytest.mark.parametrize("option", [option for option in OPTIONS if option not in DATES | {"retain-safe-private"}])
def test_an_option_does_what_its_column_says_and_nothing_else(option: str) -> None:
    bare, mine = plan(), plan(f"options: [{option}]\n")
    for tag, row in ROWS.items():
        if tag >> 16 < 8:
            continue
        expected = {"K": KEEP, "C": CLEAN, "": bare[tag].action}[row.options.get(option, "")]
        if vr_of(tag) == "OW or OB":  # overlay bitmaps go under every option
            expected = REMOVE
        assert mine[tag].action == expected, row.keyword
    for tag in (TAGS["PatientName"], TAGS["PatientID"]):
        assert mine[tag].action == bare[tag].action


@pytest.mark.parametrize(("option", "expected"), [("retain-full-dates", KEEP), ("retain-modified-dates", SHIFT)])
def test_dates_are_kept_or_shifted_wherever_they_stand(option: str, expected: int) -> None:
    mine = plan(f"options: [{option}]\n")
    temporal = [tag for tag, row in ROWS.items() if vr_of(tag) in ("DA", "DT", "TM") and option in row.options]
    assert len(temporal) > 150
    assert {mine[tag].action for tag in temporal} == {expected}
    assert action(mine, "PatientBirthDate") == EMPTY
    unlisted = [tag for tag, (vr, *_) in DicomDictionary.items() if vr in ("DA", "DT", "TM") and tag not in ROWS]
    assert {mine[tag].action for tag in unlisted if tag >> 16 >= 8} <= {expected, REMOVE}


def test_a_shift_goes_before_what_another_option_keeps() -> None:
    both = plan("options: [retain-modified-dates, retain-device-identity]\n")
    assert action(both, "DateOfLastCalibration") == SHIFT
    assert action(plan("options: [retain-device-identity]\n"), "DateOfLastCalibration") == KEEP
    assert action(both, "CertifiedTimestamp") == REMOVE  # bytes cannot be shifted
    assert action(both, "TimezoneOffsetFromUTC") == TECHNICAL


def test_keeping_goes_before_cleaning() -> None:
    rows = [row for row in ROWS.values() if {"K", "C"} <= set(row.options.values()) and not DATES & row.options.keys()]
    assert rows == []  # apart from dates the table itself is never of two minds
    both = plan("options: [retain-patient-characteristics, clean-descriptors]\n")
    assert action(both, "Allergies") == CLEAN
    assert action(both, "PatientSex") == KEEP


def test_types_decide_between_the_letters() -> None:
    assert types(CT)[TAGS["SeriesDate"]] == {3}
    assert action(plan(), "SeriesDate") == REMOVE
    pet = "1.2.840.10008.5.1.4.1.1.128"
    assert types(pet)[TAGS["SeriesDate"]] == {1, 3}  # of two modules
    assert action(plan(sop_class=pet), "SeriesDate") == DUMMY_IF_FILLED
    assert action(plan(sop_class="1.2.3"), "SeriesDate") == DUMMY_IF_FILLED
    assert action(plan(sop_class=GSPS), "PresentationCreationDate") == DUMMY
    assert action(plan(), "PresentationCreationDate") == REMOVE
    assert (action(plan(), "StudyDate"), plan()[TAGS["StudyDate"]].type) == (EMPTY, 2)
    assert action(plan(sop_class=RTPLAN), "RTPlanDate") == EMPTY
    assert action(plan(), "ReferencedImageSequence") == DUMMY_IF_FILLED  # references stay


@pytest.mark.parametrize("name", ["basic", "research", "minimal"])
def test_no_text_of_the_dictionary_stays_unseen(name: str) -> None:
    """Every attribute with text is removed, replaced or cleaned, unless a row of the table keeps it by an option."""
    recipe = Recipe.load(name)
    mine = Plan(recipe, Kind(CT))
    unseen = []
    for tag, (vr, _, _, _, _) in DicomDictionary.items():
        row = ROWS.get(tag)
        kept_by_option = row is not None and any(row.options.get(option) == "K" for option in recipe.options)
        if TEXT_VRS & set(vr.split(" or ")) and mine[tag].action == KEEP and not kept_by_option:
            unseen.append(tag)
    assert unseen == []


@given(st.integers(0x0008, 0xFFFE), st.integers(0x0001, 0xFFFF))
def test_what_is_in_no_dictionary_goes(group: int, element: int) -> None:
    tag = group << 16 | element
    if vr_of(tag) or tag in ROWS:
        return
    assert plan(f"options: [{', '.join(OPTIONS[1:5])}]\n")[tag].action == REMOVE


def test_technical_attributes_are_attributes_with_text_that_the_table_does_not_name() -> None:
    listed = {row.keyword for row in ROWS.values()}
    for keyword in technical():
        assert keyword not in listed, f"{keyword} has a row in Table E.1-1"
        assert vr_of(TAGS[keyword]) in TEXT_VRS - {"PN", "AE"}, keyword
    mine = plan()
    assert action(mine, "Manufacturer") == action(mine, "ImageType") == TECHNICAL
    assert action(mine, "AcquisitionProtocolName") == action(mine, "SegmentDescription") == CLEAN
    assert action(mine, "KVP") == action(mine, "Rows") == action(mine, "PixelData") == KEEP
    assert action(mine, "SOPClassUID") == UID_OF_KIND
    assert action(mine, "SpecificCharacterSet") == CHARACTER_SET
    assert action(mine, "AnnotationGroupUID") == UID  # D in the table, and a UID all the same


def test_uids_stay_under_their_option() -> None:
    kept = plan("options: [retain-uids]\n")
    assert {action(kept, keyword) for keyword in ("SOPInstanceUID", "FrameOfReferenceUID", "TrackingUID")} == {KEEP}


def test_safe_private_elements_are_those_of_the_table_in_any_block() -> None:
    assert len(table_e3_10_1()) == 479
    mine, basic = plan("options: [retain-safe-private]\n"), plan()
    for tag, creator, vr in table_e3_10_1():
        for block in (0x10, 0x4F):
            number = int(tag.replace("xx", f"{block:02x}"), 16)
            rule, known = mine.private(creator, number)
            assert rule.action in (KEEP, TECHNICAL, UID)
            assert known == (vr or "FD")
            assert mine.private(f"{creator} 2", number)[0].action == REMOVE
            assert basic.private(creator, number)[0].action == REMOVE
    assert mine.private("GEMS_PARM_01", 0x00431027)[0].action == TECHNICAL
    assert mine.private("NQHeader", 0x00991002)[0].action == UID


def test_private_overrides_name_an_element_or_a_creator() -> None:
    mine = plan(
        "overrides:\n  '(0029,xx10) SIEMENS CSA HEADER': keep\n  'private: GEMS_PARM_01': keep\n  VR:LO: keep\n"
    )
    assert mine.private("SIEMENS CSA HEADER", 0x00291110)[0].action == KEEP
    assert mine.private("SIEMENS CSA HEADER", 0x00291111)[0].action == REMOVE
    assert mine.private("GEMS_PARM_01", 0x00431099)[0].action == KEEP
    assert mine.private("OTHER", 0x00431099)[0].action == REMOVE
    assert set(mine.weakened) == {"SIEMENS CSA HEADER", "GEMS_PARM_01", "LO"}


def test_the_narrower_override_wins_and_a_condition_wins_over_none() -> None:
    text = (
        "options: [retain-modified-dates]\noverrides:\n  VR:LO: remove\n  Manufacturer: keep\n  StudyDate: remove\n"
        "when:\n  - if: {Modality: US}\n    overrides: {StudyDate: keep}\n"
    )
    plain, on_us = plan(text, conditions=(False,)), plan(text, conditions=(True,))
    assert action(plain, "Manufacturer") == KEEP
    assert action(plain, "DetectorManufacturerName") == REMOVE
    assert action(plain, "PatientID") == action(plan(), "PatientID")  # fixed: no override by VR is for it
    assert (action(plain, "StudyDate"), action(on_us, "StudyDate")) == (REMOVE, KEEP)
    assert ("StudyDate" in plain.weakened, "StudyDate" in on_us.weakened) == (False, True)
    assert (plain.keeps_dates, on_us.keeps_dates) == (False, True)


@pytest.mark.parametrize(
    ("overrides", "weakens"),
    [
        ("PatientAddress: clean", True),
        ("VR:PN: clean", True),
        ("PatientBirthDate: shift", True),
        ("StudyDate: shift", False),
        ("StudyDescription: clean", False),
        ("ConcatenationUID: replace-uid", False),
        ("KVP: keep", False),
        ("PatientName: empty", False),
    ],
)
def test_an_override_weakens_when_more_stays_than_without_it(overrides: str, weakens: bool) -> None:
    mine = plan(f"options: [retain-modified-dates, clean-descriptors]\noverrides:\n  {overrides}\n")
    assert bool(mine.weakened) == weakens
    assert not mine.keeps_dates


def test_removing_a_vr_leaves_what_a_type_asks_for_and_codes_to_the_profile() -> None:
    mine, bare = plan("overrides: {'VR:LO': remove, 'VR:SH': remove}\n"), plan()
    assert action(mine, "ConvolutionKernel") == REMOVE
    for keyword in ("Manufacturer", "AccessionNumber", "CodeValue", "CodeMeaning"):
        assert mine[TAGS[keyword]] == bare[TAGS[keyword]]


def test_minimal_removes_nothing_that_an_iod_asks_for() -> None:
    for sop_class in (CT, GSPS, RTPLAN, "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.2.1"):
        kinds = types(sop_class)
        for one in Recipe.load("minimal").overrides:
            if one.tag:
                assert min(kinds.get(one.tag, {3})) >= {"remove": 3, "empty": 2}[one.action]


def test_every_concept_of_the_sr_table_has_an_action() -> None:
    assert len(table_e3_4_1()) == 214
    research, full = (
        Plan(Recipe.load("research")),
        plan("options: [retain-full-dates, retain-uids, clean-descriptors]\n"),
    )
    for row in table_e3_4_1():
        found = research.concept(row.scheme, row.value, row.value_type)
        if row.value_type in ("DATE", "TIME", "DATETIME") and row.options:
            assert (found, full.concept(row.scheme, row.value, row.value_type)) == (SHIFT, KEEP)
        elif row.value_type in ("IMAGE", "COMPOSITE", "WAVEFORM", "UIDREF"):
            assert found in (UID, KEEP)
            assert full.concept(row.scheme, row.value, row.value_type) == KEEP
        elif row.options.get("clean-descriptors") and "retain-device-identity" not in row.options:
            assert found == CLEAN
        elif not row.options:
            assert found in (REMOVE, DUMMY, DUMMY_IF_FILLED)
    assert research.concept("DCM", "121022") == REMOVE  # an accession number
    assert research.concept("DCM", "121401") is None


def test_a_document_is_cleaned_where_the_recipe_says_so() -> None:
    assert action(plan(), "EncapsulatedDocument") == DUMMY
    assert action(plan("documents: clean\n"), "EncapsulatedDocument") == CLEAN


def test_the_tables_hold_facts_only() -> None:
    for name in ("e1_1", "e3_4_1", "e3_10_1", "types"):
        text = (Path("deidentify/tables") / f"{name}.json").read_text()
        assert " the " not in text.lower()


def test_a_recipe_is_a_key_of_a_cache() -> None:
    recipe = Recipe.load("research")
    assert recipe == replace(recipe)
    assert hash(recipe) == hash(Recipe.load("research"))
