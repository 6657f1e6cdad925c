"""Frames in encapsulated pixel data (PS3.5 A.4): where their fragments are, and how new ones are written.

Only items and offsets are looked at; what a frame holds is for `deidentify.pixels.codecs`.
"""

from __future__ import annotations

from bisect import bisect_right
from struct import pack, unpack

from deidentify.errors import Refused
from deidentify.source import Source

_ITEM, _DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"
_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")
_LONGEST_TABLE = 1 << 24

Frame = list[tuple[int, int]]


def frames_of(source: Source, offset: int, length: int, count: int, extended: bytes = b"") -> list[Frame]:
    """Return offset and length of the fragments of each frame.

    Parameters
    ----------
    source : Source
        Where the pixel data is.
    offset, length : int
        Its extent, from the item of the basic offset table to the sequence delimiter.
    count : int
        How many frames there have to be.
    extended : bytes
        Value of (7FE0,0001) Extended Offset Table.

    Raises
    ------
    Refused
        ``pixels-undecided``, when it is not certain where frames begin.
    """
    items: list[tuple[int, int]] = []
    position, end = offset, offset + length
    while position + 8 <= end:
        head = source.read(position, 8)
        if head[:4] != _ITEM:
            break
        (size,) = unpack("<L", head[4:])
        items.append((position + 8, size))
        position += 8 + size
    if len(items) < 2:
        raise Refused("pixels-undecided", "The encapsulated pixel data has no frame.")
    (table_at, table_size), *fragments = items
    if count == 1:
        return [fragments]
    if len(fragments) == count:
        return [[fragment] for fragment in fragments]
    places = _table(source, table_at, table_size, extended)
    first = fragments[0][0] - 8
    if len(places) == count:
        starts = [first + place for place in places]
    else:
        starts = [at - 8 for at, size in fragments if source.read(at, min(4, size)).startswith(_STARTS)]
    known = {at - 8 for at, _ in fragments}
    if len(starts) != count or starts != sorted(set(starts)) or starts[0] != first or not known.issuperset(starts):
        raise Refused("pixels-undecided", "It cannot be told where the frames of the pixel data begin.")
    frames: list[Frame] = [[] for _ in starts]
    for at, size in fragments:
        frames[bisect_right(starts, at - 8) - 1].append((at, size))
    return frames


def _table(source: Source, at: int, size: int, extended: bytes) -> list[int]:
    """Return the offsets of the basic or else the extended offset table."""
    if 0 < size <= _LONGEST_TABLE:
        return list(unpack(f"<{size // 4}L", source.read(at, size // 4 * 4)))
    return list(unpack(f"<{len(extended) // 8}Q", extended[: len(extended) // 8 * 8]))


def table_item(lengths: list[int]) -> bytes:
    """Return the item of the basic offset table for frames of one fragment each; empty where it cannot say it."""
    offsets: list[int] = []
    at = 0
    for length in lengths:
        offsets.append(at)
        at += 8 + length
    if offsets[-1] > 0xFFFFFFFF:
        return fragment_head(0)
    return fragment_head(4 * len(offsets)) + pack(f"<{len(offsets)}L", *offsets)


def fragment_head(length: int) -> bytes:
    """Return what stands before a fragment."""
    return _ITEM + pack("<L", length)


def even(frame: bytes) -> bytes:
    """Return a frame padded to even length (PS3.5 8.2)."""
    return frame + b"\0" * (len(frame) % 2)


DELIMITER = _DELIMITER
