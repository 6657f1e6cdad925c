"""The way back: what has to be known to make the original of a release again, gathered while the release is made.

It holds original values, so it belongs into a vault. How an original is made of it is `deidentify.restore`, and how the
ways back of many releases are stored `deidentify.ways`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from struct import pack, unpack

from deidentify.charset import decode
from deidentify.dictionary import TAGS, vr_of
from deidentify.elements import Made, Piece
from deidentify.facts import PIXELS
from deidentify.frames import Part
from deidentify.levels import TELLING
from deidentify.part10 import TRANSFER_SYNTAX, Head, encoding_of
from deidentify.rewrite import Rewriter
from deidentify.source import Source
from deidentify.walk import ELEMENT, END_ITEM, END_SEQUENCE, ITEM, PADDING, SEQUENCE, Event, Limits, Walk

# Bytes that are kept of one object; what goes beyond counts among what is lost.
LARGEST = 1 << 25
# What tells whose image it is is kept up to so many bytes also where the release has it.
_SHORT = 1 << 10
_NO_LIMITS = Limits(depth=1 << 10, elements=1 << 30, items=1 << 30)  # it was walked through before


@dataclass(frozen=True, slots=True)
class WayBack:
    """What leads from a release to its original.

    Attributes
    ----------
    head : bytes
        What stands before its data set: preamble and File Meta Information, as they were.
    transfer_syntax_uid : str
        The encoding that its data set has. With pixel data that was stored in another way it is that of the release.
    tags : bytes
        Tags of the elements of its top level, as far as they come back, four bytes each, little endian.
    vrs : bytes
        Their VRs, two bytes each; empty in implicit VR.
    runs : tuple of bytes
        Those of them, encoded, that the release does not have, or has otherwise, and `TELLING` ones; neighbours together.
        It has all others as they were.
    lost : tuple of int
        Tags of what does not come back: pixel data that was cleaned, what describes it, and what was too large. They
        stay as they are in the release.
    padding : int
        How many zeros followed the data set.
    """

    head: bytes = field(repr=False)
    transfer_syntax_uid: str
    tags: bytes = field(repr=False)
    vrs: bytes = field(repr=False)
    runs: tuple[bytes, ...] = field(repr=False)
    lost: tuple[int, ...]
    padding: int

    @property
    def missing(self) -> list[tuple[int, bytes]]:
        """The elements in `runs` with their tags."""
        found = []
        for run, walk in self._walks():
            found += [(event[1], run[event[3] : stop]) for event, stop in top_level(walk)]
        return found

    def uid(self, tag: int) -> str | None:
        """Return the UID that stood at the top level of the original; None where the release has what the original had."""
        for run, walk in self._walks():
            for event in walk.events(frozenset((tag,))):
                return run[event[4] : event[4] + event[5]].strip(b"\0 ").decode("latin-1")
        return None

    def _walks(self) -> Iterator[tuple[bytes, Walk]]:
        implicit, little, _ = encoding_of(self.transfer_syntax_uid)
        for run in self.runs:
            yield run, Walk(Source.of_bytes(run), 0, len(run), implicit=implicit, little=little, limits=_NO_LIMITS)

    @property
    def kept(self) -> dict[int, bytes]:
        """Tags and VRs of the elements that are in the release as they were."""
        found = unpack(f"<{len(self.tags) // 4}L", self.tags)
        kept = {tag: self.vrs[2 * at : 2 * at + 2] for at, tag in enumerate(found)}
        for tag, _ in self.missing:
            kept.pop(tag, None)
        return kept

    def texts(self, keywords: Iterable[str]) -> dict[str, str]:
        """Return original values as text, of those attributes that were there with a value; no sequences."""
        values = dict[int, bytes]()
        for run, walk in self._walks():
            values |= {event[1]: run[event[4] : stop] for event, stop in top_level(walk) if event[0] == ELEMENT}
        character_set = values.get(TAGS["SpecificCharacterSet"], b"")
        texts = {keyword: decode(values.get(TAGS[keyword], b""), character_set) for keyword in keywords}
        return {keyword: text for keyword, text in texts.items() if text}


def top_level(walk: Walk) -> list[tuple[Event, int]]:
    """Return where each element of the top level starts, and where it ends."""
    top: list[Event] = []
    depth = 0
    for event in walk.events():
        kind = event[0]
        if not depth:
            top.append(event)
        depth += (kind in (SEQUENCE, ITEM)) - (kind in (END_SEQUENCE, END_ITEM))
    return list(zip(top, [*(event[3] for event in top[1:]), walk.end], strict=True))


def way_back(
    file: Source,
    head: Head,
    walk: Walk,
    rewriter: Rewriter,
    rewritten: Mapping[int, Part],
    elements: Mapping[int, Part],
    picture: set[int],
    transfer_syntax_uid: str,
) -> WayBack:
    """Return the way back from what was made of an object.

    Parameters
    ----------
    file, head, walk : Source, Head, Walk
        The object.
    rewriter : Rewriter
        After it rewrote the object. What it does not know to be as it was is compared.
    rewritten : mapping of int to Part
        What it made.
    elements : mapping of int to Part
        The output: that, and what was put in.
    picture : set of int
        Tags of what was made when the pixel data was cleaned.
    transfer_syntax_uid : str
        Of the output.
    """
    source, end, padding = walk.source, walk.end, 0
    seen = rewriter.seen
    same = rewriter.same - {tag for tag, part in elements.items() if rewritten.get(tag) is not part}
    if seen[-1][0] == PADDING:
        padding, end = end - seen[-1][3], seen[-1][3]
        seen = seen[:-1]
    _, tags, vrs, starts, _, _ = zip(*seen, strict=True)
    ends = (*starts[1:], end)
    if len(set(tags)) < len(tags):  # of what is there twice only the last counts in an output
        same = {tag for tag in same if tags.count(tag) == 1}
    source.rewind()
    runs, lost = list[bytes](), dict[int, bytes]()
    begin, room = walk.start, LARGEST
    watched = elements.keys() | PIXELS | picture
    if end - walk.start > LARGEST:
        watched |= set(tags)
    for at, tag in enumerate(tags):
        if tag not in watched:  # removed, like most: it goes with its neighbours
            continue
        start, stop = starts[at], ends[at]
        is_same = tag in same or (
            tag in elements and tags.count(tag) == 1 and _is_same(elements[tag], source, start, stop)
        )
        if not is_same or (tag in TELLING and stop - start <= _SHORT):
            if not (tag in picture or tag in PIXELS or stop - start > room):
                room -= stop - start
                continue
            lost[tag] = vrs[at]
        if begin < start:
            runs.append(source.read(begin, start - begin))
        begin = stop
    if begin < end:
        runs.append(source.read(begin, end - begin))
    if lost or picture:
        stays = {tag: vr for tag, vr in zip(tags, vrs, strict=True) if tag not in lost}
        as_released = elements.keys() & (lost.keys() | picture)
        stays |= {tag: b"" if head.implicit else vr_of(tag)[:2].encode("ascii") for tag in as_released}
        tags, vrs = tuple(sorted(stays)), tuple(stays[tag] for tag in sorted(stays))
    before = file.read(0, head.dataset_offset)
    if transfer_syntax_uid != head.transfer_syntax_uid:
        lost[TRANSFER_SYNTAX] = b""
        before = _declared(before, head, transfer_syntax_uid)
    return WayBack(
        before,
        transfer_syntax_uid,
        pack(f"<{len(tags)}L", *tags),
        b"".join(vrs),
        tuple(runs),
        tuple(sorted(lost)),
        padding,
    )


def merged(ways: Iterable[WayBack]) -> WayBack:
    """Return the one way back from any of several releases of the same object.

    What one of them has otherwise is put back in all of them, so it does not matter which release a file is.
    """
    first, *others = ways
    if not others:
        return first
    everyone = [first, *others]
    known = [way.kept for way in everyone]
    lost = {tag for way in everyone for tag in way.lost}
    tags = {tag: vr for kept in known for tag, vr in kept.items()}
    stays = {tag for tag in tags if tag in lost or all(tag in kept for kept in known)}
    missing: dict[int, bytes] = {}
    for way in everyone:
        found: dict[int, bytes] = {}
        for tag, element in way.missing:
            found[tag] = found.get(tag, b"") + element
        missing = found | missing
    return WayBack(
        first.head,
        first.transfer_syntax_uid,
        pack(f"<{len(stays)}L", *sorted(stays)),
        b"".join(tags[tag] for tag in sorted(stays)),
        tuple(missing[tag] for tag in sorted(missing.keys() - stays)),
        tuple(sorted(lost)),
        first.padding,
    )


def _is_same(part: Part, source: Source, start: int, stop: int) -> bool:
    """Tell whether an element of the output is the one that stands in the source from `start` to `stop`."""
    if isinstance(part, bytes):
        return len(part) == stop - start and source.read(start, len(part)) == part
    pieces: list[Piece] = part if isinstance(part, list) else [part]
    for piece in pieces:
        if isinstance(piece, bytes):
            if start + len(piece) > stop or source.read(start, len(piece)) != piece:
                return False
        elif isinstance(piece, Made) or piece.offset != start:
            return False
        start += len(piece)
    return start == stop


def _declared(before: bytes, head: Head, uid: str) -> bytes:
    """Return what stands before a data set, with another transfer syntax declared."""
    raw = head.meta.get(TRANSFER_SYNTAX, b"")
    old = pack("<HH2sH", 2, 0x10, b"UI", len(raw)) + raw
    value = uid.encode("ascii")
    value += b"\0" * (len(value) % 2)
    new = pack("<HH2sH", 2, 0x10, b"UI", len(value)) + value
    length = pack("<HH2sH", 2, 0, b"UL", 4)
    at = before.find(length) + len(length)
    if length in before:
        (size,) = unpack("<L", before[at : at + 4])
        before = before[:at] + pack("<L", size + len(new) - len(old)) + before[at + 4 :]
    return before.replace(old, new, 1)
