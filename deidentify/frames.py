"""Data sets, items and sequences while they are being rebuilt, element by element.

They keep what they are given and put it in order; what that is, is decided in `deidentify.rewrite`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from deidentify.actions import Rule
from deidentify.elements import Encoding, Piece, joined
from deidentify.steps import Step

Part = Piece | list[Piece]


class Pending(NamedTuple):
    """A DA that waits for the time that belongs to it; `place` is its position in `Frame.parts`."""

    place: int
    tag: int
    raw: bytes
    step: Step
    rule: Rule


class Frame:
    """A data set, item or sequence that is being rebuilt.

    Parameters
    ----------
    encoding : Encoding
        Of what it holds.
    character_set : bytes
        Raw SpecificCharacterSet in effect.
    dummy : int
        Whether it stands inside a sequence that becomes a dummy: 1, or 2 when not even known codes stay.
    tag, vr, undefined : int, bytes, bool
        Of a sequence: its own tag and VR; whether its length is undefined, which also holds for an item. The items of
        a sequence have its tag too.

    Attributes
    ----------
    creators : dict of int to str
        Private creators by group and block byte (PS3.5 7.8.1); an empty one where two contradict each other.
    codes : dict of int to bytes
        Raw values of the attributes of a code, until it is complete (PS3.3 8).
    concept : tuple of (str, str), optional
        Coding scheme and value of the Concept Name that was met in this item (PS3.3 10.2).
    dates, carries : list of Pending, dict of int to list of int
        DAs that wait, and what the TMs of this item carried over midnight.
    """

    __slots__ = (
        "carries",
        "character_set",
        "codes",
        "concept",
        "creators",
        "dates",
        "dummy",
        "encoding",
        "last",
        "parts",
        "sorted",
        "tag",
        "undefined",
        "vr",
    )

    def __init__(
        self,
        encoding: Encoding,
        character_set: bytes,
        *,
        dummy: int,
        tag: int = 0,
        vr: bytes = b"",
        undefined: bool = False,
    ):
        self.encoding, self.character_set, self.dummy = encoding, character_set, dummy
        self.tag, self.vr, self.undefined = tag, vr, undefined
        self.parts: list[tuple[int, Part]] = []
        self.creators: dict[int, str] = {}
        self.codes: dict[int, bytes] = {}
        self.concept: tuple[str, str] | None = None
        self.dates: list[Pending] = []
        self.carries: dict[int, list[int]] = {}
        self.last = -1
        self.sorted = True

    def add(self, tag: int, part: Part) -> None:
        """Append an element."""
        if tag <= self.last:
            self.sorted = False
        self.last = tag
        self.parts.append((tag, part))

    def name_creator(self, block: int, name: str) -> None:
        """Note who owns a private block; a block with two owners has none."""
        self.creators[block] = name if self.creators.get(block, name) == name else ""

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
