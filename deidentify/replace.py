"""What one element becomes by its step: kept, replaced, cleaned, moved or dropped (PS3.15 E.1.1, PS3.5 7.4).

Elements only: sequences and items are taken apart and put together in `deidentify.rewrite`.
"""

from __future__ import annotations

from deidentify.actions import (
    CHARACTER_SET,
    CLEAN,
    DUMMY,
    DUMMY_IF_FILLED,
    EMPTY,
    KEEP,
    REMOVE,
    SHIFT,
    TECHNICAL,
    UID,
    UID_OF_KIND,
    Rule,
)
from deidentify.charset import known_character_set
from deidentify.content import cleaned_code
from deidentify.dictionary import TAGS
from deidentify.dummies import code, dummy, inside_dummy
from deidentify.elements import Piece, Stretch
from deidentify.facts import PIXELS
from deidentify.frames import Frame, Part, Pending
from deidentify.source import Source
from deidentify.steps import FIRST_IN_BLOCK, PRIVATE, TEXT, UNFIT, Step, Steps
from deidentify.uids import UidMap
from deidentify.values import TIME_OF, Values
from deidentify.walk import Event

INLINE = 1 << 20
LONGEST_UIDS = 1 << 16
CONCEALED = 2
_STAYING = frozenset((KEEP, CLEAN, TECHNICAL, SHIFT))


