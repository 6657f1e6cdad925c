"""Boxes in uncompressed frames: which bytes they are and what black is (PS3.3 C.7.6.3, PS3.5 8.1).

Works on offsets; no pixel is read here but those of frames with one bit for each pixel.
"""

from __future__ import annotations

from collections.abc import Iterable

from deidentify.pixels.boxes import Box, rows_of
from deidentify.pixels.facts import PixelFacts

Runs = tuple[tuple[int, bytes], ...]


def black(facts: PixelFacts, darkest: int) -> tuple[int, ...]:
    """Return the sample values of a blanked pixel.

    Parameters
    ----------
    facts : PixelFacts
        Of the object.
    darkest : int
        The value that its own pixels have where they are darkest; used where no value is black for sure (signed values
        and palettes).
    """
    if facts.photometric.startswith("YBR_FULL") and facts.samples == 3:
        return 0, 1 << (facts.allocated - 1), 1 << (facts.allocated - 1)
    if facts.samples > 1:
        return (0,) * facts.samples
    if facts.signed or facts.photometric == "PALETTE COLOR":
        return (darkest & ((1 << facts.allocated) - 1),)
    if facts.photometric == "MONOCHROME1":
        return (((1 << facts.stored) - 1) << max(facts.high_bit + 1 - facts.stored, 0),)
    return (0,)


def runs(facts: PixelFacts, boxes: Iterable[Box], pixel: tuple[int, ...], *, swapped: bool) -> Runs:
    """Return where in a frame of whole bytes the boxes are, and the bytes to put there.

    Parameters
    ----------
    swapped : bool
        Whether bytes stand in pairs the other way round (OW of 8 bits in big endian); runs then reach out to pairs.
    """
    size = facts.allocated // 8
    order = "little" if facts.little else "big"
    values = [sample.to_bytes(size, order) for sample in pixel]  # type: ignore[arg-type]  # one of two literals
    found: list[tuple[int, bytes]] = []
    for row, left, right in rows_of(boxes):
        if facts.photometric == "YBR_FULL_422":
            first, end = left // 2, -(-right // 2)
            pair = values[0] * 2 + values[1] + values[2]
            found.append((row * facts.columns * 2 + first * 4, pair * (end - first)))
        elif facts.samples > 1 and facts.planar:
            plane = facts.rows * facts.columns * size
            found += [
                (number * plane + (row * facts.columns + left) * size, value * (right - left))
                for number, value in enumerate(values)
            ]
        else:
            found.append(((row * facts.columns + left) * size * len(values), b"".join(values) * (right - left)))
    if swapped:
        found = [(at & ~1, new[:1] * (((at + len(new) + 1) & ~1) - (at & ~1))) for at, new in found]
    return tuple(_merged(sorted(found)))


def _merged(found: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Join runs that overlap or touch; equal runs share their bytes."""
    result: list[tuple[int, bytes]] = []
    shared: dict[bytes, bytes] = {}
    for at, new in found:
        if result and result[-1][0] + len(result[-1][1]) >= at:
            before, old = result[-1]
            new = old[: at - before] + new
            at = before
            result.pop()
        result.append((at, shared.setdefault(new, new)))
    return result


def bits_blanked(value: bytes, facts: PixelFacts, boxes: Iterable[Box]) -> bytes:
    """Return pixel data of one bit for each pixel with the boxes blanked; frames follow each other bit by bit."""
    import numpy as np

    bits = np.unpackbits(np.frombuffer(value, np.uint8), bitorder="little")
    size = facts.rows * facts.columns
    frames = bits[: size * facts.frames].reshape(facts.frames, facts.rows, facts.columns)
    for box in boxes:
        frames[:, box.y : box.bottom, box.x : box.right] = facts.photometric == "MONOCHROME1"
    return np.packbits(bits[: size * facts.frames], bitorder="little").tobytes()
