"""Objects to try the library on: pydicom's own files, and small ones built element by element."""

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pydicom

from deidentify import Recipe, Structure
from deidentify.dictionary import TAGS
from deidentify.elements import Encoding
from deidentify.errors import Refused
from deidentify.gate import read_structure
from deidentify.recipe import PixelPolicy
from deidentify.source import Source
from deidentify.walk import ELEMENT, END_SEQUENCE, ITEM, SEQUENCE, Limits, Walk

KEY = bytes(range(32))
# The Basic Profile that leaves pixels alone: what is done to them is tried where it is what is asked about.
BASIC = replace(Recipe.load("basic"), pixels=PixelPolicy())
IDENTIFIERS = {
    "PatientID": "PSEUDO-1",
    "PatientName": "PSEUDO^ONE",
    "AccessionNumber": "ACC-1",
    "StudyDate": "20200202",
}
FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"
FILES = sorted(
    path for path in FOLDER.rglob("*") if path.is_file() and path.suffix not in {".py", ".json", ".txt", ".md"}
)
EXPLICIT = Encoding(implicit=False, little=True)
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
LITTLE = "1.2.840.10008.1.2.1"

Value = bytes | str | list["Elements"]
Elements = dict[int, tuple[str, Value]]

MINIMAL: Elements = {
    TAGS["SOPClassUID"]: ("UI", CT_IMAGE),
    TAGS["SOPInstanceUID"]: ("UI", "1.2.826.0.1.3680043.9.1.1"),
    TAGS["PatientID"]: ("LO", "ORIGINAL-7"),
    TAGS["StudyInstanceUID"]: ("UI", "1.2.826.0.1.3680043.9.1.2"),
    TAGS["SeriesInstanceUID"]: ("UI", "1.2.826.0.1.3680043.9.1.3"),
}


def encoded(elements: Elements, encoding: Encoding = EXPLICIT) -> bytes:
    """Return elements as bytes, in the order of their tags."""
    out = b""
    for tag, (vr, value) in sorted(elements.items()):
        if isinstance(value, list):
            items = [piece for item in value for piece in encoding.item([encoded(item, encoding)], undefined=False)]
            out += b"".join(encoding.sequence(tag, vr.encode(), items, undefined=False))  # type: ignore[arg-type]  # no stretches
        else:
            out += encoding.element(tag, vr.encode(), value.encode() if isinstance(value, str) else value)
    return out


def part10(dataset: bytes, transfer_syntax: str = LITTLE, meta: Elements | None = None) -> bytes:
    """Return a file around the bytes of a data set."""
    elements = encoded({0x00020010: ("UI", transfer_syntax), **(meta or {})})
    return (
        bytes(128)
        + b"DICM"
        + EXPLICIT.element(0x00020000, b"UL", struct.pack("<L", len(elements)))
        + elements
        + dataset
    )


def parsed(dataset: bytes, *, implicit: bool = False, little: bool = True) -> dict[tuple[int, ...], bytes]:
    """Return every value of a data set by its path of tags and item numbers; a sequence has an empty value."""
    walk = Walk(Source.of_bytes(dataset), 0, len(dataset), implicit=implicit, little=little, limits=Limits())
    place: list[int] = []
    found: dict[tuple[int, ...], bytes] = {}
    for kind, tag, _, _, value, length in walk.events():
        if kind == SEQUENCE:
            found[(*place, tag)] = b""
            place += [tag, -1]
        elif kind == ITEM:
            place[-1] += 1
        elif kind == ELEMENT:
            found[(*place, tag)] = dataset[value : value + length]
        elif kind == END_SEQUENCE:
            del place[-2:]
    return found


def written(target: Path) -> dict[tuple[int, ...], bytes]:
    """Return every value of an uncompressed explicit output."""
    structure = read_structure(target)
    return parsed(target.read_bytes()[structure.dataset_offset :])


def structure_or_code(path: Path) -> Structure | str:
    """Return what the gate says of a file."""
    try:
        return read_structure(path)
    except Refused as refused:
        return refused.code


def code_of(action: Callable[[], object]) -> str:
    """Return the code with which `action` refuses, or an empty string."""
    try:
        action()
    except Refused as refused:
        return refused.code
    return ""
