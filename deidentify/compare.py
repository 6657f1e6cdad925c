"""What became of each element: the source and the target side by side, with the rule that acted.

For showing only. It holds original values in its result, so it belongs before the eyes of those who may see them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from pydicom.valuerep import STR_VR

from deidentify.actions import DUMMY, DUMMY_IF_FILLED, EMPTY, KEEP, REMOVE, Rule
from deidentify.charset import decode
from deidentify.content import CONCEPT_NAME, VALUES, Concept, concept_of, concept_rule
from deidentify.dictionary import keyword_of, vr_of
from deidentify.dummies import CODE_TAGS, dummy
from deidentify.gate import CHARACTER_SET
from deidentify.marks import EQUIPMENT
from deidentify.part10 import dataset_walk, read_head
from deidentify.plan import Plan
from deidentify.source import opened
from deidentify.steps import FIRST_IN_BLOCK, PRIVATE
from deidentify.walk import ELEMENT, END_ITEM, END_SEQUENCE, FRAGMENTS, ITEM, SEQUENCE, Limits

LONGEST = 64
_LARGEST = 1 << 16
_Path = tuple[int, ...]
_TEXT = frozenset(str(vr) for vr in STR_VR)
_MARKS = frozenset({0x00120062, 0x00120063, 0x00120064, 0x00280303})


@dataclass(frozen=True, slots=True)
class Change:
    """One element in source and target.

    Attributes
    ----------
    path : str
        For example ``(0008,1140)[0].ReferencedSOPInstanceUID``.
    keyword, vr : str
        Of PS3.6; the keyword is empty for a private element.
    before, after : str
        Shortened values; what is no text is shown by its length. Empty when the element is absent.
    rule : str
        The rule that acted, as in `Released.actions`.
    kind : str
        ``kept``, ``changed``, ``emptied``, ``removed`` or ``added``.
    """

    path: str
    keyword: str
    vr: str
    before: str = field(repr=False)
    after: str = field(repr=False)
    rule: str
    kind: str


@dataclass(frozen=True, slots=True)
class _Shown:
    tag: int
    vr: str
    value: str
    empty: bool
    raw: bytes | None = field(repr=False)
    rule: Rule


def changes(source: str | os.PathLike[str], target: str | os.PathLike[str], plan: Plan, limits: Limits) -> list[Change]:
    """Return one entry per element of either file, in the order of the source, with additions where they belong.

    Raises
    ------
    Refused
        When one of the files is no whole object.
    """
    before, after = _elements(source, plan, limits), _elements(target, plan, limits)
    result = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        shown = old or new
        assert shown is not None
        result.append(
            Change(
                _written(path),
                keyword_of(shown.tag),
                shown.vr,
                old.value if old else "",
                new.value if new else "",
                _rule(path, shown, new, before),
                _kind(old, new),
            )
        )
    return result


def _rule(path: _Path, shown: _Shown, new: _Shown | None, before: dict[_Path, _Shown]) -> str:
    """Name the rule that acted: that of the element itself, or of a sequence around it that takes everything along."""
    tag = path[-1]
    if tag >> 16 == 2:
        return "file-meta"
    if tag in _MARKS or (path[0] == EQUIPMENT and path not in before):
        return "mark"
    rule = shown.rule
    put_in = new is not None and len(path) == 1 and not new.empty
    if put_in and rule.action in (REMOVE, EMPTY, DUMMY, DUMMY_IF_FILLED) and not rule.sequence:
        vr = new.vr if new else ""
        if new and new.raw != dummy(tag, vr):
            return "identifier"
    for end in range(1, len(path) - 1, 2):
        outer = before.get(path[:end])
        if outer and outer.rule.action in (REMOVE, EMPTY, DUMMY, DUMMY_IF_FILLED):
            return outer.rule.name if rule.action == KEEP or outer.rule.action in (REMOVE, EMPTY) else rule.name
    return rule.name


def _kind(old: _Shown | None, new: _Shown | None) -> str:
    if new is None:
        return "removed"
    if old is None:
        return "added"
    if (old.value, old.raw) == (new.value, new.raw):
        return "kept"
    return "emptied" if new.empty else "changed"


class _Item:
    """What is known of an item or data set when an element of it is reached."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._creators: dict[int, str] = {}
        self._code: dict[int, bytes] = {}
        self.concept: Concept | None = None

    def note(self, tag: int, raw: bytes) -> None:
        """Remember what decides about other elements."""
        if tag & PRIVATE and 0x10 <= tag & 0xFFFF <= 0xFF:
            self._creators[(tag >> 16) << 8 | tag & 0xFF] = raw.strip(b"\0 ").decode("latin-1")
        elif tag in CODE_TAGS:
            self._code[tag] = raw

    def rule(self, tag: int) -> Rule:
        """Return the rule for an element."""
        if tag & PRIVATE and tag & 0xFFFF >= FIRST_IN_BLOCK:
            return self._plan.private(self._creators.get(tag >> 8, ""), tag)[0]
        rule = self._plan[tag]
        if self.concept is not None and tag in VALUES:
            return concept_rule(self._plan, self.concept, tag, rule)
        return rule

    def code(self) -> Concept:
        """Return the code that this item is."""
        return concept_of(self._code)


def _elements(path: str | os.PathLike[str], plan: Plan, limits: Limits) -> dict[_Path, _Shown]:
    found: dict[_Path, _Shown] = {}
    with opened(path, limits.size) as file:
        head = read_head(file)
        for tag, raw_meta in head.meta.items():
            vr = vr_of(tag)
            shown = _shortened(decode(raw_meta)) if vr in _TEXT else f"{len(raw_meta)} bytes"
            found[(tag,)] = _Shown(tag, vr, shown, not raw_meta, raw_meta, Rule(REMOVE, "file-meta"))
        character_set = b""
        with dataset_walk(file, head, limits) as walk:
            place: list[int] = []
            item, outer = _Item(plan), list[_Item]()
            for kind, tag, written, _, value, length in walk.events():
                if kind == ITEM:
                    place[-1] += 1
                    outer.append(item)
                    item = _Item(plan)
                elif kind == END_ITEM:
                    ended, item = item, outer.pop()
                    if place[-2] == CONCEPT_NAME:
                        item.concept = ended.code()
                elif kind == SEQUENCE:
                    found[(*place, tag)] = _Shown(tag, "SQ", "", length == 0, None, item.rule(tag))
                    place += [tag, -1]
                elif kind == END_SEQUENCE:
                    del place[-2:]
                elif kind in (ELEMENT, FRAGMENTS):
                    vr = written.decode("ascii") or vr_of(tag) or "UN"
                    raw = walk.source.read(value, length) if kind == ELEMENT and length <= _LARGEST else None
                    if tag == CHARACTER_SET and not place and raw:
                        character_set = raw
                    item.note(tag, raw or b"")
                    shown = f"{length} bytes"
                    if vr in _TEXT and raw is not None:
                        shown = _shortened(decode(raw, character_set))
                    found[(*place, tag)] = _Shown(tag, vr, shown, length == 0, raw, item.rule(tag))
    return found


def _shortened(value: str) -> str:
    return value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"


def _written(path: _Path) -> str:
    outer = ".".join(
        f"({tag >> 16:04X},{tag & 0xFFFF:04X})[{item}]" for tag, item in zip(path[:-1:2], path[1:-1:2], strict=True)
    )
    last = keyword_of(path[-1]) or f"({path[-1] >> 16:04X},{path[-1] & 0xFFFF:04X})"
    return f"{outer}.{last}" if outer else last
