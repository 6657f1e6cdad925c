"""The rewriter: the second pass over a data set, which carries out the plan and copies what no rule acts on byte for byte.

It decides nothing (see `deidentify.plan`, and `deidentify.content` for codes), and writes no file. Whatever is not built
as its attribute asks goes through the same doors: a sequence written as a value is opened, one that cannot be opened is
dropped, a value that does not fit its VR does not stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from deidentify.actions import DUMMY, DUMMY_IF_FILLED, EMPTY, KEEP, REMOVE, SHIFT, UID, Rule
from deidentify.charset import known_character_set
from deidentify.content import CONCEPT_NAME, VALUES, concept_of, concept_rule
from deidentify.dictionary import TAGS
from deidentify.dummies import CODE_TAGS
from deidentify.elements import Encoding
from deidentify.errors import Refused
from deidentify.facts import PIXELS, Events, inner_walk
from deidentify.frames import Frame, Part
from deidentify.memory import LONGEST as LONGEST_REMEMBERED
from deidentify.memory import Became, Key, Memory
from deidentify.replace import CONCEALED, INLINE, Replacer, piece
from deidentify.source import Source
from deidentify.steps import ACT, CODE, COPY, CREATOR, DROP, DROP_UID, FIRST_IN_BLOCK, NEST, PRIVATE, UNFIT, Step, Steps
from deidentify.uids import UidMap
from deidentify.values import Values
from deidentify.walk import (
    ELEMENT,
    END_ITEM,
    END_SEQUENCE,
    FRAGMENTS,
    ITEM,
    PADDING,
    SEQUENCE,
    UNDEFINED,
    Event,
    Limits,
    Walk,
)

LONGEST_CREATOR = 64
_ICON = TAGS["IconImageSequence"]

# What these become depends on other elements beside them, or what others become on them.
_ENTANGLED = frozenset((CONCEPT_NAME, TAGS["SpecificCharacterSet"], *VALUES, *CODE_TAGS))


class Rewriter:
    """Rewrites one object.

    Parameters
    ----------
    steps : Steps
        What to do.
    uids : UidMap
        How to replace UIDs.
    values : Values
        How to clean texts and move dates.
    memory : Memory
        What elements became for the same steps, key, values, encoding and choice about inner pixels.
    little : bool
        Byte order of the object.
    limits : Limits
        When to refuse.
    inner_pixels : bool
        Whether pixel data inside of sequences, such as icons, stays where the plan keeps it.

    Attributes
    ----------
    actions : Counter
        How many elements each rule acted on.
    originals : set of bytes
        The UIDs that were replaced or removed.
    seen : list of Event
        Where the elements of the top level start, in the order of the source.
    same : set of int
        Tags of those of them that are known to have stayed as they were.
    """

    def __init__(
        self,
        steps: Steps,
        uids: UidMap,
        values: Values,
        *,
        memory: Memory,
        little: bool,
        limits: Limits,
        inner_pixels: bool = True,
    ) -> None:
        self._steps, self._memory, self._limits, self._inner_pixels = steps, memory, limits, inner_pixels
        self._replacer = Replacer(steps, uids, values, inner_pixels=inner_pixels)
        self._encodings = {implicit: Encoding(implicit=implicit, little=little) for implicit in (False, True)}
        self._names: list[str] = []
        self.actions: Counter[str] = Counter()
        self.originals = self._replacer.originals
        self.seen: list[Event] = []
        self.same: set[int] = set()

    def dataset(self, events: Events, character_set: bytes) -> list[tuple[int, Part]]:
        """Return the elements of the rewritten top level, in the order of tags.

        Parameters
        ----------
        events : Events
            Of a whole data set.
        character_set : bytes
            Its raw SpecificCharacterSet.

        Raises
        ------
        Refused
            Whatever the walk refuses.
        """
        root = Frame(self._encodings[events.walk.implicit], known_character_set(character_set), dummy=0)
        self._top_level(events, root)
        self._replacer.finish(root)
        self.actions.update(self._names)
        return sorted(dict(root.parts).items())

    def _top_level(self, events: Events, root: Frame) -> None:
        """Rebuild the top level; an element that was met before becomes what it became then."""
        walk, source, memory, names = events.walk, events.walk.source, self._memory, self._names
        steps, private, read = self._steps, self._steps.private, source.read
        character_set, creators = root.character_set, root.creators
        note, same = self.seen.append, self.same
        following = iter(events)
        for event in following:
            note(event)
            kind, tag, vr, start, value, length = event
            creator = creators.get(tag >> 8, "") if tag & PRIVATE and tag & 0xFFFF >= FIRST_IN_BLOCK else None
            step = steps[tag, vr] if creator is None else private[creator, tag, vr]
            if kind == ELEMENT and step.do == DROP:
                names.append(step.name)
                continue
            size = value + length - start
            if size > LONGEST_REMEMBERED or (kind != ELEMENT and kind != SEQUENCE):
                self._run(_whole(event, following), walk, root)
                continue
            data = read(start, size)
            key = data if creator is None else (creator, data)
            became = memory.get(key)
            if became is not None:
                if kind == SEQUENCE:
                    for _ in _whole(event, following):
                        pass
                names.extend(became.names)
                root.parts.extend(became.parts)
                if became.same:
                    same.add(tag)
                if became.originals:
                    self.originals.update(became.originals)
            elif _stands_alone(tag, step):
                self._remember(key, data, list(_whole(event, following)), walk, root)
            elif kind == ELEMENT:
                self._element(source, event, root, walk.depth)
                if root.character_set != character_set:  # it is there twice
                    self._run(_noted(following, note), walk, root)
            else:
                self._run(_whole(event, following), walk, root)

    def _remember(self, key: Key, data: bytes, events: list[Event], walk: Walk, root: Frame) -> None:
        """Rebuild one element of the top level, and note what it became."""
        before, names, parts = self.originals, len(self._names), len(root.parts)
        self.originals = self._replacer.originals = set()
        try:
            self._run(events, walk, root)
        finally:
            originals = frozenset(self.originals)
            before |= originals
            self.originals = self._replacer.originals = before
        if not any(event[1] in PIXELS for event in events):
            made = tuple(root.parts[parts:])
            same = len(made) == 1 and made[0][1] in (data, [data])
            self._memory.remember(key, len(data), Became(made, tuple(self._names[names:]), originals, same))

    def _run(self, events: Iterable[Event], walk: Walk, root: Frame) -> None:
        """Rebuild what `walk` finds inside `root`."""
        source = walk.source
        steps = self._steps
        remember, finish = self._replacer.remember, self._replacer.finish
        frame, stack = root, list[Frame]()
        dropped = 0
        for event in events:
            kind, tag, vr, start, value, length = event
            if dropped:
                if kind == ELEMENT:
                    if not tag & PRIVATE and ((step := steps[tag, vr]).do == DROP_UID or step.rule.action == UID):
                        remember(source, value, length)
                elif kind in (SEQUENCE, ITEM):
                    dropped += 1
                elif kind in (END_ITEM, END_SEQUENCE):
                    dropped -= 1
            elif kind == ELEMENT:
                self._element(source, event, frame, walk.depth + len(stack) // 2)
            elif kind == SEQUENCE:
                inner = self._sequence(event, frame)
                if inner is None:
                    dropped = 1
                else:
                    stack.append(frame)
                    frame = inner
            elif kind == ITEM:
                stack.append(frame)
                frame = Frame(
                    self._encodings[bool(tag)],
                    frame.character_set,
                    dummy=frame.dummy,
                    tag=frame.tag,
                    undefined=length == UNDEFINED,
                )
            elif kind == END_ITEM:
                item, frame = frame, stack.pop()
                if item.tag == CONCEPT_NAME:
                    frame.concept = concept_of(item.codes)
                finish(item)
                pieces = item.encoding.item(item.pieces(), undefined=item.undefined)
                frame.parts.append((0, pieces[0] if len(pieces) == 1 else pieces))
            elif kind == END_SEQUENCE:
                sequence, frame = frame, stack.pop()
                self._close(frame, sequence)
            elif kind == FRAGMENTS:
                self._fragments(source, event, frame)
            elif kind == PADDING:
                self._names.append("padding")

    def _element(self, source: Source, event: Event, frame: Frame, depth: int) -> None:
        """Put what an element becomes into what it belongs to."""
        _, tag, vr, start, value, length = event
        step = self._step(frame, tag, vr)
        do, name, size, form, _, _, _ = step
        self._names.append(name)
        if do == DROP:
            return
        if do == COPY and length <= INLINE and not (length % size or frame.dummy):
            data = source.read(start, value + length - start)
            if form is None or form(data, value - start):
                frame.add(tag, data)
                return
        part = self._acted(source, event, frame, step, depth)
        if part is not None:
            frame.add(tag, part)

    def _step(self, frame: Frame, tag: int, vr: bytes) -> Step:
        if tag & PRIVATE and tag & 0xFFFF >= FIRST_IN_BLOCK:
            return self._steps.private[frame.creators.get(tag >> 8, ""), tag, vr]
        return self._steps[tag, vr]

    def _sequence(self, event: Event, frame: Frame) -> Frame | None:
        """Return what the items of a sequence go into, or None when nothing stays of them."""
        _, tag, vr, _, _, length = event
        step = self._step(frame, tag, vr)
        self._names.append(step.name)
        if step.do != NEST:
            return None
        return self._opened(tag, vr or b"SQ", self._rule(step, frame, tag), frame, undefined=length == UNDEFINED)

    def _opened(self, tag: int, vr: bytes, rule: Rule, frame: Frame, *, undefined: bool) -> Frame | None:
        if rule.action == REMOVE or (tag == _ICON and not self._inner_pixels):
            return None
        if rule.action == EMPTY:
            frame.add(tag, frame.encoding.element(tag, b"SQ", b""))
            return None
        replaced = rule.action in (DUMMY, DUMMY_IF_FILLED)
        inner = max(frame.dummy, replaced * (CONCEALED if tag in VALUES else 1))
        return Frame(frame.encoding, frame.character_set, dummy=inner, tag=tag, vr=vr, undefined=undefined)

    def _close(self, frame: Frame, sequence: Frame) -> None:
        """Put a sequence that is complete into what it belongs to."""
        tag = sequence.tag
        if tag == CONCEPT_NAME:
            frame.concept = sequence.concept
        pieces = frame.encoding.sequence(tag, sequence.vr, sequence.pieces(), undefined=sequence.undefined)
        frame.add(tag, pieces)

    def _opaque_sequence(self, source: Source, event: Event, frame: Frame, step: Step, depth: int) -> None:
        """Rewrite a sequence that is written as a value (PS3.5 6.2.2); under a VR of its own nothing stays."""
        _, tag, vr, _, value, length = event
        if vr not in (b"UN", b""):
            return
        sequence = self._opened(tag, vr or b"SQ", self._rule(step, frame, tag), frame, undefined=False)
        if sequence is None:
            return
        if length:
            walk = inner_walk(source, value, length, depth, self._limits)
            if walk is None:
                return
            sequence.encoding = self._encodings[True]
            try:
                self._run(Events(walk), walk, sequence)
            except Refused:
                return
        self._close(frame, sequence)

    def _rule(self, step: Step, frame: Frame, tag: int) -> Rule:
        if frame.concept is not None and tag in VALUES:
            return concept_rule(self._steps.plan, frame.concept, tag, step.rule)
        return step.rule

    def _fragments(self, source: Source, event: Event, frame: Frame) -> None:
        """Pass on pixel data that is made of fragments (PS3.5 A.4); nothing else can be."""
        _, tag, vr, start, value, length = event
        step = self._step(frame, tag, vr)
        self._names.append(step.name)
        if tag in PIXELS:
            if step.rule.action == KEEP and (self._inner_pixels or not frame.tag):
                frame.add(tag, piece(source, start, value + length - start, pixels=True))
        elif step.do not in (NEST, DROP, DROP_UID):
            part = self._replacer.nothing(frame, tag, step, step.rule)
            if part is not None:
                frame.add(tag, part)

    def _acted(self, source: Source, event: Event, frame: Frame, step: Step, depth: int) -> Part | None:
        """Return what an element becomes, or None when nothing stays of it or it waits for the end of its item."""
        _, tag, vr, _, value, length = event
        do = step.do
        if do in (ACT, COPY, UNFIT):
            rule = step.rule if frame.concept is None else self._rule(step, frame, tag)
            return self._replacer.element(source, event, frame, step, rule)
        if do == NEST:
            self._opaque_sequence(source, event, frame, step, depth)
        elif do == DROP_UID:
            self._replacer.remember(source, value, length)
        elif do == CREATOR:
            if length <= LONGEST_CREATOR:
                creator = source.read(value, length).strip(b"\0 ").decode("latin-1")
                frame.name_creator((tag >> 16) << 8 | tag & 0xFF, creator)
        elif do == CODE and length <= INLINE:
            frame.codes[tag] = source.read(value, length)
        return None


def _stands_alone(tag: int, step: Step) -> bool:
    """Tell whether what an element of the top level becomes depends on nothing beside it but its creator."""
    if tag in _ENTANGLED:
        return False
    return step.do == NEST or (step.do != CREATOR and step.rule.action != SHIFT)


def _whole(event: Event, following: Iterator[Event]) -> Iterator[Event]:
    """Yield an event of the top level, and those that belong to the same element."""
    yield event
    depth = int(event[0] == SEQUENCE)
    while depth:
        event = next(following)
        depth += (event[0] == SEQUENCE) - (event[0] == END_SEQUENCE)
        yield event


def _noted(events: Iterator[Event], note: Callable[[Event], None]) -> Iterator[Event]:
    """Yield events, and note those of the top level."""
    for event in events:
        note(event)
        yield from _whole(event, events)
