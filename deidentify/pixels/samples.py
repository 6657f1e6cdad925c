"""Samples of frames: from the bytes of native pixel data, and what of them a person would see (PS3.3 C.7.6.3).

Nothing is written here; where the bytes of a box are in a frame is in `deidentify.pixels.native`.
"""

from __future__ import annotations

from struct import unpack

import numpy as np

from deidentify.pixels.codecs import Samples
from deidentify.pixels.facts import PixelFacts
from deidentify.pixels.network import Picture

_LOW, _HIGH = 0.5, 99.5
_NARROW = 0.6


def of_bytes(frame: bytes, facts: PixelFacts) -> Samples:
    """Return the samples of a native frame of whole bytes, rows by columns, by samples where there are several."""
    kind = f"{'<' if facts.little else '>'}u{facts.allocated // 8}"
    values = np.frombuffer(frame, kind)
    if facts.photometric == "YBR_FULL_422":
        pairs = values.reshape(facts.rows, facts.columns // 2, 4)
        chroma = np.repeat(pairs[:, :, None, 2:], 2, axis=2).reshape(facts.rows, facts.columns, 2)
        light = pairs[:, :, :2].reshape(facts.rows, facts.columns, 1)
        return np.concatenate((light, chroma), axis=2)
    if facts.samples == 1:
        return values.reshape(facts.rows, facts.columns)
    if facts.planar:
        return values.reshape(facts.samples, facts.rows, facts.columns).transpose(1, 2, 0)
    return values.reshape(facts.rows, facts.columns, facts.samples)


def unused_bits(values: Samples, facts: PixelFacts) -> bool:
    """Tell whether bits outside of BitsStored hold anything but zeros, a sign, or PixelPaddingValue (PS3.5 8.1.1)."""
    if not 0 < facts.stored < facts.allocated or values.dtype.kind != "u" or values.dtype.itemsize * 8 <= facts.stored:
        return False
    used = _used(facts)
    outside = values & values.dtype.type(~used & ((1 << values.dtype.itemsize * 8) - 1))
    if not outside.any():
        return False
    whole = (1 << values.dtype.itemsize * 8) - 1
    above = whole & ~((1 << (facts.high_bit + 1)) - 1)
    extended = (outside == above) & (values >> facts.high_bit & 1 == 1) if facts.signed else outside == -1
    padding = values == facts.padding if facts.padding is not None else outside == -1
    return bool((outside.astype(bool) & ~extended & ~padding).any())


def only_used_bits(values: Samples, facts: PixelFacts) -> Samples:
    """Return the samples with every bit outside of BitsStored set to zero, or to the sign."""
    size = values.dtype.itemsize * 8
    result = values & values.dtype.type(_used(facts))
    if facts.signed:
        above = ((1 << size) - 1) & ~((1 << (facts.high_bit + 1)) - 1)
        result = np.where(result >> facts.high_bit & 1 == 1, result | values.dtype.type(above), result)
    changed: Samples = result.astype(values.dtype)
    return changed


def _used(facts: PixelFacts) -> int:
    return ((1 << facts.stored) - 1) << max(facts.high_bit + 1 - facts.stored, 0)


def visible(values: Samples, facts: PixelFacts, *, rgb: bool) -> Samples:
    """Return grey values with their sign, or red, green and blue.

    Parameters
    ----------
    values : array
        Samples as they are stored, unsigned, or as a codec gives them.
    rgb : bool
        Whether three samples are red, green and blue whatever PhotometricInterpretation says.
    """
    if facts.photometric == "PALETTE COLOR" and facts.palette:
        return _coloured(values, facts)
    if values.ndim == 3:
        return values if rgb or not facts.photometric.startswith("YBR_") else _from_ybr(values)
    if values.dtype.kind != "u" or not 0 < facts.stored <= values.dtype.itemsize * 8:
        return values
    wide = np.int64 if values.dtype.itemsize > 2 else np.int32
    grey: Samples = values.astype(wide)
    grey = (grey >> max(facts.high_bit + 1 - facts.stored, 0)) & ((1 << facts.stored) - 1)
    if facts.signed:
        grey = np.where(grey >> (facts.stored - 1) == 1, grey - (1 << facts.stored), grey)
    return grey


def _from_ybr(values: Samples) -> Samples:
    """Convert YBR_FULL (PS3.3 C.7.6.3.1.2)."""
    half = 1 << (values.dtype.itemsize * 8 - 1)
    y, blue, red = (values[..., at].astype(np.float32) for at in range(3))
    colours = (
        y + 1.402 * (red - half),
        y - 0.344136 * (blue - half) - 0.714136 * (red - half),
        y + 1.772 * (blue - half),
    )
    clipped: Samples = np.clip(np.stack(colours, axis=2), 0, 2 * half - 1).astype(values.dtype)
    return clipped


def palette(facts: PixelFacts) -> tuple[int, Samples]:
    """Return the first index that is mapped, and the colours from there on, 8 bits each (PS3.3 C.7.9)."""
    order = "<" if facts.little else ">"
    planes, first = [], 0
    for descriptor, data in facts.palette:
        count, first, bits = unpack(order + "3H", descriptor[:6])
        count = count or 1 << 16
        if len(data) >= 2 * count:
            entries = np.frombuffer(data[: 2 * count], f"{order}u2")
            planes.append((entries >> 8 if bits > 8 or int(entries.max()) > 255 else entries).astype(np.uint8))
        else:
            planes.append(np.frombuffer(data[:count].ljust(count, b"\0"), np.uint8))
    length = min(len(plane) for plane in planes)
    return first, np.stack([plane[:length] for plane in planes], axis=1)


def _coloured(values: Samples, facts: PixelFacts) -> Samples:
    first, colours = palette(facts)
    return colours[np.clip(values.astype(np.int64) - first, 0, len(colours) - 1)]


def pictures(values: Samples) -> list[Picture]:
    """Return what is visible as pictures of 8 bits: the middle of the values, and all of them where that differs."""
    sample = values[:: max(values.shape[0] // 512, 1), :: max(values.shape[1] // 512, 1)]
    low, high = (float(value) for value in np.percentile(sample, (_LOW, _HIGH), method="nearest"))
    least, most = float(values.min()), float(values.max())
    if least == most:
        return []
    result = []
    if high > low:
        result.append(_stretched(values, low, high))
    if not result or high - low < _NARROW * (most - least):
        result.append(_stretched(values, least, most))
    return result


def whole(values: Samples) -> Picture:
    """Return what is visible as a picture of 8 bits with all of the values."""
    return _stretched(values, float(values.min()), float(values.max()))


def _stretched(values: Samples, low: float, high: float) -> Picture:
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    picture: Picture = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return picture
