"""Steps: the rules of a plan, made ready for each way in which an element can be written (PS3.5 6.2 and 7.1).

A step is looked up once per element, by tag and VR as written; what it stands for is carried out by `deidentify.rewrite`.
A value stays as it is only where it fits the VR that PS3.6 (or Table E.3.10-1) gives it: a name in a number is no number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from deidentify.actions import KEEP, REMOVE, TECHNICAL, UID, Rule
from deidentify.content import VALUES
from deidentify.dictionary import vr_of
from deidentify.dummies import CODE_TAGS
from deidentify.facts import PIXELS
from deidentify.plan import Plan
from deidentify.walk import HEADER

COPY, DROP, DROP_UID, UNFIT, ACT, NEST, CODE, CREATOR = range(8)

PRIVATE = 0x00010000
FIRST_IN_BLOCK = 0x1000

_REMEMBERED = 1 << 15
_SIZES = {
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL", "AT"), 4),
    **dict.fromkeys(("FD", "OD", "SV", "UV", "OV"), 8),
}
TEXT = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"))
_FORMS = {
    vr: re.compile(form).fullmatch
    for vr, form in {
        "AS": rb"(\d{3}[DWMY]|[ \0\\])*",
        "CS": rb"[A-Z0-9_ \\\0]*",
        "DA": rb"[0-9.\- \\\0]*",
        "DS": rb"[0-9+\-.eE \\\0]*",
        "DT": rb"[0-9.+\- \\\0]*",
        "IS": rb"[0-9+\- \\\0]*",
        "TM": rb"[0-9:.\- \\\0]*",
        "UI": rb"[0-9.\\ \0]*",
    }.items()
}
# Numbers and bytes that read as a text are one.
_NO_TEXT = re.compile(rb"(?![ -~]{12,}[\0 ]*\Z)").match

Form = Callable[[bytes, int], re.Match[bytes] | None]


class Step(NamedTuple):
    """What is done to an element.

    Attributes
    ----------
    do : int
        One of the constants of this module.
    name : str
        Of the rule, for counting.
    size : int
        A value that stays has a length that is a multiple of this.
    form : callable or None
        A value that stays is matched by this from the given position on.
    rule : Rule
        For the other cases.
    vr : str
        Of the value: as written where the dictionary leaves a choice, else the dictionary's.
    written : bytes
        The VR that a new value is written with: a private element keeps the one that it has.
    """

    do: int
    name: str
    size: int
    form: Form | None
    rule: Rule
    vr: str
    written: bytes


class Steps(dict[tuple[int, bytes], Step]):
    """The steps for standard elements and private creators, by tag and VR as written; made when asked for.

    Parameters
    ----------
    plan : Plan
        Of the kind of object.

    Attributes
    ----------
    private : PrivateSteps
        Those for private elements.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.private = PrivateSteps(plan)

    def __missing__(self, key: tuple[int, bytes]) -> Step:
        tag, written = key
        rule = self.plan[tag]
        if tag & PRIVATE and 0x10 <= tag & 0xFFFF <= 0xFF:
            step = Step(CREATOR, rule.name, 2, None, rule, "LO", b"LO")
        else:
            step = _step(rule, tag, vr_of(tag), written)
        if len(self) < _REMEMBERED:
            self[key] = step
        return step


class PrivateSteps(dict[tuple[str, int, bytes], Step]):
    """The steps for private elements, by creator, tag and VR as written (PS3.15 E.3.10)."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def __missing__(self, key: tuple[str, int, bytes]) -> Step:
        creator, tag, written = key
        rule, vr = self._plan.private(creator, tag)
        rule = rule._replace(sequence=rule.sequence or vr == "SQ" or written == b"SQ")
        step = _step(rule, tag, vr, written)
        if len(self) < _REMEMBERED:
            self[key] = step
        return step


def _step(rule: Rule, tag: int, known: str, written: bytes) -> Step:
    """Return the step for an element whose VR is `known` to be one or one of several, and that is `written` as one."""
    names = known.split(" or ") if known else []
    foreign = written.decode("ascii", "replace")
    vr = foreign if foreign in names or not names else names[0]
    new = written if tag & PRIVATE and written else vr.encode("ascii", "replace")
    is_uid = vr == "UI" or written == b"UI"

    def step(do: int, size: int = 2, form: Form | None = None, rule: Rule = rule) -> Step:
        return Step(do, rule.name, size, form, rule, vr, new)

    if rule.action == REMOVE and tag not in VALUES:
        return step(DROP_UID if is_uid and not tag & PRIVATE else DROP)
    if written and written not in HEADER:
        return step(DROP)
    if rule.sequence:
        return step(NEST)
    if tag in CODE_TAGS:
        return step(CODE)
    if rule.action != KEEP or tag in PIXELS or tag in VALUES:
        return step(ACT)
    if written == b"UI" and vr != "UI":
        return step(ACT, rule=rule._replace(action=UID))
    if foreign in TEXT and vr not in TEXT:
        return step(UNFIT)
    if vr in TEXT and written not in (b"", b"UN") and foreign not in TEXT:
        return step(ACT, rule=rule._replace(action=TECHNICAL))
    form = None if vr == "CS" and rule.action == KEEP else _FORMS.get(vr, None if vr in TEXT else _NO_TEXT)
    return step(COPY, _SIZES.get(foreign if foreign in _SIZES else vr, 2), form)
