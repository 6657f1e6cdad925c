"""Objects with text in their pixels: pydicom's own files, text drawn into them, and what the library made of them."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import pack

import numpy as np
import pydicom
from PIL import Image, ImageDraw, ImageFont
from pydicom.encaps import generate_frames
from pydicom.uid import UID

from deidentify.part10 import dataset_walk, read_head
from deidentify.pixels import NEEDED, CleanedPixels, PixelFacts, PixelSource, facts_of
from deidentify.source import Source, opened
from deidentify.walk import FRAGMENTS, PIXEL_DATA, Limits
from tests.deidentify.objects import FOLDER

FLOATING = (0x7FE00008, 0x7FE00009)


@contextmanager
def pixels_of(path: Path) -> Iterator[tuple[PixelSource, PixelFacts, dict[int, bytes]]]:
    """Give pixel data, facts and raw values of a file as the engine finds them."""
    with opened(path, 1 << 36) as file:
        head = read_head(file)
        with dataset_walk(file, head, Limits()) as walk:
            wanted = NEEDED | {PIXEL_DATA, 0x7FE00001, *FLOATING}
            values, found = {}, None
            for kind, tag, vr, _, value, length in walk.events(frozenset(wanted)):
                if tag == PIXEL_DATA or tag in FLOATING:
                    found = (value, length, kind == FRAGMENTS, vr, tag in FLOATING)
                else:
                    values[tag] = walk.source.read(value, length)
            assert found is not None
            offset, length, encapsulated, vr, floating = found
            table = values.get(0x7FE00001, b"")
            source = PixelSource(walk.source, offset, length, encapsulated, vr, table, floating)
            sop_class = values.get(0x00080016, b"").rstrip(b"\0 ").decode()
            yield source, facts_of(values, sop_class, head.transfer_syntax_uid), values


def value_of(done: CleanedPixels, source: Source) -> bytes:
    """Return the bytes of new pixel data."""
    assert done.pieces is not None
    blocks = []
    for piece in done.pieces:
        if isinstance(piece, bytes):
            blocks.append(piece)
        else:
            made = b"".join(bytes(block) for block in piece.blocks(source))
            assert len(made) == len(piece)
            blocks.append(made)
    return b"".join(blocks)


def rebuilt(path: Path, done: CleanedPixels, source: Source) -> pydicom.Dataset:
    """Return the object with its new pixel data, written and read again by pydicom."""
    ds = pydicom.dcmread(path)
    value = value_of(done, source)
    assert len(value) % 2 == 0
    for tag, raw in done.header.items():
        if raw is None:
            ds.pop(tag, None)
        elif tag == 0x00280004:
            ds.PhotometricInterpretation = raw.decode().strip()
        else:
            ds.PlanarConfiguration = int.from_bytes(raw, "little")
    ds.file_meta.TransferSyntaxUID = UID(done.transfer_syntax_uid)
    if done.encapsulated:
        assert value.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")
        value = value[:-8]
    ds.PixelData = value
    ds["PixelData"].VR = done.vr.decode()
    ds["PixelData"].is_undefined_length = done.encapsulated
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=False)
    buffer.seek(0)
    return pydicom.dcmread(buffer)


def decoded(ds: pydicom.Dataset) -> np.ndarray:
    """Return what pydicom sees: frames by rows by columns, raw samples."""
    array = pydicom.pixels.pixel_array(ds, raw=True)
    frames = int(ds.get("NumberOfFrames", 1) or 1)
    return array if frames > 1 else array[None]


def inside(done: CleanedPixels, rows: int, columns: int) -> np.ndarray:
    """Return a mask of what was blanked."""
    mask = np.zeros((rows, columns), bool)
    for box in done.boxes:
        mask[box.y : box.bottom, box.x : box.right] = True
    return mask


def lettering(text: str, size: int) -> np.ndarray:
    """Return letters as a picture of 0 to 255."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    picture = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
    ImageDraw.Draw(picture).text((2 - left, 2 - top), text, fill=255, font=font)
    return np.asarray(picture)


def drawn(frame: np.ndarray, text: str, at: tuple[int, int], size: int, value: int) -> np.ndarray:
    """Return rows by columns (by samples) with text at (row, column), in `value`, and a mask of its letters."""
    letters = lettering(text, size) > 110
    mask = np.zeros(frame.shape[:2], bool)
    mask[at[0] : at[0] + letters.shape[0], at[1] : at[1] + letters.shape[1]] = letters
    result = frame.copy()
    result[mask] = value
    return result, mask


def native_file(folder: Path, name: str, pixels: np.ndarray, **attributes: object) -> Path:
    """Write one of pydicom's files with other pixels, uncompressed."""
    ds = pydicom.dcmread(FOLDER / name)
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    ds.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    ds["PixelData"].VR = "OW" if pixels.itemsize > 1 else "OB"
    ds["PixelData"].is_undefined_length = False
    path = folder / f"native-{name}"
    pydicom.dcmwrite(path, ds, implicit_vr=False, little_endian=True)
    return path


def streams(ds: pydicom.Dataset) -> list[bytes]:
    """Return the codestreams of an encapsulated object."""
    return list(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1) or 1)))


def with_table(frames: list[bytes], offsets: list[int]) -> bytes:
    """Return encapsulated frames behind a basic offset table."""
    item = b"\xfe\xff\x00\xe0"
    parts = [item + pack("<L", 4 * len(offsets)) + pack(f"<{len(offsets)}L", *offsets)]
    return b"".join([*parts, *(item + pack("<L", len(frame)) + frame for frame in frames)])
