"""Reports keep their tree, their measurements and the standard's codes, and lose what tells of whom they speak (E.3.4)."""

from pathlib import Path

import pytest

from deidentify import Deidentifier, Recipe
from deidentify.content import cleaned_code
from deidentify.dictionary import TAGS
from tests.deidentify.objects import KEY, Elements
from tests.deidentify.rewriting import RESEARCH, rewritten

CONTENT, NAME, CODE = TAGS["ContentSequence"], TAGS["ConceptNameCodeSequence"], TAGS["ConceptCodeSequence"]
MEASURED, VALUE, UNITS = TAGS["MeasuredValueSequence"], TAGS["NumericValue"], TAGS["MeasurementUnitsCodeSequence"]


def code(value: str, scheme: str, meaning: str) -> Elements:
    return {
        TAGS["CodeValue"]: ("SH", value),
        TAGS["CodingSchemeDesignator"]: ("SH", scheme),
        TAGS["CodeMeaning"]: ("LO", meaning),
    }


def item(value_type: str, concept: Elements, **values: object) -> Elements:
    elements: Elements = {
        TAGS["RelationshipType"]: ("CS", "CONTAINS"),
        TAGS["ValueType"]: ("CS", value_type),
        NAME: ("SQ", [concept]),
    }
    for keyword, value in values.items():
        elements[TAGS[keyword]] = value  # type: ignore[assignment]  # pairs of VR and value
    return elements


FINDING = code("121071", "DCM", "Finding")
OBSERVER = code("121008", "DCM", "Person Observer Name")
SUBJECT_NAME = code("121029", "DCM", "Subject Name")
SUBJECT_SEX = code("121032", "DCM", "Subject Sex")
SUBJECT_AGE = code("121033", "DCM", "Subject Age")
LENGTH = code("410668003", "SCT", "Length")
MILLIMETER = code("mm", "UCUM", "millimeter")
LOCAL = code("L-77", "99LOCAL", "Seen by Dr Zwock")
MEASUREMENT: Elements = {VALUE: ("DS", "12.5"), UNITS: ("SQ", [MILLIMETER])}

TREE: list[Elements] = [
    item("PNAME", OBSERVER, PersonName=("PN", "Zwock^Anna")),
    item("TEXT", FINDING, TextValue=("UT", "Mass in the left lung, seen by Zwock")),
    item("NUM", LENGTH, MeasuredValueSequence=("SQ", [MEASUREMENT])),
    item("CODE", FINDING, ConceptCodeSequence=("SQ", [code("39607008", "SCT", "Lung")])),
    item("CODE", FINDING, ConceptCodeSequence=("SQ", [LOCAL])),
    item("TEXT", SUBJECT_NAME, TextValue=("UT", "lung")),
    item("NUM", SUBJECT_AGE, MeasuredValueSequence=("SQ", [MEASUREMENT])),
    item("CODE", SUBJECT_SEX, ConceptCodeSequence=("SQ", [code("248152002", "SCT", "Female")])),
    item("DATETIME", code("122181", "DCM", "DateTime Started"), DateTime=("DT", "20200101120000")),
    item("UIDREF", FINDING, UID=("UI", "1.2.826.0.1.3.4.5")),
]
REPORT: Elements = {
    TAGS["PatientName"]: ("PN", "Grunwald^Ottilie"),
    TAGS["ValueType"]: ("CS", "CONTAINER"),
    CONTENT: ("SQ", [{**item("CONTAINER", FINDING), CONTENT: ("SQ", TREE)}]),
}


Found = dict[tuple[int, ...], bytes]


def branch(found: Found, number: int) -> Found:
    """Return the values of one content item of the tree."""
    return {path[4:]: value for path, value in found.items() if path[:4] == (CONTENT, 0, CONTENT, number)}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return rewritten(REPORT, tmp_path_factory.mktemp("report"))


def test_every_item_stays_where_it_is(report: Found) -> None:
    """Items refer to each other by their numbers, so none may go (PS3.3 C.17.3.2.3)."""
    types = [branch(report, number)[(TAGS["ValueType"],)].decode() for number in range(len(TREE))]
    assert types == ["PNAME", "TEXT", "NUM", "CODE", "CODE", "TEXT", "NUM", "CODE", "DATETIME", "UIDREF"]


