"""Writing a prepared object: any uncompressed transfer syntax, and the elements that pydicom would not write.

Also the drawn images in lossless compression, where an encoder is installed.
"""

from __future__ import annotations

import warnings
import zlib
from io import BytesIO
from random import Random
from struct import pack

import numpy
from pydicom import Dataset
from pydicom.charset import convert_encodings
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_data_element, write_file_meta_info
from pydicom.uid import UID

IMPLICIT, EXPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
RLE, JPEG_2000 = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"
_PLAIN = (IMPLICIT, EXPLICIT, EXPLICIT, BIG, DEFLATED)
_LONG = {"OB", "OW", "UN", "UT", "UC", "UR", "OD", "OF", "OL"}


def choose_transfer_syntax(ds: Dataset, random: Random, *, drawn: bool) -> None:
    """Move an uncompressed object to another transfer syntax of the ten."""
    now = str(ds.file_meta.TransferSyntaxUID)
    if now not in _PLAIN:
        return
    wanted = random.choice((*_PLAIN, RLE, JPEG_2000) if drawn else _PLAIN)
    if wanted in (RLE, JPEG_2000):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds.compress(UID(wanted), generate_instance_uid=False)
        return
    words = ds.get("BitsAllocated") == 16 and "PixelData" in ds
    if words and (now == BIG) != (wanted == BIG):
        ds.PixelData = numpy.frombuffer(ds.PixelData, "<u2").byteswap().tobytes()
    ds.file_meta.TransferSyntaxUID = wanted


def part10(ds: Dataset, extras: list[tuple[int, str, bytes]], tail: bytes = b"") -> bytes:
    """Return the object as a file, with `extras` (tag, VR, value) among its elements as they are."""
    syntax = str(ds.file_meta.TransferSyntaxUID)
    implicit, little = syntax == IMPLICIT, syntax != BIG
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        body = _dataset(ds, extras, implicit=implicit, little=little)
        meta = BytesIO()
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.file_meta.ImplementationClassUID = ds.file_meta.get("ImplementationClassUID", "1.2.3.4")
        write_file_meta_info(meta, ds.file_meta, enforce_standard=False)
    if syntax == DEFLATED:
        press = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = press.compress(body) + press.flush()
        body += b"\0" * (len(body) % 2)
    return ds.preamble + b"DICM" + meta.getvalue() + body + tail


def _dataset(ds: Dataset, extras: list[tuple[int, str, bytes]], *, implicit: bool, little: bool) -> bytes:
    pixels = ds.get("PixelData")
    if pixels is not None and ds.file_meta.TransferSyntaxUID.is_compressed and not _is_deflated(ds):
        ds["PixelData"].is_undefined_length = True
        ds["PixelData"].VR = "OB"
    ds = correct_ambiguous_vr(ds, little)
    encodings = convert_encodings(ds.get("SpecificCharacterSet", "ISO_IR 6"))
    pieces: list[tuple[int, bytes]] = []
    for tag in ds.keys():  # noqa: SIM118  # a data set iterates over its elements
        if tag.element == 0:
            continue
        out = DicomBytesIO()
        out.is_implicit_VR, out.is_little_endian = implicit, little
        write_data_element(out, ds[tag], encodings)
        pieces.append((int(tag), out.getvalue()))
    pieces += [(tag, _raw(tag, vr, value, implicit, little)) for tag, vr, value in extras]
    return b"".join(piece for _, piece in sorted(pieces, key=lambda piece: piece[0]))


def _raw(tag: int, vr: str, value: bytes, implicit: bool, little: bool) -> bytes:
    order = "<" if little else ">"
    value += (b"\0" if vr in ("OB", "UN", "UI") else b" ") * (len(value) % 2)
    group, element = tag >> 16, tag & 0xFFFF
    if implicit:
        return pack(order + "HHL", group, element, len(value)) + value
    if vr in _LONG:
        return pack(order + "HH2sHL", group, element, vr.encode(), 0, len(value)) + value
    return pack(order + "HH2sH", group, element, vr.encode(), len(value)) + value


def _is_deflated(ds: Dataset) -> bool:
    return str(ds.file_meta.TransferSyntaxUID) == DEFLATED
