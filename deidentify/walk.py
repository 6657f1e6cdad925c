"""The one walk over tags, VRs and lengths (PS3.5 7.1 and 7.5), for the gate, the rewriter and the comparison.

It is iterative, reads no values and proves that every length fits; it decides nothing about what it finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import NoReturn

from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from deidentify.dictionary import VRS, is_sequence
from deidentify.errors import Refused
from deidentify.source import Source

ELEMENT, FRAGMENTS, SEQUENCE, ITEM, END_ITEM, END_SEQUENCE, PADDING = range(7)
UNDEFINED = 0xFFFFFFFF
ITEM_TAG, ITEM_DELIMITER, SEQUENCE_DELIMITER = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010
MOST_PADDING = 1 << 16

HEADER = dict.fromkeys((str(vr).encode() for vr in EXPLICIT_VR_LENGTH_16), 8)
HEADER |= dict.fromkeys((str(vr).encode() for vr in EXPLICIT_VR_LENGTH_32), 12)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an object may need before it is refused.

    Attributes
    ----------
    depth : int
        Sequences inside sequences.
    elements, items : int
        Data elements and pixel data fragments at every depth; sequence items.
    size, inflated : int
        Bytes of the file; bytes of a deflated data set once inflated.
    """

    depth: int = 32
    elements: int = 1_000_000
    items: int = 500_000
    size: int = 1 << 36
    inflated: int = 1 << 31


# One step of a walk, a plain tuple because there are so many: kind (one of the constants above), tag, VR as written
# (empty in implicit VR), where the header starts, where the value starts, and the length of the value or `UNDEFINED`.
# In an `ITEM`, the tag is 1 when its elements are in implicit VR.
Event = tuple[int, int, bytes, int, int, int]


