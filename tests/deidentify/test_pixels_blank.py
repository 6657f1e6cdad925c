"""Boxes in every frame of every transfer syntax: black inside, bit by bit the same outside, decoded by other decoders."""

from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest

from deidentify.errors import Refused
from deidentify.pixels import BLANK, KEEP, Box, Decision, PixelSource, cleaned, hides_something
from deidentify.pixels.boxes import joined
from deidentify.pixels.fragments import frames_of
from deidentify.source import Source
from tests.deidentify.objects import FOLDER
from tests.deidentify.pictures import decoded, inside, native_file, pixels_of, rebuilt, streams, value_of, with_table

LOSSY = "blocks of lossy JPEG under the boxes replaced, all others untouched"
AGAIN = "decoded and encoded again without loss"
PLAIN = "decoded and stored uncompressed, because it cannot be encoded again without loss"
EXPLICIT = "1.2.840.10008.1.2.1"

FILES = {
    "CT_small.dcm": (),
    "MR_small_implicit.dcm": (),
    "MR_small_bigendian.dcm": (),
    "ExplVR_BigEnd.dcm": (),
    "SC_rgb_small_odd.dcm": (),
    "SC_rgb_small_odd_big_endian.dcm": (),
    "SC_ybr_full_422_uncompressed.dcm": (),
    "examples_palette.dcm": (),
    "examples_rgb_color.dcm": (),
    "image_dfl.dcm": (),
    "liver_1frame.dcm": (),
    "rtdose.dcm": (),
    "rtdose_expb.dcm": (),
    "MR_small_RLE.dcm": (AGAIN,),
    "SC_rgb_rle_16bit_2frame.dcm": (AGAIN,),
    "SC_rgb_rle_32bit.dcm": (AGAIN,),
    "rtdose_rle.dcm": (AGAIN,),
    "MR_small_jpeg_ls_lossless.dcm": (AGAIN,),
    "SC_rgb_jls_lossy_line.dcm": (AGAIN,),
    "JPEGLSNearLossless_16.dcm": (AGAIN,),
    "SC_rgb_jpeg_gdcm.dcm": (AGAIN,),
    "MR_small_jp2klossless.dcm": (AGAIN,),
    "J2K_pixelrep_mismatch.dcm": (AGAIN,),
    "693_J2KI.dcm": (AGAIN,),
    "GDCMJ2K_TextGBR.dcm": (AGAIN,),
    "SC_rgb_gdcm_KY.dcm": (AGAIN,),
    "JPGExtended.dcm": (LOSSY,),
    "SC_rgb_dcmtk_+eb+cr.dcm": (LOSSY,),
    "SC_rgb_dcmtk_+eb+cy+np.dcm": (LOSSY,),
    "SC_rgb_dcmtk_+eb+cy+s2.dcm": (LOSSY,),
    "SC_rgb_jpeg_lossy_gdcm.dcm": (LOSSY,),
    "SC_rgb_small_odd_jpeg.dcm": (LOSSY,),
    "examples_ybr_color.dcm": (LOSSY,),
}


