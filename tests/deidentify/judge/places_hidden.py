"""Places where nobody looks: private elements, file meta and preamble, padding, icons, and elements that break the rules."""

from __future__ import annotations

import struct

from pydicom import Dataset
from pydicom.datadict import DicomDictionary

from tests.deidentify.judge.ground import Ground
from tests.deidentify.judge.promise import GONE, unlisted

_KNOWN_CREATORS = (
    (0x0029, "SIEMENS CSA HEADER", 0x10, "OB"),
    (0x0029, "SIEMENS MEDCOM HEADER", 0x20, "LO"),
    (0x0009, "GEMS_IDEN_01", 0x02, "SH"),
    (0x0009, "GEMS_IDEN_01", 0x30, "SH"),
    (0x2001, "Philips Imaging DD 001", 0xF3, "LO"),
    (0x2005, "Philips MR Imaging DD 005", 0x60, "LT"),
    (0x0033, "MITRA OBJECT UTF8 ATTRIBUTES 1.0", 0x13, "PN"),
    (0x0011, "AGFA PACS Archive Mirroring 1.0", 0x01, "LO"),
)
# Rows of Table E.3.10-1: creator, group, element, VR, value.
_SAFE = (
    ("Philips PET Private Group", 0x7053, 0x00, "DS", "1.25"),
    ("Philips PET Private Group", 0x7053, 0x09, "DS", "0.5"),
    ("GEMS_PARM_01", 0x0043, 0x6F, "DS", "3\\4\\5"),
    ("SIEMENS MR HEADER", 0x0019, 0x0C, "IS", "1000"),
    ("SIEMENS MR HEADER", 0x0019, 0x0D, "CS", "DIRECTIONAL"),
    ("GEMS_ACQU_01", 0x0019, 0x23, "DS", "12"),
)


def plant(ground: Ground) -> None:
    """Plant in all of them."""
    _private(ground, ground.ds, "")
    _safe_private(ground)
    inner = Dataset()
    _private(ground, inner, "nested ")
    if 0x00189346 not in ground.ds:
        ground.sequence(ground.ds, 0x00189346, inner)
    _meta(ground)
    _malformed(ground)
    _icon(ground)
    word = ground.inventor.word()
    ground.extras.append((0xFFFCFFFC, "OB", word.encode().ljust(16, b"\0")))
    ground.note("padding", "DataSetTrailingPadding", "bytes", word)


def _private(ground: Ground, ds: Dataset, where: str) -> None:
    make, category = ground.inventor, "private"
    creator = make.word()
    block = ds.private_block(0x0099, creator, create=True)
    ground.note(category, f"{where}creator's name", "name", creator)
    for number, vr in ((1, "LO"), (2, "UN"), (3, "OB"), (4, "LT"), (5, "PN"), (6, "UI"), (7, "DT")):
        value, shape, tokens, digits = ground.marker(vr)
        if vr == "UI":
            value, shape, tokens = make.uid(), "UID", ()
            tokens = (str(value),)
        elif vr == "DT":
            day = make.date().strftime("%Y%m%d")
            value, shape, tokens, digits = f"{day}101112", "date", (), (f"{day}101112",)
        block.add_new(number, vr, value)
        ground.note(category, f"{where}unknown creator ({vr})", shape, *tokens, digits=digits)
    inner, innermost = Dataset(), Dataset()
    ground.plant(inner, 0x00100010, "PN", category, f"{where}private sequence.")
    ground.plant(innermost, 0x00081030, "LO", category, f"{where}private sequence, sequence.")
    ground.sequence(inner, 0x00081140, innermost)
    block.add_new(0x10, "SQ", [inner])
    unknown = make.word()
    body = struct.pack("<HHL", 0x10, 0x10, 10) + unknown[:8].encode().ljust(10)
    block.add_new(0x11, "UN", struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body)
    ground.note(category, f"{where}sequence as UN", "name", unknown[:8])
    for group, name, number, vr in ground.random.sample(_KNOWN_CREATORS, 3):
        value, shape, tokens, digits = ground.marker(vr)
        known = ds.private_block(group, name, create=True)
        if known.get_tag(number) not in ds:
            known.add_new(number, vr, value)
            ground.note(category, f"{where}{name} {number:02X} ({vr})", shape, *tokens, digits=digits)
    orphan = make.word()
    if 0x00778801 not in ds:
        ground.put(ds, 0x00778801, "LO", orphan)
        ground.note(category, f"{where}without creator", "name", orphan)


