"""Comments, application data and bytes behind the end of compressed frames are blank in what leaves; every pixel stays."""

from pathlib import Path
from struct import pack, unpack

import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_fragments, generate_frames
from pydicom.uid import generate_uid

from deidentify import Deidentifier, Identifiers, Recipe
from deidentify.errors import Refused
from deidentify.pixels import KEEP, Decision, cleaned, hides_something
from deidentify.pixels.comments import comments
from deidentify.source import Source
from tests.deidentify.objects import FOLDER, IDENTIFIERS, KEY
from tests.deidentify.pictures import decoded, pixels_of, rebuilt, value_of

SECRET = b"Quinby^Zoe 4711-0815"
JPEG = [
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_jpeg_no_color_transform.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jls_lossy_sample.dcm",
    "examples_ybr_color.dcm",
]
JPEG_2000 = ["MR_small_jp2klossless.dcm", "693_J2KI.dcm", "examples_jpeg2k.dcm"]


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def with_jpeg_comments(frame: bytes) -> bytes:
    """Put text into every place of a JPEG frame that no decoder looks at."""
    frame = frame[: frame.rindex(b"\xff\xd9") + 2]
    start = frame.index(b"\xff\xda")
    before, scan = frame[2:start], frame[start:]
    more = segment(0xFE, SECRET) + segment(0xE1, b"Exif\0\0" + SECRET) + segment(0xEC, SECRET) + segment(0xF3, SECRET)
    return b"\xff\xd8" + more + before + segment(0xFE, SECRET) + scan + SECRET


def with_jpeg_2000_comments(frame: bytes) -> bytes:
    """Put text into the main header, the header of the first tile-part, and behind the end."""
    frame = frame[: frame.rindex(b"\xff\xd9") + 2]
    start = frame.index(b"\xff\x90")
    comment = segment(0x64, b"\0\1" + SECRET)
    (length,) = unpack(">L", frame[start + 6 : start + 10])
    size = pack(">L", length + len(comment)) if length else bytes(4)
    tile = frame[start : start + 6] + size + frame[start + 10 : start + 12] + comment + frame[start + 12 :]
    return frame[:start] + comment + segment(0x64, b"\0\0" + SECRET) + tile + SECRET


def in_boxes(frame: bytes) -> bytes:
    """Put a codestream into a JP2 file that says whose it is."""

    def box(kind: bytes, content: bytes) -> bytes:
        return pack(">L", len(content) + 8) + kind + content

    size = unpack(">LL", frame[8:16])
    header = box(b"ihdr", pack(">LLHBBBB", size[1], size[0], 1, 15, 7, 0, 0)) + box(b"colr", b"\1\0\0" + pack(">L", 17))
    return b"".join(
        (
            box(b"jP  ", b"\r\n\x87\n"),
            box(b"ftyp", b"jp2 \0\0\0\0jp2 "),
            box(b"jp2h", header),
            box(b"xml ", b"<name>" + SECRET + b"</name>"),
            box(b"jp2c", frame),
            box(b"uuid", bytes(16) + SECRET),
        )
    )


def commented(name: str, folder: Path, *, pieces: int = 1) -> Path:
    """Write one of pydicom's files with text in every frame."""
    ds = pydicom.dcmread(FOLDER / name)
    count = int(ds.get("NumberOfFrames", 1) or 1)
    change = with_jpeg_comments if name in JPEG else with_jpeg_2000_comments
    frames = [change(frame) for frame in generate_frames(ds.PixelData, number_of_frames=count)]
    assert all(frame.count(SECRET) >= 4 for frame in frames)
    ds.PixelData = encapsulate(frames, fragments_per_frame=pieces)
    ds.save_as(folder / name)
    return folder / name


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("name", JPEG + JPEG_2000)
def test_text_beside_the_picture_is_gone_and_the_picture_is_not(tmp_path: Path, name: str, pieces: int) -> None:
    before = decoded(pydicom.dcmread(FOLDER / name))
    path = commented(name, tmp_path, pieces=pieces)
    with pixels_of(path) as (pixels, facts, _):
        assert hides_something(pixels, facts)
        done = cleaned(pixels, facts, Decision(KEEP))
        assert done.notes == ("comments in the compressed pixel data blanked",)
        value = value_of(done, pixels.source)
        assert len(value) == pixels.length
        joined = b"".join(generate_fragments(value))
        assert SECRET not in value
        assert SECRET not in joined
        assert SECRET[:8] not in joined
        after = rebuilt(path, done, pixels.source)
    assert (decoded(after) == before).all()
    again = Source.of_bytes(value)
    left = comments(again, 0, len(value), facts.transfer_syntax_uid)
    assert left == [], "a second time there is nothing to do"


def test_text_in_the_boxes_of_a_jp2_file_is_gone(tmp_path: Path) -> None:
    ds = pydicom.dcmread(FOLDER / "MR_small_jp2klossless.dcm")
    before = decoded(ds)
    (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
    ds.PixelData = encapsulate([in_boxes(with_jpeg_2000_comments(frame))])
    ds.save_as(tmp_path / "boxes.dcm")
    with pixels_of(tmp_path / "boxes.dcm") as (pixels, facts, _):
        done = cleaned(pixels, facts, Decision(KEEP))
        assert SECRET not in value_of(done, pixels.source)
        assert (decoded(rebuilt(tmp_path / "boxes.dcm", done, pixels.source)) == before).all()


def test_what_a_decoder_needs_stays() -> None:
    needed = (
        segment(0xE0, b"JFIF\0\1\1" + bytes(7)) + segment(0xEE, b"Adobe\0\x64\0\0\0\0\1") + segment(0xE8, b"mrfx\1")
    )
    frame = b"\xff\xd8" + needed + segment(0xDA, bytes(6)) + b"\x12\xff\0\x34\xff\xd9"
    value = encapsulate([frame])
    assert comments(Source.of_bytes(value), 0, len(value), "1.2.840.10008.1.2.4.50") == []


@pytest.mark.parametrize("name", ["693_J2KI.dcm", "examples_jpeg2k.dcm", "SC_rgb_jls_lossy_line.dcm"])
def test_the_names_of_encoders_stay(name: str) -> None:
    with pixels_of(FOLDER / name) as (pixels, facts, _):
        assert not hides_something(pixels, facts)


@pytest.mark.parametrize("frame", [SECRET, b"\xff\xd8\xff\xfe\x40\0" + SECRET, b"\xff\xd8" + SECRET])
@pytest.mark.parametrize("syntax", ["4.50", "4.70", "4.80", "4.90", "4.201", "4.110"])
def test_what_cannot_be_told_apart_is_for_a_person(frame: bytes, syntax: str) -> None:
    value = encapsulate([frame + b"\0" * (len(frame) % 2)])
    with pytest.raises(Refused, match="comments"):
        comments(Source.of_bytes(value), 0, len(value), f"1.2.840.10008.1.2.{syntax}")


@pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm"])
def test_the_engine_blanks_them_in_images_that_are_kept(tmp_path: Path, name: str) -> None:
    path = commented(name, tmp_path)
    ds = pydicom.dcmread(path)
    ds.ImageType, ds.SOPInstanceUID = ["ORIGINAL", "PRIMARY", "OTHER"], generate_uid()
    ds.save_as(path)
    released = Deidentifier(Recipe.load("research"), KEY).file(path, tmp_path / "out", Identifiers(IDENTIFIERS))
    assert released.pixels == "kept; comments in the compressed pixel data blanked"
    assert SECRET not in (tmp_path / "out").read_bytes()
    assert (decoded(pydicom.dcmread(tmp_path / "out")) == decoded(ds)).all()