class Replacer:
    """Replaces elements of one object.

    Parameters
    ----------
    steps : Steps
        What to do.
    uids : UidMap
        How to replace UIDs.
    values : Values
        How to clean texts and move dates.
    inner_pixels : bool
        Whether pixel data inside of sequences, such as icons, stays where the plan keeps it.

    Attributes
    ----------
    originals : set of bytes
        The UIDs that were replaced or removed.
    """

    def __init__(self, steps: Steps, uids: UidMap, values: Values, *, inner_pixels: bool) -> None:
        self._steps, self._uids, self._values, self._inner_pixels = steps, uids, values, inner_pixels
        self.originals: set[bytes] = set()

    def element(self, source: Source, event: Event, frame: Frame, step: Step, rule: Rule) -> Part | None:
        """Return what an element becomes by `rule`, or None when nothing stays of it."""
        _, tag, vr, _, value, length = event
        action, write = rule.action, frame.encoding.element
        if tag in PIXELS:
            return self._pixels(source, event, frame, rule)
        if action == REMOVE:
            return None
        if step.do == UNFIT:
            return self.nothing(frame, tag, step, rule)
        if frame.dummy and action in _STAYING:
            kept = self._inside_dummy(source.read(value, length), frame, step) if length <= INLINE else None
            return None if kept is None else write(tag, step.written, kept)
        if action == EMPTY:
            return write(tag, step.written, b"")
        if action == DUMMY:
            return write(tag, step.written, dummy(tag, step.vr))
        if length > INLINE:
            return self._large(source, event, frame, step, rule)
        raw = source.read(value, length)
        if action == UID:
            return write(tag, b"UI", self._uids.replaced(raw, self.originals)) if length <= LONGEST_UIDS else None
        if action == UID_OF_KIND:
            return write(tag, b"UI", self._uids.kind(raw, self.originals))
        if action == SHIFT and step.vr == "DA":
            frame.dates.append(Pending(len(frame.parts), tag, raw, step, rule))
            return b""
        if action == DUMMY_IF_FILLED:
            return write(tag, step.written, dummy(tag, step.vr) if raw.strip(b"\0 ") else b"")
        if action == CHARACTER_SET:
            frame.character_set = known_character_set(raw)
            return write(tag, step.written, frame.character_set)
        new = self._new(raw, frame, tag, step, rule)
        if new == raw:
            return write(tag, vr, raw)
        if new is None or (not new and raw.strip(b"\0 ")):
            return self.nothing(frame, tag, step, rule)
        return write(tag, step.written, new)

    def _inside_dummy(self, raw: bytes, frame: Frame, step: Step) -> bytes | None:
        """Return what stays of a value inside a sequence that is replaced: of what would stay outside of one, even less."""
        if step.vr not in TEXT and step.form and not step.form(raw, 0):
            return None
        if step.vr == "CS" and raw.strip(b"\0 "):
            raw = self._values.cleaned(raw, frame.character_set, "CS", technical=True) or dummy(0, "CS")
        return inside_dummy(step.vr, raw)

    def _new(self, raw: bytes, frame: Frame, tag: int, step: Step, rule: Rule) -> bytes | None:
        """Return the value that takes the place of `raw`; `raw` itself when it stays."""
        action, vr = rule.action, step.vr
        if action == KEEP:
            if (len(raw) % step.size == 0 or step.size == 2) and (step.form is None or step.form(raw, 0)):
                return raw
            if vr != "CS":
                return None
            action = TECHNICAL
        if action == SHIFT and vr == "TM":
            moved = self._values.moved_time(raw)
            if moved is None:
                return None
            frame.carries[tag] = moved[1]
            return moved[0]
        if action == SHIFT and vr == "DT":
            return self._values.moved_datetime(raw)
        return self._values.cleaned(raw, frame.character_set, vr, technical=action == TECHNICAL)

    def nothing(self, frame: Frame, tag: int, step: Step, rule: Rule) -> bytes | None:
        """Return what stands for a value of which nothing stays: a dummy (Type 1), an empty one (2) or none (PS3.5 7.4)."""
        if rule.type == 3:
            return None
        return frame.encoding.element(tag, step.written, dummy(tag, step.vr) if rule.type == 1 else b"")

    def _pixels(self, source: Source, event: Event, frame: Frame, rule: Rule) -> Part | None:
        _, tag, vr, _, value, length = event
        if rule.action != KEEP or (frame.tag and not self._inner_pixels):
            return None
        return _copied(source, tag, vr, value, length, frame, pixels=True)

    def _large(self, source: Source, event: Event, frame: Frame, step: Step, rule: Rule) -> Part | None:
        """Return what becomes of a value that is too long to be looked at: numbers and bytes may stay, text may not."""
        _, tag, vr, _, value, length = event
        if rule.action == KEEP and step.vr not in TEXT and length % step.size == 0:
            return _copied(source, tag, vr, value, length, frame, pixels=False)
        return self.nothing(frame, tag, step, rule)

    def finish(self, item: Frame) -> None:
        """Complete a data set or an item: its codes, its dates, the creators of its private blocks."""
        if item.codes:
            self._finish_codes(item)
        for date in item.dates:
            new = self._values.moved_date(date.raw, item.carries.get(TIME_OF.get(date.tag, 0), []))
            if new is None:
                part = self.nothing(item, date.tag, date.step, date.rule)
            else:
                part = item.encoding.element(date.tag, date.step.written, new)
            item.parts[date.place] = (date.tag, part or b"")
        if item.creators:
            self._finish_private(item)

    def _finish_codes(self, item: Frame) -> None:
        def clean(tag: int, raw: bytes) -> bytes:
            rule = self._steps.plan[tag]
            if rule.action == KEEP:
                return raw
            vr = "LO" if tag == TAGS["CodeMeaning"] else "SH"
            technical = rule.action != CLEAN
            return self._values.cleaned(raw, item.character_set, vr, technical=technical)

        if item.dummy == CONCEALED:
            values = code({})
        else:
            values = code(item.codes) if item.dummy else cleaned_code(item.codes, clean)
        for tag, raw in sorted(values.items()):
            item.add(tag, item.encoding.element(tag, self._steps[tag, b""].vr.encode(), raw))

    def _finish_private(self, item: Frame) -> None:
        """Write the creators of the blocks of which something stays (PS3.5 7.8.1)."""
        parts = item.parts
        blocks = {tag >> 8 for tag, _ in parts if tag & PRIVATE and tag & 0xFFFF >= FIRST_IN_BLOCK}
        for block in sorted(blocks):
            name = item.creators.get(block, "")
            if name:
                tag = (block >> 8) << 16 | block & 0xFF
                item.add(tag, item.encoding.element(tag, b"LO", name.encode("latin-1")))
        nameless = {block for block in blocks if not item.creators.get(block)}
        if nameless:
            item.parts = [part for part in item.parts if not (part[0] & PRIVATE and part[0] >> 8 in nameless)]

    def remember(self, source: Source, value: int, length: int) -> None:
        """Note the UIDs of a removed element."""
        if length <= LONGEST_UIDS:
            self._uids.replaced(source.read(value, length), self.originals)


def _copied(source: Source, tag: int, vr: bytes, value: int, length: int, frame: Frame, *, pixels: bool) -> Part:
    header = frame.encoding.header(tag, vr, length + length % 2)
    return [header, piece(source, value, length, pixels=pixels), b"\0" * (length % 2)]


def piece(source: Source, offset: int, length: int, *, pixels: bool) -> Piece:
    """Return a stretch of a file to be copied later; what is in memory already is taken as it is."""
    return source.read(offset, length) if source.fd < 0 else Stretch(offset, length, pixels)
