"""What stands where it should not, or as it should not, is not in the output of any recipe: a file may be refused instead."""

from contextlib import suppress
from pathlib import Path
from struct import pack

import pytest

from deidentify import Deidentifier, Identifiers, Recipe
from deidentify.dictionary import TAGS
from deidentify.errors import CODES
from tests.deidentify.objects import EXPLICIT, IDENTIFIERS, KEY, MINIMAL, Elements, code_of, encoded, part10

NAME = "Zwockumsen"
RECIPES = ("basic", "research", "minimal")
_ENGINES = {name: Deidentifier(Recipe.load(name), KEY) for name in RECIPES}


def _item(value: bytes, tag: int = TAGS["PatientName"]) -> bytes:
    """Return an item with one element, in implicit VR as it stands in a sequence that is written as UN."""
    element = pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value
    return pack("<HHL", 0xFFFE, 0xE000, len(element)) + element


def _foreign(name: str, character_set: str, encoding: str) -> bytes:
    return encoded(
        MINIMAL
        | {
            TAGS["SpecificCharacterSet"]: ("CS", character_set),
            TAGS["StudyDescription"]: ("LO", name.encode(encoding)),
            TAGS["PatientName"]: ("PN", f"{NAME}={name}={name}".encode(encoding)),
            TAGS["SeriesDescription"]: ("LO", f"{NAME} CT"),
        }
    )


def _twice(tag: int, vr: str) -> bytes:
    one = EXPLICIT.element(tag, vr.encode(), b"CT" if vr == "LO" else b"A^B ")
    other = EXPLICIT.element(tag, vr.encode(), NAME.encode())
    before = encoded({t: e for t, e in MINIMAL.items() if t < tag})
    after = encoded({t: e for t, e in MINIMAL.items() if t > tag})
    return before + one + other + after


def _with(elements: Elements) -> bytes:
    return encoded(MINIMAL | elements)


_UN_ITEM = _item(NAME.encode())
CASES = {
    "a character set that is none": _foreign(NAME, "KLINGON", "ascii"),
    "Japanese under Latin-1": _foreign("山田花子松井", "ISO_IR 100", "iso2022_jp"),
    "UTF-8 under Latin-1": _foreign("Łukaszęwicz", "ISO_IR 100", "utf-8"),
    "Latin-1 under UTF-8": _foreign("Müßlökönig", "ISO_IR 192", "latin-1"),
    "GB18030 under Korean": _foreign("李张刘陈杨赵", "\\ISO 2022 IR 149", "gb18030"),
    "a person's name in three representations": _with({TAGS["OperatorsName"]: ("PN", f"Yamada^Tarou={NAME}=やまだ")}),
    "too many representations": _with({TAGS["OperatorsName"]: ("PN", f"A=B=C={NAME}")}),
    "a name as bytes": _with({TAGS["PatientName"]: ("OB", NAME)}),
    "a name as a date": _with({TAGS["StudyDate"]: ("DA", NAME)}),
    "a name as a time": _with({TAGS["StudyTime"]: ("TM", NAME)}),
    "a name as a number": _with({TAGS["SliceThickness"]: ("DS", NAME)}),
    "a name as an integer": _with({TAGS["AcquisitionNumber"]: ("IS", NAME)}),
    "a name as a UID": _with({TAGS["FrameOfReferenceUID"]: ("UI", NAME)}),
    "a name as an age": _with({TAGS["PatientAge"]: ("AS", NAME)}),
    "a name as a term": _with({TAGS["PatientPosition"]: ("CS", NAME.upper())}),
    "a name among terms": _with({TAGS["ImageType"]: ("CS", f"ORIGINAL\\PRIMARY\\{NAME.upper()}")}),
    "a name as an unsigned short": _with({TAGS["InstanceNumber"]: ("US", NAME)}),
    "a name behind a NUL": _with({TAGS["Manufacturer"]: ("LO", f"GE\0\0{NAME}")}),
    "a name as the second value": _with({TAGS["ConvolutionKernel"]: ("SH", f"B30f\\{NAME}")}),
    "a name in a group length": _with({0x00100000: ("LO", NAME)}),
    "a name in an element that is not in the dictionary": _with({0x00110013: ("LO", NAME), 0x00180013: ("LO", NAME)}),
    "a patient's name twice": _twice(TAGS["PatientName"], "PN"),
    "a description twice": _twice(TAGS["StudyDescription"], "LO"),
    "a private element without creator": _with({0x00291008: ("LO", NAME)}),
    "a private element without block": _with({0x00290008: ("LO", NAME)}),
    "a creator that is a name": _with({0x00290010: ("LO", NAME), 0x00291008: ("LO", "x ")}),
    "a creator's element as a sequence": _with({0x00290010: ("SQ", [{TAGS["PatientName"]: ("PN", NAME)}])}),
    "a safe creator with a name in a number": _with(
        {0x00190010: ("LO", "SIEMENS MR HEADER"), 0x0019100C: ("IS", NAME)}
    ),
    "a safe creator with a name in a term": _with({0x00190010: ("LO", "SIEMENS MR HEADER"), 0x0019100D: ("CS", NAME)}),
    "a retired attribute": _with({0x00100050: ("SQ", [{TAGS["CodeMeaning"]: ("LO", NAME)}]), 0x00084000: ("LT", NAME)}),
    "a retired repeating group": _with({0x50020022: ("LO", NAME), 0x60FE4000: ("LT", NAME)}),
    "a sequence as UN": _with({TAGS["ReferencedImageSequence"]: ("UN", _UN_ITEM)}),
    "an unlisted sequence as UN": _with({TAGS["RadiopharmaceuticalInformationSequence"]: ("UN", _UN_ITEM)}),
    "a private sequence as UN": _with({0x00290010: ("LO", "NOBODY"), 0x00291008: ("UN", _UN_ITEM)}),
    "a sequence as OB": _with({TAGS["ReferencedImageSequence"]: ("OB", _UN_ITEM)}),
    "text instead of a sequence": _with({TAGS["ReferencedImageSequence"]: ("LO", NAME)}),
    "a sequence instead of text": _with({TAGS["Manufacturer"]: ("SQ", [{TAGS["PatientName"]: ("PN", NAME)}])}),
    "a sequence instead of pixels": _with({0x00280010: ("SQ", [{TAGS["PatientName"]: ("PN", NAME)}])}),
    "a command in a data set": _with({0x00000902: ("LO", NAME), 0x00041500: ("LO", NAME)}),
    "an unknown VR": encoded(MINIMAL) + pack("<HH2sHL", 0x0099, 0x1001, b"ZZ", 0, 10) + NAME.encode(),
    "a very old ACR-NEMA length": _with({0x00080001: ("UL", pack("<L", 4)), 0x00200070: ("LO", NAME)}),
    "text in look-up data": _with({0x00281201: ("OW", f"{NAME} {NAME}s")}),
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("what", CASES)
def test_a_name_in_the_wrong_place_does_not_come_out(what: str, recipe: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(CASES[what]))
    code = code_of(lambda: _ENGINES[recipe].file(source, target, Identifiers(IDENTIFIERS)))
    assert code in {"", *CODES}
    content = b"" if code else target.read_bytes().lower()
    for name in (NAME, "山田花子松井", "Łukaszęwicz", "Müßlökönig", "李张刘陈杨赵"):
        for encoding in ("utf-8", "latin-1", "iso2022_jp", "gb18030"):
            with suppress(UnicodeEncodeError):
                assert name.lower().encode(encoding) not in content
