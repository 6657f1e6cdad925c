"""An output says of itself what was really done to it, and no more."""

import io

import pytest
from pydicom import Dataset, dcmread

from deidentify import Recipe
from deidentify.dictionary import TAGS
from deidentify.elements import Encoding, Piece
from deidentify.marks import EQUIPMENT, METHODS, Done, file_meta, marks
from deidentify.plan import Kind, Plan
from deidentify.recipe.reader import read
from deidentify.tables import CLEAN_PIXELS, OPTIONS
from tests.deidentify.objects import CT_IMAGE

ENCODINGS = [
    Encoding(implicit=False, little=True),
    Encoding(implicit=True, little=True),
    Encoding(implicit=False, little=False),
]
TRANSFER_SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"]


def plan(text: str = "", conditions: tuple[bool, ...] = ()) -> Plan:
    return Plan(read("mine.yaml", f"name: mine\nprofile: basic\n{text}"), Kind(CT_IMAGE, conditions))


def marked(done: Done, place: int = 0, equipment: list[Piece] | None = None) -> Dataset:
    """The marks as a reader sees them."""
    found = marks(done, ENCODINGS[place], equipment)
    body = b"".join(
        bytes(piece)  # type: ignore[arg-type]  # no stretches here
        for _, part in sorted(found.items())
        for piece in ([part] if isinstance(part, bytes) else part)
    )
    return dcmread(io.BytesIO(file_meta(CT_IMAGE, "1.2.3", TRANSFER_SYNTAXES[place]) + body))


def codes(ds: Dataset) -> list[str]:
    return [item.CodeValue for item in ds.get("DeidentificationMethodCodeSequence", [])]


@pytest.mark.parametrize("place", [0, 1, 2], ids=["explicit", "implicit", "big-endian"])
def test_the_marks_of_research_in_every_encoding(place: int) -> None:
    done = Done(Plan(Recipe.load("research"), Kind(CT_IMAGE)), ["PatientID"], pixels_cleaned=True)
    ds = marked(done, place)
    assert ds.PatientIdentityRemoved == "YES"
    assert ds.DeidentificationMethod == "sendit research; PS3.15 2026c"
    assert ds.LongitudinalTemporalInformationModified == "MODIFIED"
    assert ds.BurnedInAnnotation == "NO"
    assert "RecognizableVisualFeatures" not in ds
    expected = ["113100", "113101", "113103", "113104", "113105", "113107", "113108", "113109", "113111"]
    assert codes(ds) == expected
    item = ds.ContributingEquipmentSequence[0]
    assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "109104"
    assert (item.Manufacturer, item.ManufacturerModelName) == ("sendit", "sendit")
    assert not {"StationName", "InstitutionName", "ContributionDateTime"} & set(item.dir())


def test_pixels_are_claimed_only_when_they_were_searched() -> None:
    ds = marked(Done(plan(f"options: [{CLEAN_PIXELS}]\n")))
    assert codes(ds) == ["113100"]
    assert "BurnedInAnnotation" not in ds
    assert codes(marked(Done(plan(), pixels_cleaned=True))) == ["113100", "113101"]


def test_every_option_has_its_code() -> None:
    assert set(METHODS) == {"basic", CLEAN_PIXELS, *OPTIONS}
    assert len({value for value, _ in METHODS.values()}) == len(METHODS)


@pytest.mark.parametrize(
    ("overrides", "claims"),
    [
        ("overrides: {PatientName: keep}\n", False),
        ("overrides: {'VR:PN': keep}\n", False),
        ("overrides: {'private: ACME': keep}\n", False),
        ("overrides: {Rows: keep, StudyDescription: remove, StudyDate: replace-dummy}\n", True),
    ],
)
def test_an_override_that_keeps_what_the_profile_removes_ends_the_claim(overrides: str, claims: bool) -> None:
    ds = marked(Done(plan(overrides)))
    assert bool(codes(ds)) == claims
    assert "overrides" in ds.DeidentificationMethod
    assert ds.PatientIdentityRemoved == "YES"


def test_a_conditional_override_ends_the_claim_only_where_it_holds() -> None:
    text = "when:\n  - if: {Modality: US}\n    overrides: {StudyDate: keep}\n"
    assert codes(marked(Done(plan(text, (False,))))) == ["113100"]
    held = marked(Done(plan(text, (True,))))
    assert codes(held) == []
    assert held.LongitudinalTemporalInformationModified == "UNMODIFIED"


@pytest.mark.parametrize(
    ("options", "supplied", "expected"),
    [
        ("", ["PatientID", "PatientBirthDate"], "REMOVED"),
        ("", ["PatientID", "StudyDate"], "MODIFIED"),
        ("options: [retain-modified-dates]\n", [], "MODIFIED"),
        ("options: [retain-full-dates]\n", ["StudyDate"], "UNMODIFIED"),
        ("overrides: {'VR:DA': keep}\n", [], "UNMODIFIED"),
    ],
)
def test_what_is_said_of_dates_is_true_of_the_one_that_changed_least(
    options: str, supplied: list[str], expected: str
) -> None:
    assert marked(Done(plan(options), supplied)).LongitudinalTemporalInformationModified == expected


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("place", [0, 1, 2], ids=["explicit", "implicit", "big-endian"])
def test_equipment_that_is_there_already_stays_first(place: int, undefined: bool) -> None:
    encoding = ENCODINGS[place]
    item = encoding.item([encoding.element(TAGS["Manufacturer"], b"LO", b"Maker ")], undefined=undefined)
    before = encoding.sequence(EQUIPMENT, b"SQ", item, undefined=undefined)
    ds = marked(Done(plan()), place, before)
    assert [one.Manufacturer for one in ds.ContributingEquipmentSequence] == ["Maker", "sendit"]


def test_equipment_that_is_written_as_unknown_is_appended_to_in_implicit_vr() -> None:
    implicit = ENCODINGS[1]
    inside = implicit.item([implicit.element(TAGS["Manufacturer"], b"LO", b"Maker ")], undefined=False)
    before = ENCODINGS[0].sequence(EQUIPMENT, b"UN", inside, undefined=False)
    ds = marked(Done(plan()), 0, before)
    assert [one.Manufacturer for one in ds.ContributingEquipmentSequence] == ["Maker", "sendit"]


def test_the_marks_of_two_runs_are_the_same_bytes() -> None:
    assert marks(Done(plan()), ENCODINGS[0]) == marks(Done(plan()), ENCODINGS[0])
