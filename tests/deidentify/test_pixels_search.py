"""Text that is drawn into real images is found and blanked, however it is stored; images without text stay untouched."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from deidentify.errors import Refused
from deidentify.pixels import SEARCH, Box, Decision, cleaned, decide, network
from deidentify.pixels.detector import text_beside
from deidentify.pixels.search import search
from deidentify.recipe.policies import PixelPolicy
from tests.deidentify.objects import FOLDER
from tests.deidentify.pictures import decoded, drawn, inside, native_file, pixels_of, rebuilt

NAME = "KOWALSKA^A 1957"
LOOK = Decision(SEARCH)


def slice_of_a_head() -> np.ndarray:
    """A part of 160 by 256 of a CT slice, without any text, -2000 to 1896."""
    whole = pydicom.dcmread(FOLDER / "J2K_pixelrep_mismatch.dcm").pixel_array
    return np.ascontiguousarray(whole[352:, 128:384].astype(np.int16))


def test_what_lies_beside_short_lines_below_a_long_one_stays() -> None:
    frame = pydicom.dcmread(FOLDER / "J2K_pixelrep_mismatch.dcm").pixel_array.astype(np.int16)
    written = np.zeros(frame.shape, bool)
    for number, line in enumerate(("KOWALSKA^ANNA MARIA 1957-03-02 F", "ID 55512", "CT 17", "12 MAR", "A 3", "L")):
        frame, mask = drawn(frame, line, (20 + 18 * number, 20), 16, 1896)
        written |= mask
    blanked = np.zeros(frame.shape, bool)
    for box in search([frame], 1):
        blanked[box.y : box.bottom, box.x : box.right] = True
    assert blanked[written].all()
    assert blanked.mean() < 0.13, "a box around all lines takes 0.16"


def test_an_image_without_text_is_not_touched() -> None:
    with pixels_of(FOLDER / "J2K_pixelrep_mismatch.dcm") as (pixels, facts, _):
        done = cleaned(pixels, facts, LOOK)
    assert (done.pieces, done.boxes, done.searched) == (None, (), True)


@pytest.mark.parametrize(
    ("size", "value", "photometric", "turned"),
    [
        (10, 1896, "MONOCHROME2", 0),
        (20, 300, "MONOCHROME2", 0),
        (14, -2000, "MONOCHROME1", 1),
        (22, 900, "MONOCHROME2", 2),
    ],
)
def test_text_in_a_signed_slice_is_gone(tmp_path: Path, size: int, value: int, photometric: str, turned: int) -> None:
    clean = np.rot90(slice_of_a_head(), -turned)
    frame, mask = drawn(np.maximum(clean, -1000), NAME, (118, 12), size, value)
    frame, mask = np.ascontiguousarray(np.rot90(frame, turned)), np.rot90(mask, turned)
    rows, columns = frame.shape
    common = {"Rows": rows, "Columns": columns, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1}
    path = native_file(tmp_path, "J2K_pixelrep_mismatch.dcm", frame, PhotometricInterpretation=photometric, **common)
    with pixels_of(path) as (pixels, facts, _):
        done = cleaned(pixels, facts, LOOK)
        after = decoded(rebuilt(path, done, pixels.source))[0]
    blanked = inside(done, rows, columns)
    assert blanked[mask].all()
    assert (after[~blanked] == frame[~blanked]).all()
    assert (after[blanked] == (frame.max() if photometric == "MONOCHROME1" else frame.min())).all()
    assert search([after], 1) == ()


def test_text_is_found_beside_values_that_are_out_of_all_range(tmp_path: Path) -> None:
    frame, mask = drawn(slice_of_a_head(), NAME, (118, 12), 16, 700)
    frame[0, 0] = 32767
    boxes = inside_of(search([frame], 1), *frame.shape)
    assert boxes[mask].all()


@pytest.mark.parametrize("turns", [0, 1])
def test_a_line_that_was_found_in_part_is_followed_to_its_ends(turns: int) -> None:
    head = ((slice_of_a_head() + 2000) / 16).astype(np.uint8)
    frame, mask = drawn(head, NAME, (118, 50), 14, 255)
    columns = np.flatnonzero(mask.any(axis=0))
    middle = Box(int(columns[0]) + 50, 116, 30, 20)
    if turns:
        frame, mask = np.rot90(frame), np.rot90(mask)
        middle = Box(middle.y, head.shape[1] - middle.right, middle.height, middle.width)
    found = inside_of((middle, *text_beside(frame, [middle])), *frame.shape)
    assert found[mask].all()


def inside_of(boxes: tuple[tuple[int, int, int, int], ...], rows: int, columns: int) -> np.ndarray:
    mask = np.zeros((rows, columns), bool)
    for x, y, width, height in boxes:
        mask[y : y + height, x : x + width] = True
    return mask


@pytest.mark.parametrize("name", ["examples_rgb_color.dcm", "examples_palette.dcm"])
def test_the_text_of_an_ultrasound_is_gone_although_its_header_says_there_is_none(tmp_path: Path, name: str) -> None:
    ds = pydicom.dcmread(FOLDER / name)
    ds.BurnedInAnnotation = "NO"
    ds.save_as(tmp_path / name)
    with pixels_of(tmp_path / name) as (pixels, facts, values):
        decision = decide(facts, PixelPolicy(mode="clean"), values)
        assert decision.kind == SEARCH
        done = cleaned(pixels, facts, decision)
        after = decoded(rebuilt(tmp_path / name, done, pixels.source))
    before = decoded(ds)
    mask = inside(done, facts.rows, facts.columns)
    assert (before[:, ~mask] == after[:, ~mask]).all()
    # where people see the hospital, the device, the date and the settings in these two images
    places = {
        "examples_rgb_color.dcm": [(12, 8, 85), (20, 8, 45), (180, 125, 180), (229, 202, 308)],
        "examples_palette.dcm": [(16, 12, 74), (16, 670, 772), (43, 100, 264), (43, 670, 780), (246, 14, 74)],
    }
    for row, left, right in places[name]:
        assert mask[row, left:right].all(), (row, left, right)


def test_text_on_one_frame_of_many_is_blanked_in_all(tmp_path: Path) -> None:
    head = slice_of_a_head()[64:]
    frames = np.stack([np.roll(head, shift, axis=1) for shift in range(7)])
    frames[5], mask = drawn(frames[5], NAME, (60, 20), 12, 1800)
    common = {"Rows": 96, "Columns": 256, "BitsStored": 16, "HighBit": 15, "NumberOfFrames": 7}
    path = native_file(tmp_path, "J2K_pixelrep_mismatch.dcm", frames, **common)
    with pixels_of(path) as (pixels, facts, _):
        done = cleaned(pixels, facts, LOOK)
        after = decoded(rebuilt(path, done, pixels.source))
    assert (after[:, mask] == frames.min()).all()


def test_text_on_one_frame_is_found_under_what_is_brighter_and_over_what_is_darker_in_others() -> None:
    head = slice_of_a_head()[64:]
    frames = [np.roll(head, shift, axis=1) for shift in range(9)]
    frames[4], mask = drawn(frames[4], NAME, (60, 20), 12, 700)
    frames[1][56:80, 10:200], frames[7][56:80, 10:200] = 1896, -2000
    for projection in (np.maximum.reduce(frames), np.minimum.reduce(frames)):
        assert (projection[mask] != 700).all()
    assert inside_of(search(frames, 9), *head.shape)[mask].all()


def test_the_same_boxes_come_out_each_time() -> None:
    frame, _ = drawn(slice_of_a_head(), NAME, (118, 12), 16, 1500)
    assert search([frame], 1) == search([frame.copy()], 1)


def test_the_search_leaves_no_record_of_use_for_somebody_else(tmp_path: Path) -> None:
    search_once = (
        "import numpy; from deidentify.pixels import network;"
        "network.run(network.DETECTION, numpy.zeros((32, 32), numpy.uint8))"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", search_once], env=environment, check=True, timeout=60)
    assert not list(tmp_path.rglob("*"))


def test_without_the_detector_nothing_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "find_spec", lambda name: None)
    with pytest.raises(Refused, match="rapidocr-onnxruntime is not installed"):
        network._session.__wrapped__("another.onnx")
