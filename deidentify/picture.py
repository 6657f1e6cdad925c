"""The pixel data of one object on its way: what is decided about it, and the cleaned element in place of the old one.

How text in pixels is found and blanked is `deidentify.pixels`; here is only who is asked, and where the answer goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deidentify.dictionary import TAGS, vr_of
from deidentify.elements import Encoding
from deidentify.errors import Refused
from deidentify.facts import CORNERS, Facts
from deidentify.frames import Part
from deidentify.part10 import Head
from deidentify.pixels import (
    KEEP,
    REFUSE,
    Box,
    Decision,
    PixelFacts,
    PixelSource,
    cleaned,
    decide,
    facts_of,
    hides_something,
)
from deidentify.pixels import NEEDED as NEEDED_BY_PIXELS
from deidentify.recipe import PixelPolicy
from deidentify.source import Source
from deidentify.walk import FRAGMENTS, PIXEL_DATA, UNDEFINED

_SOP_CLASS = TAGS["SOPClassUID"]
_OFFSETS = TAGS["ExtendedOffsetTable"]
NEEDED = NEEDED_BY_PIXELS | {_OFFSETS, _SOP_CLASS}
_NOT_LOOKED_AT = Decision(KEEP)


@dataclass(slots=True)
class Picture:
    """The pixel data of one object.

    Attributes
    ----------
    facts : Facts
        Of the object.
    pixel_facts : PixelFacts or None
        Of its pixels, when they are looked at.
    decision : Decision
        What has to be done.
    transfer_syntax_uid : str
        Of the output; not that of the source when the pixels had to be stored in another way.
    outcome : str
        What was done about text that is burned in, for reports: ``none`` (no pixel data), ``kept``, ``searched``
        (nothing was found) or ``blanked``, and what else had to be done, after semicolons.
    is_clean : bool
        Whether text was looked for in every frame, or blanked where the device writes it.
    """

    facts: Facts
    pixel_facts: PixelFacts | None
    decision: Decision
    transfer_syntax_uid: str
    outcome: str
    is_clean: bool = False

    @classmethod
    def of(cls, facts: Facts, head: Head, policy: PixelPolicy) -> Picture:
        """Decide.

        Raises
        ------
        Refused
            ``pixels-undecided``, when a person has to look.
        """
        uid = head.transfer_syntax_uid
        if facts.pixels is None or policy.mode == "keep":
            return cls(facts, None, _NOT_LOOKED_AT, uid, "kept" if facts.pixels else "none")
        order: Literal["little", "big"] = "little" if head.little else "big"
        regions = [
            Box(left, top, right - left + 1, bottom - top + 1)
            for left, top, right, bottom in (
                [int.from_bytes(item.get(tag, b""), order) for tag in CORNERS] for item in facts.regions
            )
        ]
        of_pixels = facts_of(facts.values, facts.text(_SOP_CLASS), uid, regions)
        decision = decide(of_pixels, policy, facts.values)
        if decision.kind == REFUSE:
            raise Refused("pixels-undecided", f"A person has to look at the pixels: {decision.reason}.")
        return cls(facts, of_pixels if policy.mode == "clean" else None, decision, uid, "kept")

    @property
    def stays(self) -> bool:
        """Whether the picture is one that is copied without a search."""
        return self.decision.kind == KEEP

    def put_into(self, elements: dict[int, Part], source: Source, encoding: Encoding) -> set[int]:
        """Put cleaned pixel data in place of that of the source, where that is needed; returns the tags of what was made.

        Raises
        ------
        Refused
            ``pixels-undecided``, when the pixels cannot be read or the text in them not be found.
        """
        if self.facts.pixels is None or self.pixel_facts is None or self.facts.pixels[1] not in elements:
            return set()
        kind, tag, vr, _, offset, length = self.facts.pixels
        extended = self.facts.values.get(_OFFSETS, b"")
        where = PixelSource(source, offset, length, kind == FRAGMENTS, vr, extended, floating=tag != PIXEL_DATA)
        if self.stays and not hides_something(where, self.pixel_facts):
            return set()
        made = cleaned(where, self.pixel_facts, self.decision)
        self.transfer_syntax_uid = made.transfer_syntax_uid
        self.is_clean = made.searched or bool(made.boxes)
        first = "blanked" if made.boxes else "searched" if made.searched else "kept"
        self.outcome = "; ".join((first, *made.notes))
        if made.pieces is not None:
            size = UNDEFINED if made.encapsulated else sum(map(len, made.pieces))
            elements[tag] = [encoding.header(tag, made.vr, size), *made.pieces]
        for changed, raw in made.header.items():
            if raw is None:
                elements.pop(changed, None)
            else:
                written = vr_of(changed).split(" or ")[0].encode("ascii")
                elements[changed] = encoding.element(changed, written, raw)
        return set() if made.pieces is None else {tag, *made.header}
