"""Recipes: what is done to an object, as data, read from a YAML file that is checked line by line.

A recipe decides nothing about a tag; `deidentify.plan` makes rules of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from deidentify.errors import Refused
from deidentify.recipe.conditions import CHARACTER_SET, Condition
from deidentify.recipe.policies import (
    DatePolicy,
    DocumentPolicy,
    Filter,
    Override,
    PixelPolicy,
    Rectangles,
    TextPolicy,
    When,
)
from deidentify.tables import CLEAN_PIXELS, OPTIONS
from deidentify.uids import UUIDS, wrong_root

__all__ = [
    "IMPLEMENTED_OPTIONS",
    "SHIPPED",
    "Condition",
    "DatePolicy",
    "DocumentPolicy",
    "Filter",
    "Override",
    "PixelPolicy",
    "Recipe",
    "Rectangles",
    "TextPolicy",
    "When",
]

IMPLEMENTED_OPTIONS = (*OPTIONS, CLEAN_PIXELS)
SHIPPED = ("basic", "research", "minimal", "none")
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Recipe:
    """What is done to an object.

    Attributes
    ----------
    name : str
        As in the file; it is written into every output.
    profile : str
        ``basic`` (PS3.15 Table E.1-1, Basic Profile) or ``none``.
    options : tuple of str
        Options of PS3.15 E.3 in effect, sorted.
    edition : str
        The edition of PS3.15 that the profile is taken from.
    overrides : tuple of Override
        For every object, sorted.
    when : tuple of When
        Overrides for some objects, in the order of the file.
    dates, text, pixels, documents
        The policies.
    filters : tuple of Filter
        In the order of the file; the first that holds decides.
    uid_root : str
        What replaced UIDs start with.
    """

    name: str
    profile: str
    options: tuple[str, ...]
    edition: str
    overrides: tuple[Override, ...] = ()
    when: tuple[When, ...] = ()
    dates: DatePolicy = field(default_factory=DatePolicy)
    text: TextPolicy = field(default_factory=TextPolicy)
    pixels: PixelPolicy = field(default_factory=PixelPolicy)
    documents: DocumentPolicy = field(default_factory=DocumentPolicy)
    filters: tuple[Filter, ...] = ()
    uid_root: str = UUIDS

    @property
    def deidentifies(self) -> bool:
        """False for a recipe that passes the original on."""
        return self.profile != "none"

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions whose outcome decides about rules, in the order of `deidentify.plan.Kind.conditions`."""
        return tuple(when.condition for when in self.when)

    @cached_property
    def asked(self) -> frozenset[int]:
        """The top-level attributes that a condition of this recipe looks at."""
        conditions = [
            *self.conditions,
            *(one.condition for one in self.filters),
            *(one.conditions for one in self.pixels.rectangles),
        ]
        return frozenset(tag for one in conditions for tag, _ in one.tests) | {CHARACTER_SET}

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content in canonical form: comments, order and spelling of tags do not matter."""
        content = asdict(self)
        if self.uid_root == UUIDS:  # a recipe that names no root has the hash that it had before there were roots
            del content["uid_root"]
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def below(self, uid_root: str) -> Recipe:
        """Return the recipe with another root of UIDs, unless it names one itself or replaces nothing.

        Raises
        ------
        Refused
            ``bad-recipe``.
        """
        if wrong := wrong_root(uid_root):
            raise Refused("bad-recipe", f"The root of UIDs {wrong}.")
        return replace(self, uid_root=uid_root) if self.deidentifies and self.uid_root == UUIDS else self

    def admit(self, values: Mapping[int, bytes], *, little: bool = True) -> None:
        """Let an object with these raw top-level values pass, or not.

        Raises
        ------
        Refused
            ``excluded`` or ``quarantined-by-recipe``, with the name of the first filter that holds.
        """
        for one in self.filters:
            if one.condition.matches(values, little=little):
                because = f": {one.reason}" if one.reason else ""
                which = f"The filter {one.name!r} of recipe {self.name!r}"
                if one.action == "exclude":
                    raise Refused("excluded", f"{which} leaves this object out{because}.", one.name)
                raise Refused("quarantined-by-recipe", f"{which} holds this object back{because}.", one.name)

    @classmethod
    def load(cls, name_or_path: str | os.PathLike[str]) -> Recipe:
        """Read a shipped recipe by its name, or any recipe by its path.

        Raises
        ------
        Refused
            ``bad-recipe``, naming file, line and the accepted values.
        """
        from deidentify.recipe.reader import read  # the reader makes recipes, so it imports this module

        if name_or_path in SHIPPED:
            text = files("deidentify").joinpath("recipes", f"{name_or_path}.yaml").read_text("utf-8")
            return read(f"{name_or_path}.yaml", text)
        path = Path(name_or_path)
        try:
            content = path.read_bytes()
        except (OSError, ValueError):
            raise Refused(
                "bad-recipe",
                f"There is no recipe {str(path)!r}: not a file, and not one of {', '.join(SHIPPED)}.",
            ) from None
        if len(content) > _LARGEST:
            raise Refused("bad-recipe", f"{path.name} is larger than {_LARGEST} bytes; this is no recipe.")
        try:
            return read(path.name, content.decode("utf-8"))
        except UnicodeDecodeError:
            raise Refused("bad-recipe", f"{path.name} is not UTF-8 text.") from None