@pytest.mark.parametrize("name", FILES)
def test_a_box_is_black_in_every_frame_and_nothing_else_changes(name: str) -> None:
    with pixels_of(FOLDER / name) as (pixels, facts, _):
        box = Box(facts.columns // 4, facts.rows // 4, max(facts.columns // 3, 1), max(facts.rows // 8, 1))
        done = cleaned(pixels, facts, Decision(BLANK, (box,)))
        assert done.notes == FILES[name]
        before, after = (
            decoded(ds) for ds in (pydicom.dcmread(FOLDER / name), rebuilt(FOLDER / name, done, pixels.source))
        )
    assert before.dtype == after.dtype
    mask = inside(done, facts.rows, facts.columns)
    assert (before[:, ~mask] == after[:, ~mask]).all()
    part = after[:, box.y : box.bottom, box.x : box.right].reshape(-1, facts.samples)
    assert (part == part[0]).all()
    assert part[0][0] == (before.min() if facts.signed else 0)


def test_what_is_monochrome1_gets_its_own_black() -> None:
    path = FOLDER / "dicomdirtests" / "77654033" / "CR1" / "6154"
    with pixels_of(path) as (pixels, facts, _):
        done = cleaned(pixels, facts, Decision(BLANK, (Box(0, 0, 8, 8),)))
        assert (decoded(rebuilt(path, done, pixels.source))[0, :8, :8] == 4095).all()


def test_near_lossless_and_high_throughput_name_the_lossless_syntax_they_become(tmp_path: Path) -> None:
    with pixels_of(FOLDER / "SC_rgb_jls_lossy_sample.dcm") as (pixels, facts, _):
        done = cleaned(pixels, facts, Decision(BLANK, (Box(0, 0, 8, 8),)))
    assert done.transfer_syntax_uid == "1.2.840.10008.1.2.4.80"
    source = pydicom.dcmread(FOLDER / "CT_small.dcm")
    frame = imagecodecs.htj2k_encode(source.pixel_array, reversible=True)
    source.PixelData = with_table([frame + b"\0" * (len(frame) % 2)], [])
    source["PixelData"].VR, source["PixelData"].is_undefined_length = "OB", True
    source.file_meta.TransferSyntaxUID = pydicom.uid.HTJ2K
    source.save_as(tmp_path / "ht.dcm")
    with pixels_of(tmp_path / "ht.dcm") as (pixels, facts, _):
        done = cleaned(pixels, facts, Decision(BLANK, (Box(0, 0, 8, 8),)))
        after = decoded(rebuilt(tmp_path / "ht.dcm", done, pixels.source))[0]
    assert done.transfer_syntax_uid == "1.2.840.10008.1.2.4.201"
    assert (after[8:] == source.pixel_array[8:]).all()


def test_what_has_no_encoder_is_stored_uncompressed_and_says_so() -> None:
    with pixels_of(FOLDER / "JPEG-lossy.dcm") as (pixels, facts, _):
        done = cleaned(pixels, facts, Decision(BLANK, (Box(0, 0, 64, 64),)))
        assert (done.transfer_syntax_uid, done.notes, done.encapsulated, done.vr) == (EXPLICIT, (PLAIN,), False, b"OW")
        after = decoded(rebuilt(FOLDER / "JPEG-lossy.dcm", done, pixels.source))[0]
    assert after[:64, :64].max() == 0
    assert after[64:].max() > 0


@pytest.mark.parametrize("name", ["JPEG2000-embedded-sequence-delimiter.dcm", "badVR.dcm", "MR_truncated.dcm"])
def test_what_cannot_be_decoded_is_refused(name: str) -> None:
    if name == "MR_truncated.dcm":
        file = Source.of_bytes(bytes(64))
        with pixels_of(FOLDER / "MR_small.dcm") as (_, facts, _):
            pixels = PixelSource(file, 0, 64, False)
    else:
        with pixels_of(FOLDER / name) as (pixels, facts, _):
            pixels = PixelSource(
                Source.of_bytes(pixels.source.read(0, pixels.source.size)),
                pixels.offset,
                pixels.length,
                pixels.encapsulated,
            )
    with pytest.raises(Refused, match="pixels-undecided"):
        cleaned(pixels, facts, Decision(BLANK, (Box(0, 0, 8, 8),)))


def test_frames_of_several_fragments_are_found_by_table_and_by_their_start() -> None:
    ds = pydicom.dcmread(FOLDER / "examples_ybr_color.dcm")
    frames = streams(ds)[:3]
    halves = [part for frame in frames for part in (frame[:100], frame[100:])]
    offsets, at = [], 0
    for frame in frames:
        offsets.append(at)
        at += 16 + len(frame)
    for table in (offsets, []):
        value = with_table(halves, table)
        found = frames_of(Source.of_bytes(value), 0, len(value), 3)
        assert [b"".join(value[at : at + size] for at, size in frame) for frame in found] == frames
    wrong = with_table(halves, [0, 4, 8])
    with pytest.raises(Refused, match="pixels-undecided"):
        frames_of(Source.of_bytes(wrong), 0, len(wrong), 3)


def test_the_offset_table_that_is_written_leads_to_every_frame() -> None:
    with pixels_of(FOLDER / "examples_ybr_color.dcm") as (pixels, facts, _):
        done = cleaned(pixels, facts, Decision(BLANK, (Box(0, 0, 320, 40),)))
        value = value_of(done, pixels.source)
    length = int.from_bytes(value[4:8], "little")
    offsets = np.frombuffer(value[8 : 8 + length], "<u4")
    assert len(offsets) == 30
    for offset in offsets:
        at = 8 + length + int(offset)
        assert value[at : at + 4] == b"\xfe\xff\x00\xe0"
        assert value[at + 8 : at + 10] == b"\xff\xd8"


def test_comments_in_a_lossy_stream_do_not_outlive_it() -> None:
    from deidentify.pixels import jpeg

    frame = streams(pydicom.dcmread(FOLDER / "examples_ybr_color.dcm"))[0]
    marked = frame[:2] + b"\xff\xfe\x00\x0fJANE^DOE^1957" + b"\xff\xe5\x00\x0aJANE^DOE" + frame[2:]
    clean, _ = jpeg.blanked(marked, [Box(0, 0, 16, 16)], bright=False, rgb=False)
    assert b"JANE" not in clean
    assert (imagecodecs.jpeg8_decode(clean)[32:] == imagecodecs.jpeg8_decode(frame)[32:]).all()


def test_unused_high_bits_and_bytes_behind_the_frame_are_found_and_removed(tmp_path: Path) -> None:
    with pixels_of(FOLDER / "CT_small.dcm") as (pixels, facts, _):
        assert not hides_something(pixels, facts)
    picture = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) % 4096
    hidden = picture.copy()
    hidden[10:20, 10:20] |= 0x8000
    common = {"Rows": 64, "Columns": 64, "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0}
    path = native_file(tmp_path, "CT_small.dcm", hidden, **common)
    with pixels_of(path) as (pixels, facts, _):
        assert hides_something(pixels, facts)
        done = cleaned(pixels, facts, Decision(KEEP))
        assert (np.frombuffer(value_of(done, pixels.source), "<u2").reshape(64, 64) == picture).all()
        assert done.notes == ("unused bits cleared",)
    ds = pydicom.dcmread(path)
    ds.PixelData = picture.tobytes() + b"JANE^DOE"
    ds.save_as(path)
    with pixels_of(path) as (pixels, facts, _):
        assert hides_something(pixels, facts)
        assert value_of(cleaned(pixels, facts, Decision(KEEP)), pixels.source) == picture.tobytes()


def test_boxes_are_rounded_outwards_to_the_grid_and_do_not_overlap() -> None:
    boxes = joined([Box(3, 3, 10, 2), Box(12, 4, 9, 9), Box(-5, 60, 20, 20)], 66, 66)
    assert boxes == (Box(0, 0, 24, 8), Box(8, 8, 16, 8), Box(0, 56, 16, 10))
    mask = np.zeros((66, 66), int)
    for box in boxes:
        mask[box.y : box.bottom, box.x : box.right] += 1
    assert mask.max() == 1
    assert mask[3:5, 3:13].all()


def test_a_large_object_is_blanked_a_block_at_a_time(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = native_file(tmp_path, "CT_small.dcm", np.zeros((2, 2), np.uint16), Rows=512, Columns=512, NumberOfFrames=800)
    raw = path.read_bytes()
    at = raw.rindex(b"\xe0\x7f\x10\x00")
    with path.open("wb") as file:
        file.write(raw[:at] + b"\xe0\x7f\x10\x00OW\0\0" + (800 * 512 * 512 * 2).to_bytes(4, "little"))
        file.truncate(at + 12 + 800 * 512 * 512 * 2)
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from tests.deidentify.pictures import pixels_of\n"
        "from deidentify.pixels import BLANK, Box, Decision, cleaned\n"
        "from dataclasses import replace\n"
        "with pixels_of(Path(sys.argv[1])) as (pixels, facts, _):\n"
        "    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "    done = cleaned(pixels, replace(facts, signed=False), Decision(BLANK, (Box(0, 0, 512, 64),)))\n"
        "    size = sum(len(block) for piece in done.pieces for block in piece.blocks(pixels.source))\n"
        "    print(size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start)\n"
    )
    size, grown = subprocess.check_output([sys.executable, "-c", program, str(path)], text=True).split()
    assert int(size) == 800 * 512 * 512 * 2
    assert int(grown) < 50_000
