"""The rewriter: one pass over a data set that carries out the plan and copies what no rule acts on byte for byte.

It decides nothing (see `deidentify.plan`), writes no file, and remembers what the leak check has to look for.
"""

from __future__ import annotations

from collections import Counter

from deidentify.actions import CHARACTER_SET, DUMMY, DUMMY_IF_FILLED, EMPTY, KEEP, REMOVE, UID, UID_OF_KIND
from deidentify.charset import known_character_set
from deidentify.dictionary import vr_of
from deidentify.dummies import CODE_TAGS, code, dummy, inside_dummy
from deidentify.elements import Encoding, Piece, Stretch
from deidentify.errors import Refused
from deidentify.frames import Frame, Part
from deidentify.known import KNOWN
from deidentify.plan import Plan
from deidentify.source import Source
from deidentify.uids import UidMap
from deidentify.walk import (
    ELEMENT,
    END_ITEM,
    END_SEQUENCE,
    FRAGMENTS,
    HEADER,
    ITEM,
    PADDING,
    PIXEL_DATA,
    SEQUENCE,
    UNDEFINED,
    Event,
    Limits,
    Walk,
)

INLINE = 1 << 20
LONGEST_KNOWN = 1 << 12
LARGEST_UN_SEQUENCE = 1 << 24
PIXELS = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})
DIRECTORY_RECORDS = 0x00041220
TOP = frozenset({0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E})


