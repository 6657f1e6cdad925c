"""The overrides of a recipe that apply to one kind of object, looked up by what they are for.

The narrower one wins: a tag before a VR, a private element before its creator; among equals the last of the conditional
ones that apply, and those before the unconditional ones.
"""

from __future__ import annotations

from deidentify.actions import CLEAN, DUMMY, EMPTY, KEEP, REMOVE, SHIFT, UID
from deidentify.dictionary import name_of
from deidentify.dummies import CODE_TAGS
from deidentify.recipe import Recipe
from deidentify.recipe.targets import FIXED

BY_ACTION = {
    "keep": KEEP,
    "remove": REMOVE,
    "empty": EMPTY,
    "replace-dummy": DUMMY,
    "clean": CLEAN,
    "shift": SHIFT,
    "replace-uid": UID,
}


class Overrides:
    """Looks up actions by attribute.

    Parameters
    ----------
    recipe : Recipe
        Whose overrides.
    conditions : tuple of bool
        Which of `Recipe.conditions` the object fulfils; none when empty.

    Attributes
    ----------
    applied : tuple of Override
        Those that are in effect.
    """

    def __init__(self, recipe: Recipe, conditions: tuple[bool, ...]) -> None:
        found = {(one.tag, one.vr, one.creator): one for one in recipe.overrides}
        for when, holds in zip(recipe.when, conditions, strict=False):
            if holds:
                found.update({(one.tag, one.vr, one.creator): one for one in when.overrides})
        self.applied = tuple(found.values())
        self._by_target = {target: one.action for target, one in found.items()}

    def of_tag(self, tag: int) -> str:
        """Return the action for an attribute of PS3.6 that an override names, or an empty string."""
        return self._by_target.get((tag, "", ""), "")

    def of_vr(self, tag: int, vr: str, *, optional: bool) -> str:
        """Return the action for an attribute by its VR, or an empty string.

        What identifies the object, and codes, is not meant by a VR; nothing that is not optional is removed by one.
        """
        if tag >> 16 & 1 or tag >> 16 < 8 or tag in CODE_TAGS or name_of(tag) in FIXED:
            return ""
        action = self._by_target.get((None, vr, ""), "")
        return "" if action == "remove" and not optional else action

    def private(self, creator: str, tag: int) -> str:
        """Return the action for a private element whose block byte is 0, or an empty string."""
        return self._by_target.get((tag, "", creator)) or self._by_target.get((None, "", creator), "")
