"""What a recipe promises for an attribute, read from Table E.1-1 and the recipe's options, not from the engine.

Where two options say different things about an attribute nothing is promised, so nothing is judged.
"""

from __future__ import annotations

from functools import cache

from pydicom.datadict import DicomDictionary

from deidentify import Recipe
from deidentify.tables import Row, table_e1_1

GONE, KEPT, CLEANED, SHIFTED, FREE = "gone", "kept", "cleaned", "shifted", "free"
TEXT = frozenset(("LO", "SH", "ST", "LT", "UT", "UC", "PN", "AE", "AS", "CS", "UR"))
_TIMES = frozenset(("DA", "TM", "DT"))
_NUMBERS = frozenset(("DS", "IS", "US", "SS", "UL", "SL", "FL", "FD", "UV", "SV", "AT", "CS", "US or SS"))


@cache
def rows() -> dict[int, Row]:
    """Rows of Table E.1-1 that stand for one attribute."""
    return {int(row.tag, 16): row for row in table_e1_1().rows if row.tag != "private" and "x" not in row.tag}


@cache
def unlisted(vr: str) -> tuple[int, ...]:
    """Attributes of PS3.6 with a VR that no row names, apart from those that an image cannot do without."""
    return tuple(
        tag
        for tag, entry in sorted(DicomDictionary.items())
        if entry[0] == vr and 8 <= tag >> 16 < 0x5000 and tag >> 16 not in (0x28, 0x4010) and tag not in rows()
    )


class Promise:
    """What one recipe promises.

    Parameters
    ----------
    recipe : Recipe
        Only its profile, options and overrides are looked at.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.options = frozenset(recipe.options)
        self._tags = {override.tag: override.action for override in recipe.overrides if override.tag}
        self._vrs = {override.vr: override.action for override in recipe.overrides if override.vr}

    def of(self, tag: int, vr: str) -> str:
        """Return what happens to a value of this attribute that identifies somebody."""
        action = self._tags.get(tag, self._vrs.get(vr))
        if action:
            return GONE if action in ("remove", "empty") else FREE
        row = rows().get(tag)
        if row is None:
            if vr in _TIMES:
                return SHIFTED if self.shifts else GONE
            return KEPT if vr in _NUMBERS else GONE
        said = {
            (SHIFTED if option == "retain-modified-dates" else CLEANED) if letter == "C" else KEPT
            for option, letter in row.options.items()
            if option in self.options
        }
        if len(said) > 1:
            return FREE
        return said.pop() if said else GONE

    def keeps(self, tag: int, vr: str) -> bool:
        """Tell whether a value of this attribute that identifies nobody has to stay as it is."""
        overridden = tag in self._tags or vr in self._vrs
        return not overridden and (tag not in rows() or self.of(tag, vr) == KEPT)

    @property
    def shifts(self) -> bool:
        """Whether dates are moved by one distance for each patient."""
        return "retain-modified-dates" in self.options

    def has(self, option: str) -> bool:
        """Whether an option is in effect."""
        return option in self.options
