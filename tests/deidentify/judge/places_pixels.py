"""Places one can see: text drawn into the pixels, overlays beside them and in their unused bits, and curves."""

from __future__ import annotations

import numpy
from PIL import Image, ImageDraw, ImageFont

from tests.deidentify.judge.ground import Ground
from tests.deidentify.judge.truth import Ink


def plant(ground: Ground) -> None:
    """Plant in the pixels of what is made for drawing, and beside them everywhere."""
    if ground.truth.kind.endswith("-ink"):
        _burn(ground)
    if "PixelData" in ground.ds:
        _overlay(ground)
    if ground.truth.kind == "XA":
        _unused_bits(ground)
    _curve(ground)


def _drawn(text: str, height: int) -> numpy.ndarray:
    """Return the ink of a line of text, as True and False."""
    font = ImageFont.load_default(size=height)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4), 0)
    ImageDraw.Draw(image).text((2 - left, 2 - top), text, fill=255, font=font)
    return numpy.asarray(image) > 127


def _burn(ground: Ground) -> None:
    ds, make = ground.ds, ground.inventor
    ds.BurnedInAnnotation = ground.random.choice(("NO", "YES", ""))
    if not ds.BurnedInAnnotation:
        del ds.BurnedInAnnotation
    rgb, frames = ds.SamplesPerPixel == 3, int(ds.get("NumberOfFrames", 1))
    shape = (frames, ds.Rows, ds.Columns, 3) if rgb else (frames, ds.Rows, ds.Columns)
    pixels = numpy.frombuffer(ds.PixelData, "uint8" if ds.BitsAllocated == 8 else "<u2").reshape(shape).copy()
    bright = (1 << min(ds.BitsStored, 12)) - 1 if ds.BitsAllocated == 16 else 250
    day = make.date()
    lines = [
        f"{make.word().upper()}, {make.word().upper()}",
        f"ID: {make.number(8)}",
        f"DOB {day:%d.%m.%Y}",
        f"{make.word()} Hospital",
    ]
    height = ground.random.choice((14, 18, 22, 26))
    corner = ground.random.randrange(4)
    for number, line in enumerate(lines):
        mask = _drawn(line, height)[:, : ds.Columns - 12]
        rows, columns = mask.shape
        y = 6 + number * (height + 6) if corner < 2 else ds.Rows - 6 - (number + 1) * (height + 6)
        x = 6 if corner % 2 == 0 else ds.Columns - columns - 6
        area = pixels[:, y : y + rows, x : x + columns]
        area[:, mask] = bright
        ground.truth.inks.append(Ink(f"line {number + 1} of {height} points", (x, y, columns, rows), mask.tobytes()))
    ds.PixelData = pixels.tobytes()


def _overlay(ground: Ground) -> None:
    ds = ground.ds
    rows, columns = 32, 64
    bits = numpy.packbits(_drawn(ground.inventor.word(), 20).ravel(), bitorder="little").tobytes()
    bits = bits.ljust(rows * columns // 8, b"\0")[: rows * columns // 8]
    group = 0x60020000 if 0x60000010 in ds else 0x60000000
    for element, vr, value in (
        (0x0010, "US", rows),
        (0x0011, "US", columns),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", 1),
        (0x0102, "US", 0),
        (0x3000, "OW", bits),
    ):
        ground.put(ds, group + element, vr, value)
    raw = bits.strip(b"\0")
    ground.note_raw("overlays", "OverlayData", "bitmap", raw[len(raw) // 3 : len(raw) // 3 + 24])
    for element, vr in ((0x1500, "LO"), (0x0022, "LO"), (0x4000, "LT")):
        word = ground.inventor.word()
        ground.put(ds, group + element, vr, word)
        ground.note("overlays", f"60xx,{element:04X} ({vr})", "word", word)


def _unused_bits(ground: Ground) -> None:
    """Draw a name into a bit that the image does not use, as an overlay of the old kind (PS3.3 C.9.2, retired)."""
    ds, group = ground.ds, 0x60040000
    pixels = numpy.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns).copy()
    mask = _drawn(ground.inventor.word(), 24)[:, : ds.Columns - 20]
    rows, columns = mask.shape
    area = pixels[100 : 100 + rows, 10 : 10 + columns]
    area[mask] |= 0x8000
    ds.PixelData = pixels.tobytes()
    for element, vr, value in (
        (0x0010, "US", ds.Rows),
        (0x0011, "US", ds.Columns),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", 16),
        (0x0102, "US", 15),
    ):
        ground.put(ds, group + element, vr, value)
    line = int(mask.sum(axis=1).argmax())
    ground.note_raw("overlays", "an unused bit of PixelData", "bitmap", area[line].tobytes())


def _curve(ground: Ground) -> None:
    ds, category = ground.ds, "curves"
    for element, vr in ((0x0022, "LO"), (0x2500, "LO"), (0x0030, "SH"), (0x0040, "SH")):
        word = ground.inventor.word()
        ground.put(ds, 0x50000000 + element, vr, word)
        ground.note(category, f"50xx,{element:04X} ({vr})", "word", word)
    word = ground.inventor.word()
    ground.put(ds, 0x50003000, "OW", (word + "x" * (len(word) % 2)).encode())
    ground.note(category, "50xx,3000 (OW)", "bytes", word)
