"""Which pixels are kept, searched or refused: from the header, failing closed, whatever BurnedInAnnotation says."""

import subprocess
import sys
from dataclasses import replace

import pytest

from deidentify.dictionary import TAGS
from deidentify.pixels import BLANK, KEEP, REFUSE, SEARCH, Box, PixelFacts, decide
from deidentify.recipe.conditions import Condition
from deidentify.recipe.policies import PixelPolicy, Rectangles
from tests.deidentify.objects import FOLDER
from tests.deidentify.pictures import pixels_of

STORAGE = "1.2.840.10008.5.1.4.1.1."
CLEAN = PixelPolicy(mode="clean")
SLICE = PixelFacts(
    f"{STORAGE}2",
    "1.2.840.10008.1.2.1",
    modality="CT",
    image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    rows=512,
    columns=512,
    photometric="MONOCHROME2",
    allocated=16,
    stored=12,
    high_bit=11,
)


@pytest.mark.parametrize("kind", ["2", "2.1", "4", "4.1", "20", "128", "130"])
def test_an_original_slice_of_a_scanner_is_kept(kind: str) -> None:
    assert decide(replace(SLICE, sop_class=STORAGE + kind), CLEAN).kind == KEEP


@pytest.mark.parametrize(
    "kind",
    ["1", "1.1", "1.2", "3.1", "6.1", "7", "7.2", "7.4", "12.1", "12.2", "77.1.1", "77.1.4", "88.59", "481.1", "999"],
)
def test_every_other_class_is_searched(kind: str) -> None:
    assert decide(replace(SLICE, sop_class=STORAGE + kind), CLEAN).kind == SEARCH


@pytest.mark.parametrize(
    "change",
    [
        {"burned_in": "YES"},
        {"conversion_type": "WSD"},
        {"image_type": ("DERIVED", "SECONDARY", "AXIAL")},
        {"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")},
        {"image_type": ("DERIVED", "PRIMARY", "CT_SOM5 PROT")},
        {"image_type": ("ORIGINAL",)},
        {"image_type": ()},
        {"samples": 3, "photometric": "RGB"},
        {"stored": 8, "allocated": 8},
        {"overlay_in_pixels": True},
    ],
)
def test_what_raises_the_risk_of_a_slice(change: dict[str, object]) -> None:
    assert decide(replace(SLICE, **change), CLEAN).kind == SEARCH  # type: ignore[arg-type]


def test_a_computed_slice_is_kept_only_when_it_lies_in_the_patient_and_is_no_screen() -> None:
    computed = replace(SLICE, image_type=("DERIVED", "SECONDARY", "MPR"), placed=True)
    assert decide(computed, CLEAN).kind == KEEP
    for change in (
        {"placed": False},
        {"image_type": ("DERIVED", "SECONDARY", "SCREEN SAVE")},
        {"stored": 8, "allocated": 8},
        {"samples": 3, "photometric": "RGB"},
        {"conversion_type": "WSD"},
    ):
        assert decide(replace(computed, **change), CLEAN).kind == SEARCH  # type: ignore[arg-type]


def test_burned_in_annotation_no_lowers_nothing() -> None:
    ultrasound = replace(SLICE, sop_class=f"{STORAGE}6.1", burned_in="NO")
    assert decide(ultrasound, CLEAN).kind == SEARCH
    assert decide(ultrasound, PixelPolicy(mode="quarantine")).kind == REFUSE


def test_video_is_refused_and_a_slide_label_blanked_as_a_whole() -> None:
    film = replace(SLICE, sop_class=f"{STORAGE}77.1.1.1", transfer_syntax_uid="1.2.840.10008.1.2.4.102")
    assert decide(film, CLEAN).kind == REFUSE
    label = replace(SLICE, sop_class=f"{STORAGE}77.1.6", image_type=("ORIGINAL", "PRIMARY", "LABEL", "NONE"))
    decision = decide(label, CLEAN)
    assert (decision.kind, decision.boxes) == (BLANK, ((0, 0, 512, 512),))


def test_rectangles_hold_for_their_device_and_size_and_are_added_to_the_search() -> None:
    condition = Condition(((TAGS["Manufacturer"], ("ACME*",)),))
    policy = PixelPolicy("clean", (Rectangles(condition, 512, 512, ((0, 0, 512, 40),)),))
    values = {TAGS["Manufacturer"]: b"Acme Imaging"}
    assert decide(SLICE, policy, values).kind == BLANK
    assert decide(SLICE, policy, values).boxes == ((0, 0, 512, 40),)
    assert decide(SLICE, policy, {}).kind == KEEP
    assert decide(replace(SLICE, rows=256), policy, values).kind == KEEP
    searched = decide(replace(SLICE, sop_class=f"{STORAGE}6.1"), policy, values)
    assert (searched.kind, searched.boxes) == (SEARCH, ((0, 0, 512, 40),))


def test_what_lies_outside_of_ultrasound_regions_is_blanked_where_a_recipe_wants_it() -> None:
    regions = (Box(100, 50, 200, 100), Box(250, 100, 200, 300))
    image = replace(SLICE, sop_class=f"{STORAGE}6.1", regions=regions)
    assert decide(image, CLEAN).boxes == ()
    boxes = decide(image, PixelPolicy("clean", outside_regions="blank")).boxes
    covered = sum(box.width * box.height for box in boxes)
    assert covered == 512 * 512 - 200 * 100 - 200 * 300 + 50 * 50
    assert decide(replace(image, regions=()), PixelPolicy("clean", outside_regions="blank")).boxes == ()


def test_facts_are_read_from_real_headers() -> None:
    with pixels_of(FOLDER / "examples_palette.dcm") as (_, facts, _):
        assert (facts.columns, facts.rows, facts.photometric, len(facts.palette)) == (800, 350, "PALETTE COLOR", 3)
    with pixels_of(FOLDER / "MR_small_bigendian.dcm") as (_, facts, _):
        assert (facts.columns, facts.signed, facts.little, facts.stored) == (64, True, False, 16)
    with pixels_of(FOLDER / "badVR.dcm") as (_, facts, _):
        assert facts.frames == 0


def test_importing_the_library_loads_no_detector_and_no_codec() -> None:
    program = (
        "import sys, deidentify, deidentify.pixels\n"
        "print([name for name in ('cv2', 'onnxruntime', 'imagecodecs') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
