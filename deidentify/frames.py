"""Data sets, items and sequences while they are being rebuilt, element by element.

They keep what they are given and put it in order; what that is, is decided in `deidentify.rewrite`.
"""

from __future__ import annotations

from collections.abc import Iterator

from deidentify.elements import Encoding, Piece, joined

Part = Piece | list[Piece]


class Frame:
    """A data set, item or sequence that is being rebuilt.

    Parameters
    ----------
    encoding : Encoding
        Of what it holds.
    dummy : bool
        Whether it stands inside a sequence that becomes a dummy.
    tag, vr, undefined : int, bytes, bool
        Of a sequence: its own tag and VR; whether its length is undefined, which also holds for an item.
    """

    __slots__ = ("codes", "dummy", "encoding", "last", "parts", "sorted", "tag", "undefined", "vr")

    def __init__(self, encoding: Encoding, *, dummy: bool, tag: int = 0, vr: bytes = b"", undefined: bool = False):
        self.encoding, self.dummy, self.tag, self.vr, self.undefined = encoding, dummy, tag, vr, undefined
        self.parts: list[tuple[int, Part]] = []
        self.codes: dict[int, bytes] = {}
        self.last = -1
        self.sorted = True

    def add(self, tag: int, part: Part) -> None:
        """Append an element."""
        if tag <= self.last:
            self.sorted = False
        self.last = tag
        self.parts.append((tag, part))

    def pieces(self) -> list[Piece]:
        """Return everything in the order of tags; of an element that is there twice the last one counts."""
        parts = self.parts if self.sorted else sorted(dict(self.parts).items())
        pieces: list[Piece] = []
        for _, part in parts:
            if isinstance(part, list):
                pieces.extend(part)
            else:
                pieces.append(part)
        return joined(pieces)


def flattened(parts: list[tuple[int, Part]]) -> Iterator[tuple[int, list[Piece]]]:
    """Yield each tag with its pieces."""
    for tag, part in parts:
        yield tag, part if isinstance(part, list) else [part]
