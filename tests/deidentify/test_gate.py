"""The gate lets whole objects through, of every encoding, and says what is wrong with anything else."""

import gzip
import os
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from deidentify import Limits, Refused, read_structure, text
from deidentify.dictionary import TAGS
from deidentify.elements import Encoding
from tests.deidentify.objects import EXPLICIT, FILES, FOLDER, LITTLE, MINIMAL, encoded, part10, structure_or_code

# What pydicom's own files are known to have wrong; it reads most of them without a word.
REFUSED = {
    "MR_truncated.dcm": "truncated",
    "rtplan_truncated.dcm": "truncated",
    "DICOMDIR-nooffset": "truncated",
    "SC_rgb_jpeg.dcm": "malformed",  # says JPEG, is implicit VR
    "meta_missing_tsyntax.dcm": "no-transfer-syntax",
    "no_meta.dcm": "not-dicom",  # starts with a stray byte
    "zipMR.gz": "archive",
    "crayons.icc": "not-dicom",
    "rtplan.dump": "not-dicom",
    "rtstruct.dump": "not-dicom",
    "README": "not-dicom",
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_pydicoms_files_are_whole_or_refused_for_a_known_reason(path: Path) -> None:
    outcome = structure_or_code(path)
    expected = REFUSED.get(path.name)
    if expected:
        assert outcome == expected
    else:
        assert not isinstance(outcome, str), outcome
        assert outcome.size == path.stat().st_size
        assert outcome.is_dicomdir == ("DICOMDIR" in path.name)


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "JPEG2000.dcm", "rtplan.dcm", "MR_small_implicit.dcm", "SC_rgb_rle.dcm"]
)
def test_a_file_cut_anywhere_inside_an_element_is_refused(name: str, tmp_path: Path) -> None:
    content = Path(str(get_testdata_file(name))).read_bytes()
    path = tmp_path / "cut"
    whole = structure_or_code(Path(str(get_testdata_file(name))))
    assert not isinstance(whole, str)
    for length in {*range(133, len(content) - 1, max(1, len(content) // 150)), len(content) - 1}:
        path.write_bytes(content[:length])
        outcome = structure_or_code(path)
        if not isinstance(outcome, str):  # cut exactly between two elements: still shorter by whole elements
            assert outcome.elements < whole.elements


def test_wanted_values_come_along(ct: Path) -> None:
    wanted = [
        TAGS["PatientName"],
        TAGS["StudyInstanceUID"],
        0x00020010,
        TAGS["AccessionNumber"],
        TAGS["PatientAddress"],
    ]
    structure = read_structure(ct, wanted)
    assert text(structure, TAGS["PatientName"]) == "CompressedSamples^CT1"
    assert text(structure, 0x00020010) == LITTLE == structure.transfer_syntax_uid
    assert text(structure, TAGS["AccessionNumber"]) == ""
    assert TAGS["PatientAddress"] not in structure.values
    assert structure.vrs[TAGS["PatientName"]] == "PN"
    assert structure.has_preamble
    assert ct.read_bytes()[structure.pixel_data_offset :][:4] == b"\xe0\x7f\x10\x00"


@pytest.mark.parametrize(
    "character_set", [b"ISO_IR 100", b"ISO_IR 192", b"no such set", b"", b"\\ISO 2022 IR 87", b"\xff"]
)
@pytest.mark.parametrize(
    "name", ["Grün^Jürgen".encode("latin-1"), "Grün^Jürgen".encode(), b"\x1b$B\xff\xff", b"\xff\x1b"]
)
def test_a_wrong_character_set_never_stops_reading(character_set: bytes, name: bytes, tmp_path: Path) -> None:
    path = tmp_path / "object"
    values = {TAGS["SpecificCharacterSet"]: ("CS", character_set), TAGS["PatientName"]: ("PN", name)}
    path.write_bytes(part10(encoded({**MINIMAL, **values})))
    shown = text(read_structure(path, [TAGS["PatientName"]]), TAGS["PatientName"])
    if character_set in (b"ISO_IR 100", b"ISO_IR 192", b"no such set", b"\xff") and b"\x1b" not in name:
        assert shown.startswith("Gr")


@pytest.mark.parametrize(
    "encoding", [EXPLICIT, Encoding(implicit=True, little=True), Encoding(implicit=False, little=False)]
)
def test_a_data_set_without_preamble_is_an_object_when_it_walks_cleanly(encoding: Encoding, tmp_path: Path) -> None:
    path = tmp_path / "bare"
    path.write_bytes(encoded(MINIMAL, encoding))
    structure = read_structure(path)
    assert not structure.has_preamble
    assert structure.elements == len(MINIMAL)
    path.write_bytes(
        encoded({tag: element for tag, element in MINIMAL.items() if tag != TAGS["SOPInstanceUID"]}, encoding)
    )
    assert structure_or_code(path) == "not-dicom"
    path.write_bytes(encoded(MINIMAL, encoding)[:-3])
    assert structure_or_code(path) == "not-dicom"


def test_the_declared_encoding_is_corrected_to_the_one_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "object"
    path.write_bytes(part10(encoded(MINIMAL, Encoding(implicit=True, little=True)), LITTLE))
    assert read_structure(path).transfer_syntax_uid == "1.2.840.10008.1.2"


def test_what_is_no_object_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert structure_or_code(path) == "empty"
    path.write_bytes(b"hello, this is no DICOM")
    assert structure_or_code(path) == "not-dicom"
    path.write_bytes(gzip.compress(b"x" * 500))
    assert structure_or_code(path) == "archive"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.dcm", b"x")
    assert structure_or_code(path) == "archive"
    locked = bytearray(path.read_bytes())
    locked[6] |= 1
    path.write_bytes(bytes(locked))
    assert structure_or_code(path) == "encrypted-zip"


def test_only_regular_files_are_opened(ct: Path, tmp_path: Path) -> None:
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(ct)
    os.mkfifo(pipe)
    for path in (link, pipe, tmp_path, Path("/dev/zero"), Path("/dev/null")):
        assert structure_or_code(path) == "unreadable"
    with pytest.raises(FileNotFoundError):
        read_structure(tmp_path / "gone")


def test_zeros_behind_the_last_element_are_padding_and_anything_else_is_not(tmp_path: Path) -> None:
    path = tmp_path / "object"
    whole = part10(encoded(MINIMAL))
    for padding in (1, 7, 8, 9, 512, 1 << 16):
        path.write_bytes(whole + bytes(padding))
        assert not isinstance(structure_or_code(path), str)
    for rest in (bytes((1 << 16) + 1), bytes(100) + b"x", b"\0\0\0\0PATIENT NAME"):
        path.write_bytes(whole + rest)
        assert structure_or_code(path) == "trailing-bytes"


def nested(depth: int, *, undefined: bool) -> bytes:
    inner = b""
    for _ in range(depth):
        item = EXPLICIT.item([inner] if inner else [], undefined=undefined)
        inner = b"".join(EXPLICIT.sequence(TAGS["ContentSequence"], b"SQ", item, undefined=undefined))  # type: ignore[arg-type]
    return inner


@pytest.mark.parametrize("undefined", [False, True])
def test_nesting_is_bounded(undefined: bool, tmp_path: Path) -> None:
    path = tmp_path / "object"
    path.write_bytes(part10(encoded(MINIMAL) + nested(32, undefined=undefined)))
    assert not isinstance(structure_or_code(path), str)
    path.write_bytes(part10(encoded(MINIMAL) + nested(33, undefined=undefined)))
    assert structure_or_code(path) == "too-deep"
    head = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path.write_bytes(part10(encoded(MINIMAL) + head * 100_000))
    assert structure_or_code(path) == "too-deep"


def test_elements_items_and_sizes_are_bounded(ct: Path, tmp_path: Path) -> None:
    path = tmp_path / "object"
    for limits, code in (
        (Limits(elements=200), "too-many-elements"),
        (Limits(size=1000), "too-large"),
    ):
        with pytest.raises(Refused) as refused:
            read_structure(ct, (), limits)
        assert refused.value.code == code
    sequence = b"\x40\x00\x30\xa7SQ\0\0" + struct.pack("<L", 8 * 50_000) + b"\xfe\xff\x00\xe0\0\0\0\0" * 50_000
    path.write_bytes(part10(encoded(MINIMAL) + sequence))
    with pytest.raises(Refused) as refused:
        read_structure(path, (), Limits(items=10_000))
    assert refused.value.code == "too-many-elements"


def test_a_deflate_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    huge = encoded({**MINIMAL, 0x7FE00010: ("OB", bytes(1 << 26))})
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    path.write_bytes(part10(deflater.compress(huge) + deflater.flush(), "1.2.840.10008.1.2.1.99"))
    with pytest.raises(Refused) as refused:
        read_structure(path, (), Limits(inflated=1 << 24))
    assert refused.value.code == "too-large"
    assert not isinstance(structure_or_code(path), str)


def test_pixel_data_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    length = (1 << 31) - 2
    with path.open("wb") as file:
        file.write(part10(encoded(MINIMAL) + b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<L", length)))
        file.truncate(file.tell() + length)
    structure = read_structure(path)
    assert structure.size > 1 << 31
    assert structure.pixel_data_offset is not None