def test_a_name_is_replaced_and_a_text_cleaned(report: Found) -> None:
    assert branch(report, 0)[(TAGS["PersonName"],)] == b"ANONYMIZED"
    text = branch(report, 1)[(TAGS["TextValue"],)]
    assert b"left lung" in text
    assert b"Zwock" not in text


def test_measurements_and_the_standards_codes_stay(report: Found) -> None:
    assert branch(report, 2)[MEASURED, 0, VALUE] == b"12.5"
    assert branch(report, 2)[MEASURED, 0, UNITS, 0, TAGS["CodeValue"]] == b"mm"
    assert branch(report, 2)[NAME, 0, TAGS["CodeMeaning"]] == b"Length"
    assert branch(report, 3)[CODE, 0, TAGS["CodeValue"]] == b"39607008"
    assert branch(report, 3)[CODE, 0, TAGS["CodeMeaning"]] == b"Lung"


def test_the_text_of_a_local_code_is_cleaned(report: Found) -> None:
    assert b"Zwock" not in branch(report, 4)[CODE, 0, TAGS["CodeMeaning"]]


def test_the_concept_decides_whatever_the_value_says(report: Found) -> None:
    assert branch(report, 5)[(TAGS["TextValue"],)] == b"ANONYMIZED"


def test_age_and_sex_stay_only_with_patient_characteristics(
    report: Found, engine: Deidentifier, tmp_path: Path
) -> None:
    assert branch(report, 6)[MEASURED, 0, VALUE] == b"12.5"
    assert branch(report, 7)[CODE, 0, TAGS["CodeValue"]] == b"248152002"
    recipe = tmp_path / "own.yaml"
    recipe.write_text("name: own\nprofile: basic\noptions: [clean-structured-content]\npixels: keep\n")
    found = rewritten(REPORT, tmp_path, Deidentifier(Recipe.load(recipe), KEY))
    assert branch(found, 6)[(MEASURED,)] == b""
    assert (MEASURED, 0, VALUE) not in branch(found, 6)
    assert branch(found, 7)[CODE, 0, TAGS["CodingSchemeDesignator"]] == b"99ANON"
    assert branch(found, 2)[MEASURED, 0, VALUE] == b"12.5"


def test_dates_move_and_references_resolve(report: Found) -> None:
    moved = branch(report, 8)[(TAGS["DateTime"],)]
    assert len(moved) == 14
    assert moved != b"20200101120000"
    assert branch(report, 9)[(TAGS["UID"],)].decode() == RESEARCH.uid("1.2.826.0.1.3.4.5")


def cleaned(value: bytes, scheme: bytes, meaning: bytes, left: bytes = b"") -> list[bytes]:
    code = {TAGS["CodeValue"]: value, TAGS["CodingSchemeDesignator"]: scheme, TAGS["CodeMeaning"]: meaning}
    return list(cleaned_code(code, lambda tag, raw: left).values())


def test_a_code_of_the_standard_cannot_carry_another_meaning() -> None:
    assert cleaned(b"121071", b"DCM", b"finding") == [b"121071", b"DCM", b"finding"]
    assert cleaned(b"121071", b"DCM", b"Zwock") == [b"121071", b"DCM", b"Finding"]
    assert cleaned(b"121071", b"DCM", b"Zwock finding", b"finding")[2] == b"finding"


def test_a_code_of_a_registered_scheme_has_to_look_like_one() -> None:
    assert cleaned(b"999999991000119", b"SCT", b"Zwock")[:2] == [b"999999991000119", b"SCT"]
    assert cleaned(b"Zwock", b"SCT", b"Zwock") == [b"0", b"99ANON", b"ANONYMIZED"]
    assert cleaned(b"Zwock", b"99ZW", b"Zwock", b"x") == [b"x", b"x", b"x"]
    assert cleaned(b"", b"", b"") == [b"", b"", b""]
