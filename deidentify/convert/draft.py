"""A recipe that is being made of another tool's script, rule by rule, and what of the script it has no place for.

It knows our recipes and no other tool.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from deidentify.recipe.targets import override

_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Left:
    """A rule that was not carried over.

    Attributes
    ----------
    line : int
        Of the script.
    rule : str
        As it is written there.
    why : str
        A sentence, with what to do instead where something is to be done.
    """

    line: int
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Converted:
    """The outcome of a conversion.

    Attributes
    ----------
    recipe : str
        The text of a recipe, which `Recipe.load` accepts.
    left : tuple of Left
        In the order of the script.
    """

    recipe: str
    left: tuple[Left, ...]


class Draft:
    """Collects what the rules of a script become.

    Parameters
    ----------
    name : str
        Of the recipe.
    source : str
        What the script is, for the comment at the head.
    """

    def __init__(self, name: str, source: str) -> None:
        self._name, self._source = _named(name, 32, "converted"), source
        self._options: set[str] = set()
        self._overrides: dict[str, str] = {}
        self._rectangles: list[dict[str, Any]] = []
        self._filters: list[dict[str, Any]] = []
        self._left: list[Left] = []

    def leave(self, line: int, rule: str, why: str) -> None:
        """Note a rule that has no place in a recipe."""
        self._left.append(Left(line, " ".join(rule.split()), why))

    def option(self, option: str) -> None:
        """Put an option into effect."""
        self._options.add(option)

    def override(self, line: int, rule: str, target: str, action: str) -> None:
        """Add an override, or note why it cannot be one; of two for the same attribute the last counts."""
        try:
            override(target, action)
        except ValueError as problem:
            self.leave(line, rule, f"{problem}.")
            return
        if action == "shift":
            self._options.add("retain-modified-dates")
        self._overrides[target] = action

    def quarantine(self, label: str, condition: dict[str, list[str]]) -> None:
        """Add a filter that holds objects back."""
        plain = _named(label, 28, "filter")
        taken = {one["name"] for one in self._filters}
        names = [plain, *(f"{plain} {number}" for number in range(2, 1000))]
        name = next(name for name in names if name not in taken)
        self._filters.append({"name": name, "if": _condition(condition), "action": "quarantine"})

    def rectangles(self, condition: dict[str, list[str]], columns: int, rows: int, boxes: list[list[int]]) -> None:
        """Add rectangles to blank."""
        self._rectangles.append({"if": _condition(condition), "columns": columns, "rows": rows, "boxes": boxes})

    def converted(self) -> Converted:
        """Return the recipe and what is not in it."""
        recipe: dict[str, Any] = {"name": self._name, "profile": "basic"}
        if self._options:
            recipe["options"] = sorted(self._options)
        recipe["pixels"] = {"mode": "clean"}
        if self._rectangles:
            recipe["pixels"]["rectangles"] = self._rectangles
        if self._filters:
            recipe["filters"] = self._filters
        text = _written(recipe, flow=None)
        if self._overrides:
            text += _written({"overrides": self._overrides}, flow=False)
        left = f"{len(self._left)} rules were not carried over" if self._left else "every rule was carried over"
        return Converted(f"# Made from {self._source}; {left}.\n{text}", tuple(self._left))


def _named(text: str, longest: int, otherwise: str) -> str:
    """Return what a recipe takes for a name."""
    return " ".join(_NO_NAME.sub(" ", text).split()).lstrip(" .-_")[:longest].rstrip() or otherwise


def _condition(condition: dict[str, list[str]]) -> dict[str, list[str] | str]:
    return {keyword: patterns[0] if len(patterns) == 1 else patterns for keyword, patterns in condition.items()}


def _written(part: dict[str, Any], *, flow: bool | None) -> str:
    return str(yaml.safe_dump(part, sort_keys=False, allow_unicode=True, width=120, default_flow_style=flow))