def _safe_private(ground: Ground) -> None:
    """Put in private elements that Table E.3.10-1 calls safe, beside one that it does not."""
    for creator, group, number, vr, value in ground.random.sample(_SAFE, 3):
        block = ground.ds.private_block(group, creator, create=True)
        tag = int(block.get_tag(number))
        if tag in ground.ds:
            continue
        block.add_new(number, vr, value)
        if ground.promise.has("retain-safe-private"):
            ground.keep("safe private", (tag,), value, creator=creator)
        word = ground.inventor.word()
        if block.get_tag(0xF1) not in ground.ds:
            block.add_new(0xF1, "LO", word)
            ground.note("private", f"{creator} F1 (LO)", "word", word)


def _meta(ground: Ground) -> None:
    meta, make, category = ground.ds.file_meta, ground.inventor, "preamble and meta"
    for keyword in ("SourceApplicationEntityTitle", "ImplementationVersionName", "SendingApplicationEntityTitle"):
        word = make.word()
        setattr(meta, keyword, word.upper()[:16])
        ground.note(category, keyword, "word", word)
    meta.PrivateInformationCreatorUID = make.uid()
    ground.note(category, "PrivateInformationCreatorUID", "UID", meta.PrivateInformationCreatorUID)
    word = make.word()
    meta.PrivateInformation = word.encode() + b" " * (len(word) % 2)
    ground.note(category, "PrivateInformation", "bytes", word)
    word = make.word()
    ground.ds.preamble = f"{word} {ground.person.given}".encode().ljust(128, b"\0")[:128]
    ground.note(category, "preamble", "bytes", word)


def _malformed(ground: Ground) -> None:
    """Elements that no reader expects; `encode` writes them next to what pydicom writes."""
    category, make, extra = "malformed", ground.inventor, ground.extras
    ground.truth.breaks_rules = make.random.random() < 0.5
    if not ground.truth.breaks_rules:
        return

    def free(tag: int) -> bool:
        return tag not in ground.ds and all(tag != other for other, _, _ in extra)

    def add(tag: int, vr: str, value: str, what: str, *tokens: str) -> None:
        extra.append((tag, vr, value.encode()))
        name = DicomDictionary[tag][4] if tag in DicomDictionary else f"{tag:08X}"
        ground.note(category, f"{name} {what}", "word", *(tokens or (value.strip(),)))

    for tag, vr in ((0x00100010, "PN"), (0x00081030, "LO"), (0x00080080, "LO")):
        if ground.random.random() < 0.5:
            add(tag, vr, make.word(), "twice")
    for tag, vr in ((0x00102160, "UN"), (0x00102180, "OB"), (0x00081080, "UN"), (0x00321032, "LT"), (0x00102297, "UT")):
        if free(tag) and ground.promise.of(tag, str(DicomDictionary[tag][0])) == GONE:
            add(tag, vr, make.word(), f"as {vr}")
    for tag, what in ((0x00080058, "UI"), (0x00180060, "DS"), (0x00200012, "IS"), (0x00180088, "DS")):
        if free(tag):
            vr = DicomDictionary[tag][0]
            add(tag, str(vr), make.word(), f"text in {what}")
    for tag in ground.random.sample((*unlisted("DA"), 0x00181012, 0x0008002A), 2):
        if free(tag):
            ground.truth.dates[:] = [entry for entry in ground.truth.dates if entry[0] != (tag,)]
            add(tag, str(DicomDictionary[tag][0]), make.word(), "text in a date")
    for tag in ground.random.sample(unlisted("LO"), 2):
        if free(tag):
            hidden = make.word()
            add(tag, "LO", f"A\0{hidden}", "behind a NUL", hidden)
    for tag in ground.random.sample(unlisted("CS"), 2):
        if free(tag):
            add(tag, "CS", make.word(), "small letters in CS")
    for tag in ground.random.sample(unlisted("OB"), 2):
        if free(tag):
            add(tag, "OB", f"{make.word()} {make.word()}", "text in OB")
    for vr in ("US", "FD"):
        for tag in ground.random.sample(unlisted(vr), 1):
            if free(tag):
                word = (make.word() + make.word())[:16].ljust(16)
                add(tag, vr, word, f"text in {vr}", word.strip()[:8])
    add(0x00100000, "LO", make.word(), "group length with text")
    ground.extras.append((0x00080000, "UL", struct.pack("<L", 4711)))


def _icon(ground: Ground) -> None:
    if 0x00880200 in ground.ds:
        return
    icon = Dataset()
    icon.Rows = icon.Columns = 64
    icon.SamplesPerPixel, icon.PhotometricInterpretation = 1, "MONOCHROME2"
    icon.BitsAllocated = icon.BitsStored = 8
    icon.HighBit, icon.PixelRepresentation = 7, 0
    pixels = ground.random.randbytes(4096)
    icon.add_new(0x7FE00010, "OB", pixels)
    ground.sequence(ground.ds, 0x00880200, icon)
    ground.note_raw("icons", "IconImageSequence.PixelData", "pixels", pixels[1024:1056])
