"""Compressed frames: what their own header says, decoding, and encoding without loss in the same syntax.

The codecs are imagecodecs' and, for JPEG-LS, pyjpegls', loaded when they are needed. An encoded frame is decoded again
and compared before it is used.
"""

from __future__ import annotations

from struct import pack, unpack
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deidentify.errors import Refused
from deidentify.pixels.facts import PixelFacts
from deidentify.pixels.families import HTJ2K, JPEG_2000, JPEG_LOSSLESS, JPEG_LS, RLE

Samples = npt.NDArray[Any]

_UNDECIDED = "The pixel data cannot be decoded, so it cannot be told whether it carries text."


class Form(NamedTuple):
    """What a codestream says of itself."""

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool
    transformed: bool


def form_of(family: str, frame: bytes, facts: PixelFacts) -> Form:
    """Read the header of a codestream.

    Raises
    ------
    Refused
        ``pixels-undecided``, when it has none or does not fit the header of the object.
    """
    if family == RLE:
        return Form(facts.rows, facts.columns, facts.samples, facts.allocated, False, False)
    form = _size_marker(frame) if family in (JPEG_2000, HTJ2K) else _frame_marker(frame)
    if form is None or (form.rows, form.columns, form.components) != (facts.rows, facts.columns, facts.samples):
        raise Refused("pixels-undecided", "The compressed pixel data does not fit the size that the header gives.")
    return form


def _frame_marker(frame: bytes) -> Form | None:
    """Read SOFn of ITU-T T.81 B.2.2 or SOF55 of T.87."""
    at = 2
    while at + 10 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in (0xF7, *range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)):
            precision, rows, columns, components = unpack(">BHHB", frame[at + 4 : at + 10])
            return Form(rows, columns, components, precision, False, False)
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def _size_marker(frame: bytes) -> Form | None:
    """Read SIZ and COD of ITU-T T.800 A.5 and A.6."""
    start = frame.find(b"\xff\x4f\xff\x51")
    if start < 0 or start + 43 > len(frame):
        return None
    right, bottom, left, top = unpack(">4L", frame[start + 8 : start + 24])
    components, depth = unpack(">HB", frame[start + 40 : start + 43])
    coding = frame.find(b"\xff\x52", start)
    transformed = coding >= 0 and len(frame) > coding + 8 and frame[coding + 8] == 1
    return Form(bottom - top, right - left, components, (depth & 0x7F) + 1, depth > 0x7F, transformed)


def decoded(family: str, frame: bytes, facts: PixelFacts) -> Samples:
    """Return the samples of a frame, rows by columns, by components where there are several.

    Raises
    ------
    Refused
        ``pixels-undecided``.
    """
    form_of(family, frame, facts)
    try:
        samples = _decode(family, frame, facts)
    except Refused:
        raise
    except Exception:  # noqa: BLE001  # each codec has errors of its own, and their texts may hold anything
        raise Refused("pixels-undecided", _UNDECIDED) from None
    wanted = (facts.rows, facts.columns) + ((facts.samples,) if facts.samples > 1 else ())
    if samples.shape != wanted:
        raise Refused("pixels-undecided", _UNDECIDED)
    return samples


def _decode(family: str, frame: bytes, facts: PixelFacts) -> Samples:
    import imagecodecs

    samples: Samples
    if family == RLE:
        return _rle_decoded(frame, facts)
    if family == JPEG_LS:
        samples = imagecodecs.jpegls_decode(frame)
    elif family == JPEG_2000:
        samples = imagecodecs.jpeg2k_decode(frame, planar=False, numthreads=1)
    elif family == HTJ2K:
        samples = imagecodecs.htj2k_decode(frame, planar=False)
    elif family == JPEG_LOSSLESS and facts.samples > 1:
        samples = imagecodecs.jpeg8_decode(frame, colorspace="RGB", outcolorspace="RGB")
    else:
        samples = imagecodecs.jpeg8_decode(frame)
    return samples


def encoded(family: str, samples: Samples, form: Form, facts: PixelFacts) -> bytes | None:
    """Return a frame encoded without loss, or None where no encoder gives back exactly what it was given."""
    try:
        frame = _encode(family, samples, form, facts)
        again = form_of(family, frame, facts)
        if again._replace(transformed=form.transformed) != form:
            return None
        return frame if np.array_equal(_decode(family, frame, facts), samples) else None
    except Exception:  # noqa: BLE001  # each codec has errors of its own; what it cannot do is stored uncompressed
        return None


def _encode(family: str, samples: Samples, form: Form, facts: PixelFacts) -> bytes:
    import imagecodecs

    if family == RLE:
        return _rle_encoded(samples)
    if family == JPEG_LS:
        from jpeg_ls import encode_pixel_data  # type: ignore[import-untyped]  # it has no types

        return bytes(
            encode_pixel_data(
                samples.tobytes(),
                rows=facts.rows,
                columns=facts.columns,
                samples_per_pixel=facts.samples,
                bits_stored=form.precision,
                photometric_interpretation=facts.photometric,
                planar_configuration=0,
                interleave_mode=2 if facts.samples > 1 else 0,
                lossy_error=0,
            )
        )
    if family == JPEG_2000:
        return bytes(
            imagecodecs.jpeg2k_encode(
                samples,
                level=0,
                codecformat="j2k",
                reversible=True,
                mct=form.transformed,
                bitspersample=form.precision,
                numthreads=1,
            )
        )
    if family == HTJ2K:
        return bytes(imagecodecs.htj2k_encode(samples, rgb=form.transformed, reversible=True))
    space = "RGB" if facts.samples > 1 else None
    return bytes(
        imagecodecs.jpeg8_encode(
            samples, lossless=True, predictor=1, bitspersample=form.precision, colorspace=space, outcolorspace=space
        )
    )


def _rle_decoded(frame: bytes, facts: PixelFacts) -> Samples:
    """Decode PS3.5 Annex G: one segment for each byte of each sample, the most significant first."""
    import imagecodecs

    depth = facts.allocated // 8
    count, *offsets = unpack("<16L", frame[:64])
    if count != depth * facts.samples or facts.allocated % 8:
        raise Refused("pixels-undecided", _UNDECIDED)
    size = facts.rows * facts.columns
    ends = [*offsets[1:count], len(frame)]
    planes = [
        np.frombuffer(imagecodecs.packbits_decode(frame[start:end])[:size], np.uint8)
        for start, end in zip(offsets[:count], ends, strict=True)
    ]
    samples = np.stack(planes).reshape(facts.samples, depth, size).transpose(2, 0, 1)
    values = np.ascontiguousarray(samples).view(f">u{depth}").astype(f"<u{depth}")
    shape = (facts.rows, facts.columns) + ((facts.samples,) if facts.samples > 1 else ())
    return values.reshape(shape)


def _rle_encoded(samples: Samples) -> bytes:
    import imagecodecs

    rows, columns = samples.shape[:2]
    depth = samples.dtype.itemsize
    values = samples.reshape(rows, columns, -1).astype(f">u{depth}")
    planes = values.view(np.uint8).reshape(rows, columns, -1).transpose(2, 0, 1)
    segments = []
    for plane in planes:
        segment: bytes = b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in plane)
        segments.append(segment + b"\0" * (len(segment) % 2))
    offsets, at = [], 64
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    return pack("<16L", len(segments), *offsets, *[0] * (15 - len(segments))) + b"".join(segments)