class Rewriter:
    """Rewrites one object.

    Parameters
    ----------
    plan : Plan
        What to do.
    uids : UidMap
        How to replace UIDs.
    little : bool
        Byte order of the object.
    limits : Limits
        When to refuse.

    Attributes
    ----------
    actions : Counter
        How many elements each rule acted on.
    top : dict of int to bytes
        Raw original values of the elements in `TOP`.
    known : set of (int, bytes)
        Tag and raw value of what identifies the patient or others, from every depth.
    originals : set of bytes
        The UIDs that were replaced or removed.
    is_dicomdir : bool
        Whether it holds the records of a media directory.
    """

    def __init__(self, plan: Plan, uids: UidMap, *, little: bool, limits: Limits) -> None:
        self._plan, self._uids, self._little, self._limits = plan, uids, little, limits
        self._encodings = {implicit: Encoding(implicit=implicit, little=little) for implicit in (False, True)}
        self.actions: Counter[str] = Counter()
        self.top: dict[int, bytes] = {}
        self.known: set[tuple[int, bytes]] = set()
        self.originals: set[bytes] = set()
        self.is_dicomdir = False

    def dataset(self, walk: Walk) -> list[tuple[int, Part]]:
        """Return the elements of the rewritten top level, in the order of tags.

        Raises
        ------
        Refused
            Whatever the walk refuses.
        """
        root = Frame(self._encodings[walk.implicit], dummy=False)
        self._run(walk, root)
        return sorted(dict(root.parts).items())

    def _run(self, walk: Walk, root: Frame) -> None:
        """Rebuild what `walk` finds inside `root`."""
        source = walk.source
        read, plan, actions, known = source.read, self._plan, self.actions, self.known
        frame, stack = root, list[Frame]()
        dropped = 0
        for event in walk.events():
            kind, tag, vr, start, value, length = event
            if dropped:
                if kind == ELEMENT:
                    self._remember(source, tag, vr, value, length)
                elif kind in (SEQUENCE, ITEM):
                    dropped += 1
                elif kind in (END_ITEM, END_SEQUENCE):
                    dropped -= 1
            elif kind == ELEMENT:
                rule = plan[tag]
                action = rule.action
                actions[rule.name] += 1
                if tag in KNOWN and length <= LONGEST_KNOWN:
                    known.add((tag, read(value, length)))
                if not stack and tag in TOP and length <= LONGEST_KNOWN:
                    self.top[tag] = read(value, length)
                if action == REMOVE:
                    if vr == b"UI" or (not vr and vr_of(tag) == "UI"):
                        self._remember(source, tag, vr, value, length)
                elif (
                    action == KEEP
                    and length <= INLINE
                    and not (length & 1 or frame.dummy or rule.sequence or vr == b"UI" or tag in PIXELS)
                    and (vr in HEADER or not vr)
                ):
                    if tag <= frame.last:
                        frame.sorted = False
                    frame.last = tag
                    frame.parts.append((tag, read(start, value + length - start)))
                else:
                    part = self._acted(source, event, frame, walk.depth + len(stack) // 2)
                    if part is not None:
                        frame.add(tag, part)
            elif kind == SEQUENCE:
                inner = self._sequence(event, frame)
                if inner is None:
                    dropped = 1
                else:
                    stack.append(frame)
                    frame = inner
            elif kind == ITEM:
                stack.append(frame)
                frame = Frame(self._encodings[bool(tag)], dummy=frame.dummy, undefined=length == UNDEFINED)
            elif kind == END_ITEM:
                item, frame = frame, stack.pop()
                self._finish_codes(item)
                pieces = item.encoding.item(item.pieces(), undefined=item.undefined)
                frame.parts.append((0, pieces[0] if len(pieces) == 1 else pieces))
            elif kind == END_SEQUENCE:
                sequence, frame = frame, stack.pop()
                encoding = frame.encoding
                frame.add(
                    sequence.tag,
                    encoding.sequence(sequence.tag, sequence.vr, sequence.pieces(), undefined=sequence.undefined),
                )
            elif kind == FRAGMENTS:
                self._fragments(source, event, frame)
            elif kind == PADDING:
                actions["padding"] += 1

    def _sequence(self, event: Event, frame: Frame) -> Frame | None:
        """Return what the items of a sequence go into, or None when nothing stays of them."""
        _, tag, vr, _, _, length = event
        self.is_dicomdir |= tag == DIRECTORY_RECORDS
        rule = self._plan[tag]
        self.actions[rule.name] += 1
        if rule.action == REMOVE or not rule.sequence:
            return None
        if rule.action == EMPTY:
            frame.add(tag, frame.encoding.element(tag, b"SQ", b""))
            return None
        in_dummy = frame.dummy or rule.action in (DUMMY, DUMMY_IF_FILLED)
        return Frame(frame.encoding, dummy=in_dummy, tag=tag, vr=vr or b"SQ", undefined=length == UNDEFINED)

    def _fragments(self, source: Source, event: Event, frame: Frame) -> None:
        """Pass on, replace or drop an element that is made of fragments."""
        _, tag, vr, start, value, length = event
        rule = self._plan[tag]
        self.actions[rule.name] += 1
        if rule.sequence:
            return
        if rule.action == KEEP and (tag in PIXELS or not frame.dummy):
            frame.add(tag, _piece(source, start, value + length - start, tag in PIXELS))
        elif rule.action in (DUMMY, DUMMY_IF_FILLED):
            frame.add(tag, self._written(frame, tag, vr, dummy(tag, self._vr(tag, vr))))
        elif rule.action == EMPTY:
            frame.add(tag, self._written(frame, tag, vr, b""))

    def _acted(self, source: Source, event: Event, frame: Frame, depth: int) -> Part | None:
        """Return what an element becomes, or None when nothing stays of it."""
        _, tag, vr, start, value, length = event
        rule = self._plan[tag]
        action = rule.action
        if vr and vr not in HEADER:
            return None
        if rule.sequence:
            return self._opaque_sequence(source, event, frame, depth)
        if action == UID or (action == KEEP and vr == b"UI" and vr_of(tag) != "UI"):
            if length > LONGEST_KNOWN * 16:
                return None
            replaced = self._uids.replaced(source.read(value, length), self.originals)
            return frame.encoding.element(tag, b"UI", replaced)
        if action == UID_OF_KIND:
            kind = self._uids.kind(source.read(value, min(length, LONGEST_KNOWN)), self.originals)
            return frame.encoding.element(tag, b"UI", kind)
        if action == EMPTY:
            return self._written(frame, tag, vr, b"")
        if action == DUMMY:
            return self._written(frame, tag, vr, dummy(tag, self._vr(tag, vr)))
        if action == DUMMY_IF_FILLED:
            filled = source.read(value, min(length, LONGEST_KNOWN)).strip(b"\0 ")
            return self._written(frame, tag, vr, dummy(tag, self._vr(tag, vr)) if filled else b"")
        if action == CHARACTER_SET:
            return self._written(frame, tag, vr, known_character_set(source.read(value, min(length, LONGEST_KNOWN))))
        if frame.dummy and tag not in PIXELS:
            return self._inside_dummy(source, event, frame)
        if tag in PIXELS or length > INLINE:
            header, padding = frame.encoding.header(tag, vr, length + length % 2), b"\0" * (length % 2)
            return [header, _piece(source, value, length, tag in PIXELS), padding]
        return frame.encoding.element(tag, vr, source.read(value, length))

    def _inside_dummy(self, source: Source, event: Event, frame: Frame) -> Part | None:
        _, tag, vr, _, value, length = event
        if length > INLINE:
            return None
        raw = source.read(value, length)
        if tag in CODE_TAGS:
            frame.codes[tag] = raw
            return None
        name = self._vr(tag, vr)
        kept = inside_dummy(name, raw)
        return None if kept is None else self._written(frame, tag, vr, kept)

    def _finish_codes(self, item: Frame) -> None:
        if item.codes:
            for tag, value in code(item.codes).items():
                item.add(tag, self._written(item, tag, b"", value))

    def _opaque_sequence(self, source: Source, event: Event, frame: Frame, depth: int) -> Part | None:
        """Rewrite a sequence that is written as UN with a length (PS3.5 6.2.2); under any other VR nothing stays."""
        _, tag, vr, _, value, length = event
        action = self._plan[tag].action
        if action == EMPTY:
            return frame.encoding.element(tag, b"SQ", b"")
        if vr != b"UN" or action == REMOVE or length > LARGEST_UN_SEQUENCE:
            return None
        if not self._little or depth + 1 >= self._limits.depth:
            return None
        inner = Source.of_bytes(source.read(value, length))
        walk = Walk(inner, 0, length, implicit=True, little=True, limits=self._limits, items=True, depth=depth + 1)
        sequence = Frame(
            self._encodings[True], dummy=frame.dummy or action in (DUMMY, DUMMY_IF_FILLED), tag=tag, vr=b"UN"
        )
        try:
            self._run(walk, sequence)
        except Refused:
            return None
        return frame.encoding.sequence(tag, vr, sequence.pieces(), undefined=False)

    def _remember(self, source: Source, tag: int, vr: bytes, value: int, length: int) -> None:
        """Note what a removed element tells about the patient."""
        if length > LONGEST_KNOWN:
            return
        if tag in KNOWN:
            self.known.add((tag, source.read(value, length)))
        elif self._plan[tag].action == UID:
            self._uids.replaced(source.read(value, length), self.originals)

    def _written(self, frame: Frame, tag: int, vr: bytes, value: bytes) -> bytes:
        return frame.encoding.element(tag, self._vr(tag, vr).encode("ascii"), value)

    @staticmethod
    def _vr(tag: int, vr: bytes) -> str:
        """Return the dictionary's VR, or the one written where the dictionary leaves a choice."""
        names = vr_of(tag).split(" or ")
        written = vr.decode("ascii")
        return written if written in names else names[0]


def _piece(source: Source, offset: int, length: int, pixels: bool) -> Piece:
    """Return a stretch of a file to be copied later; what is in memory already is taken as it is.

    All pixel data passes here and nowhere else, so this is where a rule for pixels would act.
    """
    return source.read(offset, length) if source.fd < 0 else Stretch(offset, length, pixels)