class Walk:
    """A walk over one data set.

    Parameters
    ----------
    source : Source
        Where the bytes are.
    start, end : int
        The extent of the data set; it has to end exactly there.
    implicit, little : bool
        Its encoding.
    limits : Limits
        When to refuse.
    items : bool
        Whether the extent holds the items of a sequence instead of elements.
    depth : int
        How deep this extent already lies in other sequences.
    """

    def __init__(
        self,
        source: Source,
        start: int,
        end: int,
        *,
        implicit: bool,
        little: bool,
        limits: Limits,
        items: bool = False,
        depth: int = 0,
    ) -> None:
        self.source, self.start, self.end = source, start, end
        self.implicit, self.little, self.limits = implicit, little, limits
        self.in_items, self.depth = items, depth
        self.elements = self.items = 0

    def events(self, only: frozenset[int] | None = None) -> Iterator[Event]:
        """Yield what is found, in the order of the file.

        Parameters
        ----------
        only : frozenset of int, optional
            Yield nothing but the top-level elements with these tags. The whole extent is walked all the same.

        Raises
        ------
        Refused
            ``truncated``, ``trailing-bytes``, ``malformed``, ``too-deep`` or ``too-many-elements``.
        """
        source, little = self.source, self.little
        self.elements = self.items = 0
        explicit_header = Struct("<HH2sH" if little else ">HH2sH").unpack_from
        short_header = Struct("<HHL" if little else ">HHL").unpack_from
        long_length = Struct("<L" if little else ">L").unpack_from
        most_elements, deepest = self.limits.elements, 2 * (self.limits.depth - self.depth)
        implicit, in_items, end, undefined = self.implicit, self.in_items, self.end, False
        stack: list[tuple[bool, bool, int, bool]] = []
        elements = 0
        pos = self.start
        buffer, base = source.buffer, source.base
        header_size = HEADER.get

        while True:
            if pos == end and not undefined:
                if not stack:
                    break
                if only is None:
                    yield END_SEQUENCE if in_items else END_ITEM, 0, b"", pos, pos, 0
                implicit, in_items, end, undefined = stack.pop()
                continue
            at = pos - base
            if at < 0 or at + 12 > len(buffer):
                buffer = source.window(pos)
                base = source.base
                at = pos - base
            if pos + 8 > end or at + 8 > len(buffer):
                self._refuse_rest(pos, end, nested=bool(stack))
                if only is None:
                    yield PADDING, 0, b"", pos, pos, end - pos
                break

            if in_items:
                group, number, length = short_header(buffer, at)
                tag = group << 16 | number
                value = pos + 8
                if tag == ITEM_TAG:
                    self._count_item()
                    if length != UNDEFINED and value + length > end:
                        self._refuse_overrun(end)
                    stack.append((implicit, in_items, end, undefined))
                    if implicit and (self.in_items or not self.implicit):
                        implicit = not self._explicit_at(value)
                    in_items, undefined = False, length == UNDEFINED
                    if not undefined:
                        end = value + length
                    if only is None:
                        yield ITEM, int(implicit), b"", pos, value, length
                elif tag == SEQUENCE_DELIMITER and undefined and length == 0:
                    if only is None:
                        yield END_SEQUENCE, 0, b"", pos, value, 0
                    implicit, in_items, end, undefined = stack.pop()
                else:
                    raise Refused("malformed", "A sequence holds something that is no item.")
                pos = value
                continue

            if implicit:
                group, number, length = short_header(buffer, at)
                tag = group << 16 | number
                value, vr = pos + 8, b""
            else:
                group, number, vr, length = explicit_header(buffer, at)
                tag = group << 16 | number
                size = header_size(vr)
                if size == 8:
                    value = pos + 8
                elif size == 12 or (vr.isalpha() and vr.isupper()):
                    if at + 12 > len(buffer) or pos + 12 > end:
                        self._refuse_overrun(end)
                    (length,) = long_length(buffer, at + 8)
                    value = pos + 12
                else:
                    value, vr = pos + 8, b""
                    length = short_header(buffer, at)[2]
                    if group != 0xFFFE and tag != 0:
                        raise Refused("malformed", f"{_element(tag)} has no VR although the encoding asks for one.")
            if group == 0xFFFE:
                if tag != ITEM_DELIMITER or not undefined or length:
                    raise Refused("malformed", "There is an item or a delimiter outside of a sequence.")
                if only is None:
                    yield END_ITEM, 0, b"", pos, pos + 8, 0
                pos += 8
                implicit, in_items, end, undefined = stack.pop()
                continue
            if tag == 0:
                if stack:
                    raise Refused("malformed", "An item holds bytes that are no element.")
                self._refuse_rest(pos, end, nested=False)
                if only is None:
                    yield PADDING, 0, b"", pos, pos, end - pos
                break

            elements += 1
            if elements > most_elements:
                raise Refused("too-many-elements", f"The object has more than {most_elements} elements.")
            if length != UNDEFINED:
                if value + length > end:
                    self._refuse_overrun(end)
                if vr != b"SQ" and (vr or not is_sequence(tag)):
                    if only is None or (not stack and tag in only):
                        yield ELEMENT, tag, vr, pos, value, length
                    pos = value + length
                    continue
            elif tag == PIXEL_DATA or vr == b"OB" or vr == b"OW":
                after = self._after_fragments(value, end)
                if only is None or (not stack and tag in only):
                    yield FRAGMENTS, tag, vr, pos, value, after - value
                pos = after
                continue
            elif vr not in (b"SQ", b"UN", b""):
                raise Refused("malformed", f"{_element(tag)} has no length although its VR asks for one.")
            if len(stack) >= deepest:
                raise Refused("too-deep", f"Sequences are nested deeper than {self.limits.depth}.")
            if only is None or (not stack and tag in only):
                yield SEQUENCE, tag, vr, pos, value, length
            stack.append((implicit, in_items, end, undefined))
            in_items, undefined = True, length == UNDEFINED
            implicit = implicit or vr == b"UN"
            if not undefined:
                end = value + length
            pos = value
        self.elements += elements

    def _count_item(self) -> None:
        self.items += 1
        if self.items > self.limits.items:
            raise Refused("too-many-elements", f"The object has more than {self.limits.items} items.")

    def _explicit_at(self, pos: int) -> bool:
        """Tell whether an element of a UN sequence carries a VR; PS3.5 6.2.2 says it does not, some writers do it."""
        return pos + 8 <= self.end and self.source.read(pos + 4, 2) in HEADER

    def _after_fragments(self, pos: int, end: int) -> int:
        """Return where the fragments that start at `pos` end (PS3.5 A.4)."""
        unpack = Struct("<HHL" if self.little else ">HHL").unpack
        fragments = 0
        while True:
            if pos + 8 > end:
                self._refuse_overrun(end)
            group, number, length = unpack(self.source.read(pos, 8))
            pos += 8
            tag = group << 16 | number
            if tag == SEQUENCE_DELIMITER and length == 0:
                return pos
            if tag != ITEM_TAG or length == UNDEFINED:
                raise Refused("malformed", "Encapsulated pixel data holds something that is no fragment.")
            fragments += 1
            if fragments > self.limits.elements:
                raise Refused("too-many-elements", f"The pixel data has more than {self.limits.elements} fragments.")
            pos += length

    def _refuse_rest(self, pos: int, end: int, *, nested: bool) -> None:
        """Refuse what is left after the last element, unless it is zeros that a storage padded the file with."""
        if nested:
            self._refuse_overrun(end)
        if end - pos > MOST_PADDING or self.source.read(pos, end - pos).strip(b"\0"):
            raise Refused("trailing-bytes", "The file does not end where its last element ends.")

    def _refuse_overrun(self, end: int) -> NoReturn:
        if end != self.end:
            raise Refused("malformed", "A length inside a sequence does not fit, or the file ends there.")
        raise Refused("truncated", "The file ends inside an element.")


def _element(tag: int) -> str:
    """Name an element of the dictionary; the tag of any other may be four bytes of text."""
    return f"Element ({tag >> 16:04X},{tag & 0xFFFF:04X})" if tag in VRS else "An element"
