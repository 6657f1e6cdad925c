"""Small files that want to become large, deep or endless when they are read."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from struct import pack

from deidentify.dictionary import TAGS
from tests.deidentify.judge.documents import pdf
from tests.deidentify.objects import EXPLICIT, MINIMAL, Elements, encoded, part10

_DEFLATED, _RLE, _JPEG, _J2K = (
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.90",
)
_US, _PDF, _CDA = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.104.2"
_UNDEFINED = 0xFFFFFFFF


def _deflated(plain: bytes, transfer_syntax: str = _DEFLATED) -> bytes:
    press = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return part10(press.compress(encoded(MINIMAL) + plain) + press.flush(), transfer_syntax)


def deflate_bomb() -> bytes:
    """Two gigabytes of one element in two megabytes."""
    press = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    head = encoded(MINIMAL) + pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, 3000 << 20)
    begin = press.compress(head) + press.flush(zlib.Z_FULL_FLUSH)
    # After a full flush a block depends on nothing before it, so the same one can stand there again and again.
    block = press.compress(bytes(1 << 20)) + press.flush(zlib.Z_FULL_FLUSH)
    return part10(begin + block * 2200 + press.flush(), _DEFLATED)


def deflated_items() -> bytes:
    """Two million empty items in a few kilobytes."""
    items = pack("<HHL", 0xFFFE, 0xE000, 0) * 2_000_000
    return _deflated(pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, len(items)) + items)


def nested_items(depth: int = 10_000) -> bytes:
    """Sequences in sequences, each with undefined length."""
    one = pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, _UNDEFINED) + pack("<HHL", 0xFFFE, 0xE000, _UNDEFINED)
    return part10(encoded(MINIMAL) + one * depth)


def nested_in_un(depth: int = 10_000) -> bytes:
    """Sequences in sequences, hidden under UN with a length."""
    body = b""
    for _ in range(min(depth, 2000)):
        body = pack("<HHL", 0xFFFE, 0xE000, len(body)) + body
        body = pack("<HHL", 0x0040, 0xA730, len(body)) + body
    item = pack("<HHL", 0xFFFE, 0xE000, len(body)) + body
    return part10(encoded(MINIMAL) + pack("<HH2sHL", 0x0040, 0xA730, b"UN", 0, len(item)) + item)


def many_items() -> bytes:
    """10,000 items side by side, with an element each."""
    items: list[Elements] = [{TAGS["CodeMeaning"]: ("LO", "Lindgren")} for _ in range(10_000)]
    return part10(encoded(MINIMAL | {TAGS["ContentSequence"]: ("SQ", items)}))


def many_private_blocks() -> bytes:
    """Every block of many groups reserved by another creator."""
    elements = dict(MINIMAL)
    for group in range(0x0009, 0x0109, 2):
        for block in range(0x10, 0x50):
            elements[group << 16 | block] = ("LO", f"CREATOR {group} {block}")
    return part10(encoded(elements))


def huge_length() -> bytes:
    """An element that says it has four gigabytes."""
    return part10(encoded(MINIMAL) + pack("<HH2sHL", 0x0042, 0x0011, b"OB", 0, 0xFFFFFFF0) + b"x" * 64)


def long_text() -> bytes:
    """Thirty megabytes of words in one attribute."""
    return part10(encoded(MINIMAL) + EXPLICIT.element(TAGS["TextValue"], b"UT", b"Lindgren 2001-02-03 CT " * 1_300_000))


def one_long_word() -> bytes:
    """What makes regular expressions go back and forth."""
    text = b"a@" * 40_000 + b"1-" * 40_000 + b"(" * 40_000 + b"0" * 60_000
    return part10(encoded(MINIMAL) + EXPLICIT.element(TAGS["ImageComments"], b"UT", text))


def many_names() -> bytes:
    """Twenty thousand names that are all known of the patient."""
    names = "\\".join(f"Name{number}^Given{number}" for number in range(20_000))
    return part10(encoded(MINIMAL | {TAGS["OtherPatientNames"]: ("UT", names), TAGS["TextValue"]: ("UT", names)}))


def _image(rows: int, columns: int, frames: str, pixels: bytes, transfer_syntax: str, *, fragments: bool) -> bytes:
    elements = MINIMAL | {
        TAGS["SOPClassUID"]: ("UI", _US),
        TAGS["Modality"]: ("CS", "US"),
        TAGS["SamplesPerPixel"]: ("US", pack("<H", 1)),
        TAGS["PhotometricInterpretation"]: ("CS", "MONOCHROME2"),
        TAGS["NumberOfFrames"]: ("IS", frames),
        TAGS["Rows"]: ("US", pack("<H", rows)),
        TAGS["Columns"]: ("US", pack("<H", columns)),
        TAGS["BitsAllocated"]: ("US", pack("<H", 8)),
        TAGS["BitsStored"]: ("US", pack("<H", 8)),
        TAGS["HighBit"]: ("US", pack("<H", 7)),
        TAGS["PixelRepresentation"]: ("US", pack("<H", 0)),
    }
    header = pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, _UNDEFINED if fragments else len(pixels))
    if fragments:
        table = pack("<HHL", 0xFFFE, 0xE000, 0)
        pixels = table + pack("<HHL", 0xFFFE, 0xE000, len(pixels)) + pixels + pack("<HHL", 0xFFFE, 0xE0DD, 0)
    return part10(encoded(elements) + header + pixels, transfer_syntax)


def image_without_pixels() -> bytes:
    """65,535 rows and columns, and sixteen bytes of them."""
    return _image(65_535, 65_535, "1", bytes(16), "1.2.840.10008.1.2.1", fragments=False)


def endless_frames() -> bytes:
    """Two thousand million frames."""
    return _image(64, 64, "2147483647", bytes(4096), "1.2.840.10008.1.2.1", fragments=False)


def run_length_bomb() -> bytes:
    """An RLE frame that repeats one byte for ever."""
    segment = pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * 500_000
    return _image(20_000, 20_000, "1", segment, _RLE, fragments=True)


def jpeg_of_lies() -> bytes:
    """A JPEG whose own header says 65,500 by 65,500."""
    start = b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xdc\xff\xdc\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    return _image(65_500, 65_500, "1", start + bytes(64) + b"\xff\xd9", _JPEG, fragments=True)


def broken_jpeg_2000() -> bytes:
    """A codestream that ends after its size."""
    size = b"\xff\x4f\xff\x51\x00\x29\x00\x00" + pack(">8LH", 60_000, 60_000, 0, 0, 60_000, 60_000, 0, 0, 1) + b"\7\1\1"
    return _image(60_000, 60_000, "1", size + b"\0", _J2K, fragments=True)


def _document(content: bytes, kind: str, sop_class: str) -> bytes:
    elements = MINIMAL | {
        TAGS["SOPClassUID"]: ("UI", sop_class),
        TAGS["MIMETypeOfEncapsulatedDocument"]: ("LO", kind),
        TAGS["EncapsulatedDocument"]: ("OB", content),
    }
    return part10(encoded(elements))


def pdf_bomb() -> bytes:
    """A page whose content inflates to a gigabyte."""
    press = zlib.compressobj(9)
    stream = b"".join(press.compress(b" " * (1 << 20)) for _ in range(1000)) + press.flush()
    plain = pdf(["x"], {})
    start = plain.index(b"4 0 obj")
    end = plain.index(b"5 0 obj")
    body = b"4 0 obj\n<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (len(stream), stream)
    return _document(plain[:start] + body + plain[end:], "application/pdf", _PDF)


def pdf_that_eats_itself() -> bytes:
    """A tree of pages whose child is its own parent."""
    plain = pdf(["x"], {}).replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]")
    return _document(plain, "application/pdf", _PDF)


def billion_laughs() -> bytes:
    """XML entities of entities of entities."""
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    text = f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY l0 "Lindgren">{entities}]><ClinicalDocument>&l11;</ClinicalDocument>'
    return _document(text.encode().ljust(len(text) + len(text) % 2), "text/XML", _CDA)


BOMBS: tuple[Callable[[], bytes], ...] = (
    deflate_bomb,
    deflated_items,
    nested_items,
    nested_in_un,
    many_items,
    many_private_blocks,
    huge_length,
    long_text,
    one_long_word,
    many_names,
    image_without_pixels,
    endless_frames,
    run_length_bomb,
    jpeg_of_lies,
    broken_jpeg_2000,
    pdf_bomb,
    pdf_that_eats_itself,
    billion_laughs,
)
