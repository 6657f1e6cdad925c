"""The first pass over an object: what has to be known of it before anything of it is rewritten.

It reads values and decides nothing; the second pass goes over the same remembered events (`deidentify.rewrite`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

from deidentify.charset import decode
from deidentify.dictionary import TAGS
from deidentify.errors import Refused
from deidentify.known import KNOWN
from deidentify.source import Source
from deidentify.walk import ELEMENT, END_SEQUENCE, FRAGMENTS, ITEM, PIXEL_DATA, SEQUENCE, Event, Limits, Walk

PIXELS = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})
DOCUMENT = TAGS["EncapsulatedDocument"]
REGIONS = TAGS["SequenceOfUltrasoundRegions"]
CORNERS = tuple(TAGS[f"RegionLocation{corner}"] for corner in ("MinX0", "MinY0", "MaxX1", "MaxY1"))
REGION = frozenset(CORNERS)
DIRECTORY_RECORDS = 0x00041220

MOST_REMEMBERED = 1 << 16
LONGEST, LONGEST_KNOWN = 1 << 17, 1 << 12
LARGEST_INNER = 1 << 24
_CHARACTER_SET = TAGS["SpecificCharacterSet"]
_ITEM = b"\xfe\xff\x00\xe0"


class Events:
    """What a walk finds, as often as it is asked for: remembered, or walked again when there is too much of it.

    Parameters
    ----------
    walk : Walk
        Is walked once to its end here, so that an object that is not whole is refused.

    Raises
    ------
    Refused
        Whatever the walk refuses.
    """

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        events = walk.events()
        self._remembered: list[Event] | None = list(islice(events, MOST_REMEMBERED + 1))
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered = None
            for _ in events:
                pass

    def __iter__(self) -> Iterator[Event]:
        self.walk.source.rewind()
        return self.walk.events() if self._remembered is None else iter(self._remembered)


@dataclass(slots=True)
class Facts:
    """What the first pass found.

    Attributes
    ----------
    values : dict of int to bytes
        Raw values of the wanted top-level elements; of one that is there twice the last, as in the output.
    known : frozenset of (int, bytes)
        Tag and raw value of what identifies the patient or others, from every depth.
    regions : list of dict of int to bytes
        The items of SequenceOfUltrasoundRegions, with the raw values of their corners (PS3.3 C.8.5.5).
    pixels, document : Event or None
        The element of the top level that holds the pixel data, or an encapsulated document.
    is_dicomdir : bool
        Whether the object holds the records of a media directory (PS3.3 F.3).
    """

    values: dict[int, bytes] = field(default_factory=dict, repr=False)
    known: frozenset[tuple[int, bytes]] = field(default=frozenset(), repr=False)
    regions: list[dict[int, bytes]] = field(default_factory=list)
    pixels: Event | None = None
    document: Event | None = None
    is_dicomdir: bool = False

    @classmethod
    def of(cls, events: Events, wanted: frozenset[int]) -> Facts:
        """Read the facts from `events`.

        Parameters
        ----------
        events : Events
            Of a whole data set.
        wanted : frozenset of int
            Tags of the top-level elements whose values are needed.
        """
        facts, known = cls(), set[tuple[int, bytes]]()
        facts._gather(events, events.walk, wanted, _all_of(wanted), known)
        facts.known = frozenset(known)
        return facts

    def text(self, tag: int) -> str:
        """Return a wanted value as text, stripped; empty when it is not there."""
        return decode(self.values.get(tag, b""), self.values.get(_CHARACTER_SET, b"")).strip()

    def _gather(
        self,
        events: Iterable[Event],
        walk: Walk,
        wanted: frozenset[int],
        noticed: frozenset[int],
        known: set[tuple[int, bytes]],
    ) -> None:
        """Collect from one walk, and from what is hidden in its elements."""
        source, depth = walk.source, walk.depth
        if walk.implicit:  # a private sequence looks like any other value there
            found = [e for e in events if e[1] in noticed or e[0] > FRAGMENTS or e[1] & 0x10000]
        else:
            found = [e for e in events if e[1] in noticed or e[0] > FRAGMENTS or e[2] == b"UN"]
        in_regions = False
        for event in found:
            kind, tag, _, _, value, length = event
            if kind == ELEMENT:
                if tag in KNOWN and length <= LONGEST_KNOWN:
                    known.add((tag, source.read(value, length)))
                if not depth and tag in noticed:
                    self._take(source, event, wanted)
                elif in_regions and tag in REGION and length <= LONGEST_KNOWN:
                    self.regions[-1][tag] = source.read(value, length)
                elif tag not in noticed and (inner := inner_walk(source, value, length, depth, walk.limits)):
                    with suppress(Refused):  # then it is no sequence after all
                        self._gather(inner.events(), inner, wanted, noticed, known)
            elif kind == FRAGMENTS:
                if not depth:
                    self._take(source, event, wanted)
            elif kind == SEQUENCE:
                depth += 1
                self.is_dicomdir |= tag == DIRECTORY_RECORDS
                in_regions = depth == 1 and tag == REGIONS
            elif kind == END_SEQUENCE:
                depth -= 1
            elif kind == ITEM and in_regions and depth == 1:
                self.regions.append({})

    def _take(self, source: Source, event: Event, wanted: frozenset[int]) -> None:
        """Note an element of the top level."""
        kind, tag, _, _, value, length = event
        if tag in PIXELS:
            self.pixels = event
        elif tag == DOCUMENT:
            self.document = event
        if kind == ELEMENT and tag in wanted and length <= LONGEST:
            self.values[tag] = source.read(value, length)


@lru_cache(maxsize=16)
def _all_of(wanted: frozenset[int]) -> frozenset[int]:
    return wanted.union(KNOWN, PIXELS, REGION, {DOCUMENT})


def inner_walk(source: Source, start: int, length: int, depth: int, limits: Limits) -> Walk | None:
    """Return a walk over the items of a sequence that is written as a plain value (PS3.5 6.2.2), or None.

    `depth` is how deep the value lies. What is written so is always in implicit VR little endian.
    """
    if not 8 <= length <= LARGEST_INNER or depth + 1 >= limits.depth or source.read(start, 4) != _ITEM:
        return None
    inner = Source.of_bytes(source.read(start, length))
    return Walk(inner, 0, length, implicit=True, little=True, limits=limits, items=True, depth=depth + 1)
