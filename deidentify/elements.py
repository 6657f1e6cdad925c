"""Encoding of data elements, items and sequences (PS3.5 7), and the pieces that an output is made of.

Values are bytes or stretches of the source that are copied later; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from struct import pack

from deidentify.source import Source
from deidentify.walk import HEADER, ITEM_DELIMITER, ITEM_TAG, SEQUENCE_DELIMITER, UNDEFINED

_LONGEST_SHORT = 0xFFFF


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of the source that are copied into the output without being loaded.

    Attributes
    ----------
    offset, length : int
        Where they are.
    pixels : bool
        Whether this is pixel data, which the leak check leaves out.
    """

    offset: int
    length: int
    pixels: bool

    def __len__(self) -> int:
        return self.length


class Made(Stretch):
    """Pixel data that is made while it is written, see `deidentify.pixels.pieces`."""

    __slots__ = ()

    def blocks(self, source: Source) -> Iterator[bytes | memoryview]:
        """Yield `length` bytes; each block is used before the next one is asked for."""
        raise NotImplementedError  # each kind of pixel data that is made says how


Piece = bytes | Stretch


class Encoding:
    """How elements are written: explicit or implicit VR, byte order."""

    __slots__ = ("_order", "implicit", "little")

    def __init__(self, *, implicit: bool, little: bool) -> None:
        self.implicit, self.little = implicit, little
        self._order = "<" if little else ">"

    def header(self, tag: int, vr: bytes, length: int) -> bytes:
        """Return tag, VR and length; what is too long for its VR's 16-bit length becomes UN (PS3.5 6.2.2)."""
        group, number = tag >> 16, tag & 0xFFFF
        if self.implicit:
            return pack(self._order + "HHL", group, number, length)
        if HEADER.get(vr) == 8:
            if length <= _LONGEST_SHORT:
                return pack(self._order + "HH2sH", group, number, vr, length)
            vr = b"UN"
        return pack(self._order + "HH2sHL", group, number, vr, 0, length)

    def element(self, tag: int, vr: bytes, value: bytes) -> bytes:
        """Return an element, its value padded to even length."""
        if len(value) % 2:
            value += b"\0" if vr in (b"UI", b"OB", b"UN") else b" "
        return self.header(tag, vr, len(value)) + value

    def item(self, pieces: list[Piece], *, undefined: bool) -> list[Piece]:
        """Return an item around `pieces`."""
        return self._enclosed(self._bare(ITEM_TAG), ITEM_DELIMITER, pieces, undefined=undefined)

    def sequence(self, tag: int, vr: bytes, pieces: list[Piece], *, undefined: bool) -> list[Piece]:
        """Return a sequence around its items."""
        return self._enclosed(self.header(tag, vr, 0)[:-4], SEQUENCE_DELIMITER, pieces, undefined=undefined)

    def _enclosed(self, head: bytes, delimiter: int, pieces: list[Piece], *, undefined: bool) -> list[Piece]:
        length = sum(map(len, pieces))
        if undefined or length >= UNDEFINED:
            tail = self._bare(delimiter) + bytes(4)
            return joined([head + pack(self._order + "L", UNDEFINED), *pieces, tail])
        return joined([head + pack(self._order + "L", length), *pieces])

    def _bare(self, tag: int) -> bytes:
        return pack(self._order + "HH", tag >> 16, tag & 0xFFFF)


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Return the same bytes with neighbouring blocks made one."""
    result: list[Piece] = []
    run: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            run.append(piece)
        else:
            if run:
                result.append(b"".join(run))
                run = []
            result.append(piece)
    if run:
        result.append(b"".join(run))
    return result
