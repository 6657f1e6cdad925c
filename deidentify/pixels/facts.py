"""What the pixel part needs to know of a header, as numbers and words (PS3.3 C.7.6.3).

Read from raw values, so that no data set has to be built; nothing is decided here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deidentify.dictionary import TAGS
from deidentify.part10 import EXPLICIT_BIG
from deidentify.pixels.boxes import Box

_LUTS = (
    "RedPaletteColorLookupTable",
    "GreenPaletteColorLookupTable",
    "BluePaletteColorLookupTable",
)
_KEYWORDS = (
    "SOPClassUID",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "ImageType",
    "ConversionType",
    "BurnedInAnnotation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "ImagePositionPatient",
    "ImageOrientationPatient",
)
_OVERLAY_BIT = tuple((group << 16) | 0x0102 for group in range(0x6000, 0x6020, 2))

NEEDED: frozenset[int] = frozenset(
    [TAGS[keyword] for keyword in _KEYWORDS]
    + [TAGS[f"{lut}{part}"] for lut in _LUTS for part in ("Descriptor", "Data")]
    + list(_OVERLAY_BIT)
)
"""Tags of the top level whose raw values `facts_of` looks at; none is longer than `LONGEST_NEEDED`."""
LONGEST_NEEDED = 1 << 17


@dataclass(frozen=True, slots=True)
class PixelFacts:
    """The attributes of one object that say how its pixel data is built and how risky it is.

    Attributes
    ----------
    sop_class, transfer_syntax_uid, modality, manufacturer, model, conversion_type, burned_in : str
        Upper case except for UIDs; empty when missing.
    image_type : tuple of str
        Upper case.
    rows, columns, frames, samples, allocated, stored, high_bit, planar : int
        0 where a number is missing or cannot be read; frames, then, is 1.
    signed : bool
        PixelRepresentation 1.
    photometric : str
        PhotometricInterpretation.
    little : bool
        Byte order.
    padding : int or None
        PixelPaddingValue as the unsigned number of `allocated` bits.
    palette : tuple of (bytes, bytes)
        Descriptor and data of the red, green and blue lookup tables, or nothing.
    overlay_in_pixels : bool
        Whether an overlay says that its bits are in the pixel data (retired, PS3.3-2004 C.9.2).
    regions : tuple of Box
        SequenceOfUltrasoundRegions.
    placed : bool
        Whether it says where in the patient it lies (PS3.3 C.7.6.2), as a slice does and a picture of a screen does not.
    """

    sop_class: str
    transfer_syntax_uid: str
    modality: str = ""
    manufacturer: str = ""
    model: str = ""
    image_type: tuple[str, ...] = ()
    conversion_type: str = ""
    burned_in: str = ""
    rows: int = 0
    columns: int = 0
    frames: int = 1
    samples: int = 1
    photometric: str = ""
    planar: int = 0
    allocated: int = 0
    stored: int = 0
    high_bit: int = 0
    signed: bool = False
    little: bool = True
    padding: int | None = None
    palette: tuple[tuple[bytes, bytes], ...] = ()
    overlay_in_pixels: bool = False
    regions: tuple[Box, ...] = ()
    placed: bool = False

    @property
    def frame_bits(self) -> int:
        """Bits of one uncompressed frame (PS3.5 8.1.1); YBR_FULL_422 has two samples for each pixel."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * samples * self.allocated


def facts_of(
    values: Mapping[int, bytes], sop_class: str, transfer_syntax_uid: str, regions: Sequence[Box] = ()
) -> PixelFacts:
    """Return the facts of raw values; what cannot be read counts as missing.

    Parameters
    ----------
    values : mapping of int to bytes
        Raw values of the top level, of the tags in `NEEDED`, in the byte order of the transfer syntax.
    sop_class : str
        SOP Class UID.
    transfer_syntax_uid : str
        The encoding that the object really has.
    regions : sequence of Box, optional
        The ultrasound regions (PS3.3 C.8.5.5).
    """
    little = transfer_syntax_uid != EXPLICIT_BIG
    order = "<" if little else ">"

    def text(keyword: str) -> str:
        return values.get(TAGS[keyword], b"").decode("latin-1").strip("\0 ").upper()

    def number(keyword: str) -> int:
        raw = values.get(TAGS[keyword], b"")
        return int(struct.unpack(order + "H", raw[:2])[0]) if len(raw) >= 2 else 0

    frames = text("NumberOfFrames").split("\\")[0]
    allocated = number("BitsAllocated")
    padding = values.get(TAGS["PixelPaddingValue"], b"")
    palette = tuple(
        (values[TAGS[f"{lut}Descriptor"]], values[TAGS[f"{lut}Data"]])
        for lut in _LUTS
        if TAGS[f"{lut}Descriptor"] in values and TAGS[f"{lut}Data"] in values
    )
    return PixelFacts(
        sop_class=sop_class,
        transfer_syntax_uid=transfer_syntax_uid,
        modality=text("Modality"),
        manufacturer=text("Manufacturer"),
        model=text("ManufacturerModelName"),
        image_type=tuple(part.strip() for part in text("ImageType").split("\\")) if text("ImageType") else (),
        conversion_type=text("ConversionType"),
        burned_in=text("BurnedInAnnotation"),
        rows=number("Rows"),
        columns=number("Columns"),
        frames=int(frames) if frames.isascii() and frames.isdigit() else (0 if frames else 1),
        samples=number("SamplesPerPixel"),
        photometric=text("PhotometricInterpretation"),
        planar=number("PlanarConfiguration"),
        allocated=allocated,
        stored=number("BitsStored"),
        high_bit=number("HighBit"),
        signed=number("PixelRepresentation") == 1,
        little=little,
        padding=int.from_bytes(padding[:2], "little" if little else "big") if len(padding) >= 2 else None,
        palette=palette if len(palette) == 3 else (),
        overlay_in_pixels=any(int.from_bytes(values.get(tag, b""), "big") for tag in _OVERLAY_BIT),
        regions=tuple(regions),
        placed=all(text(keyword) for keyword in ("ImagePositionPatient", "ImageOrientationPatient")),
    )
