"""The plan: a recipe compiled into one rule per tag for one kind of object, looked up once per element.

Which rule is said here and nowhere else; how a rule is carried out is `deidentify.rewrite`.

Who decides about an attribute, the first that speaks:

1. an override of the recipe (`deidentify.overrides`); one that removes a whole VR is for what no Type asks for;
2. the date options, on every date and time that they name: what is shifted is shifted, also where another option would
   keep it, because a date that stays true beside shifted ones gives the shift away;
3. another option that keeps (K), then one that cleans (C);
4. the Basic Profile, its combined actions resolved by the attribute's Type (`deidentify.iods`);
5. for what Table E.1-1 does not name: `deidentify.beyond`, then the VR. Text stays only as far as it is known to be safe.

Curves and overlay bitmaps are removed under every option: nobody can tell lines from letters in them. References to
images (X/Z/U*) stay with their UIDs replaced, whatever their Type is.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from deidentify.actions import (
    CHARACTER_SET,
    CLEAN,
    DUMMY,
    DUMMY_IF_FILLED,
    KEEP,
    REMOVE,
    SHIFT,
    TECHNICAL,
    UID,
    UID_OF_KIND,
    Rule,
)
from deidentify.beyond import BEYOND
from deidentify.concepts import concepts
from deidentify.dictionary import KEYWORDS, TAGS, keyword_of, vr_of
from deidentify.iods import OPTIONAL, Types, resolved
from deidentify.overrides import BY_ACTION, Overrides
from deidentify.private import safe_private
from deidentify.recipe import Recipe
from deidentify.recipe.targets import TEMPORAL_VRS
from deidentify.tables import table_e1_1, technical

__all__ = ["Kind", "Plan", "Rule"]

# UI attributes that name a kind of thing, never one thing of one patient (PS3.6); their values are kept.
_KINDS = frozenset(
    tag
    for tag, keyword in KEYWORDS.items()
    if vr_of(tag) == "UI"
    and ("Class" in keyword or "TransferSyntax" in keyword)
    and keyword != "ManufacturerDeviceClassUID"
)
_FREE_TEXT = frozenset({"AE", "LO", "LT", "SH", "ST", "UC", "UT"})
_BY_MODE = {"shift": SHIFT, "keep": KEEP}
_DATE_OPTIONS = {"retain-modified-dates": "shift", "retain-full-dates": "keep"}

# What lets something stay, with the actions than which it lets no more stay.
_PERMISSIVE = {
    "keep": (KEEP, UID_OF_KIND, CHARACTER_SET),
    "clean": (KEEP, CLEAN, TECHNICAL),
    "shift": (KEEP, SHIFT),
}

_REMEMBERED = 1 << 15
_LENGTH_TO_END = 0x00080001
_TIMEZONE = TAGS["TimezoneOffsetFromUTC"]
_DOCUMENT = TAGS["EncapsulatedDocument"]
_SECURITY_GROUP = 0x4010  # baggage and persons at checkpoints: no image of a patient has it
_PRIVATE = Rule(REMOVE, "private")
_UNKNOWN = Rule(REMOVE, "not-in-dictionary")
_GROUP_LENGTH = Rule(REMOVE, "group-length")
_GRAPHICS = {0x50: Rule(REMOVE, "curve"), 0x60: Rule(REMOVE, "overlay")}
_ROWS = {int(row.tag, 16): row for row in table_e1_1().rows if row.tag != "private" and "x" not in row.tag}
_TECHNICAL = frozenset(TAGS[keyword] for keyword in technical())


class Kind(NamedTuple):
    """What the rules for an object depend on.

    Attributes
    ----------
    sop_class : str
        Its SOP Class UID.
    conditions : tuple of bool
        Whether it fulfils each of `Recipe.conditions`.
    """

    sop_class: str = ""
    conditions: tuple[bool, ...] = ()


class Plan(dict[int, Rule]):
    """Rules by tag; those of tags that were not asked for yet are made when they are.

    Parameters
    ----------
    recipe : Recipe
        Of the Basic Profile.
    kind : Kind
        Of the objects.
    """

    def __init__(self, recipe: Recipe, kind: Kind | None = None) -> None:
        super().__init__()
        self.recipe, self.kind = recipe, kind or Kind()
        self._types = Types(self.kind.sop_class)
        self._options = frozenset(recipe.options)
        self._dates = recipe.dates.mode
        self._overrides = Overrides(recipe, self.kind.conditions)
        self._safe = safe_private() if "retain-safe-private" in self._options else {}
        self._concepts = concepts(recipe.options)
        self[TAGS["SpecificCharacterSet"]] = Rule(CHARACTER_SET, "keep")

    def __missing__(self, tag: int) -> Rule:
        rule = self._overridden(tag) or self._made(tag)
        if len(self) < _REMEMBERED:
            self[tag] = rule
        return rule

    def private(self, creator: str, tag: int) -> tuple[Rule, str]:
        """Return the rule for a private element and its VR (PS3.15 Table E.3.10-1).

        Parameters
        ----------
        creator : str
            The Private Creator of its block, stripped.
        tag : int
            Of the element as it is written, whatever its block.

        Returns
        -------
        Rule
            Text of a safe element is cleaned as technical text, a UID replaced, a date treated as any other.
        str
            The VR that the table has, or an empty string.
        """
        tag &= 0xFFFF00FF
        vr = self._safe.get((creator, tag), "")
        action = self._overrides.private(creator, tag)
        if action:
            return Rule(BY_ACTION[action], f"override-{action}", vr == "SQ"), vr
        if (creator, tag) not in self._safe:
            return _PRIVATE, ""
        return Rule(self._safe_action(vr), "safe-private", vr == "SQ"), vr

    def concept(self, scheme: str, value: str, value_type: str = "") -> int | None:
        """Return the action for a content item by its concept name (PS3.15 Table E.3.4-1).

        ``None`` when the table does not name the concept. For a reference (``IMAGE``, ``COMPOSITE``, ``WAVEFORM``,
        ``UIDREF``) the action is UID or KEEP: it stays, its UIDs replaced or not.
        """
        of_concept = self._concepts.get((scheme, value))
        if of_concept is None:
            return None
        return of_concept.get(value_type, next(iter(of_concept.values())))

    @cached_property
    def weakened(self) -> tuple[str, ...]:
        """Keywords, VRs and creators of which an override lets more stay than the profile and the options do."""
        return tuple(
            one.creator or one.vr or keyword_of(one.tag or 0)
            for one in self._overrides.applied
            if one.action in _PERMISSIVE
            and (one.tag is None or one.creator or self._made(one.tag).action not in _PERMISSIVE[one.action])
        )

    @cached_property
    def keeps_dates(self) -> bool:
        """Whether a date or a time of the original stays, by an option or an override, or may in private elements."""
        kept = [one for one in self._overrides.applied if one.action == "keep"]
        return self._dates == "keep" or any(
            one.creator or (one.vr or vr_of(one.tag or 0)) in TEMPORAL_VRS for one in kept
        )

    def _overridden(self, tag: int) -> Rule | None:
        if not self._overrides.applied:
            return None
        vr, kind = vr_of(tag), self._types.strictest(tag)
        word = self._overrides.of_tag(tag) or self._overrides.of_vr(tag, vr, optional=kind == OPTIONAL)
        return Rule(BY_ACTION[word], f"override-{word}", vr == "SQ", kind) if word else None

    def _made(self, tag: int) -> Rule:
        """Return the rule by the profile and its options."""
        group = tag >> 16
        if group & 1:
            return _PRIVATE
        if tag & 0xFFFF == 0 or tag == _LENGTH_TO_END:
            return _GROUP_LENGTH
        graphics = _GRAPHICS.get(group >> 8)
        if graphics:
            return graphics
        vr = vr_of(tag)
        if group < 8 or not (vr or tag in _ROWS):
            return _UNKNOWN
        if tag in _ROWS:
            action, name = self._listed(tag, vr)
        elif tag in BEYOND or group == _SECURITY_GROUP:
            action, name = self._beyond(tag), "beyond-table"
        else:
            action, name = self._unlisted(tag, vr)
        return Rule(action, name, vr == "SQ", self._types.strictest(tag))

    def _listed(self, tag: int, vr: str) -> tuple[int, str]:
        row = _ROWS[tag]
        applied = {option: letter for option, letter in row.options.items() if option in self._options}
        for option, mode in _DATE_OPTIONS.items():
            if applied.pop(option, "") and (mode == "keep" or vr in TEMPORAL_VRS or tag == _TIMEZONE):
                return (TECHNICAL if tag == _TIMEZONE else _BY_MODE[mode]), option
        for option, letter in applied.items():
            if letter == "K":
                return KEEP, option
        for option in applied:
            return CLEAN, option
        if tag == _DOCUMENT and self.recipe.documents.mode == "clean":
            return CLEAN, "document"
        action = resolved(row.basic, self._types.one(tag))
        if vr == "UI" and action in (DUMMY, DUMMY_IF_FILLED):
            action = UID
        return action, f"E.1-1:{row.basic}"

    def _beyond(self, tag: int) -> int:
        action, option = BEYOND.get(tag, (REMOVE, ""))
        if option in self._options:
            return CLEAN
        return self._left_out(tag) if action == REMOVE else action

    def _unlisted(self, tag: int, vr: str) -> tuple[int, str]:
        if vr in TEMPORAL_VRS:
            return _BY_MODE.get(self._dates, self._left_out(tag)), "unlisted-date"
        if vr == "UI":
            if tag in _KINDS:
                return UID_OF_KIND, "keep"
            return (KEEP, "retain-uids") if "retain-uids" in self._options else (UID, "uid")
        if vr == "PN":
            return self._left_out(tag), "unlisted-name"
        if vr == "UR" and tag not in _TECHNICAL:
            return self._left_out(tag), "unlisted-address"
        if tag in _TECHNICAL or vr == "CS":
            return TECHNICAL, "technical"
        if vr in _FREE_TEXT:
            return CLEAN, "unlisted-text"
        return KEEP, "keep"

    def _left_out(self, tag: int) -> int:
        """Return the action that removes, as far as no Type that the attribute has in the IOD asks for it."""
        return resolved("X/Z/D", self._types.strictest(tag))

    def _safe_action(self, vr: str) -> int:
        if vr in TEMPORAL_VRS:
            return _BY_MODE.get(self._dates, REMOVE)
        if vr == "UI":
            return KEEP if "retain-uids" in self._options else UID
        return TECHNICAL if vr in _FREE_TEXT or vr == "CS" else KEEP
