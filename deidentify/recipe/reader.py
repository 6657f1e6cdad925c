"""Reads a recipe from YAML and refuses what could not be carried out exactly as written.

The keys and what they accept are here; what they mean is `deidentify.recipe.policies` and `deidentify.plan`.
"""

from __future__ import annotations

import re

from deidentify.dictionary import name_of
from deidentify.recipe import IMPLEMENTED_OPTIONS, Recipe
from deidentify.recipe.conditions import Condition, test_of
from deidentify.recipe.nodes import Node, Nodes
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
from deidentify.recipe.targets import ACTIONS, override
from deidentify.tables import CLEAN_PIXELS, CLEAN_VISUAL, table_e1_1
from deidentify.uids import UUIDS, wrong_root

PROFILES = ("basic", "none")
KEYS = (
    "name",
    "profile",
    "options",
    "dates",
    "text",
    "pixels",
    "documents",
    "overrides",
    "when",
    "filters",
    "uid-root",
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,31}")
_DATE_MODES = {"retain-full-dates": "keep", "retain-modified-dates": "shift"}
_MOST_DAYS = 36500
_LARGEST_SIDE = 65535


def read(file: str, text: str) -> Recipe:
    """Return the recipe that `text` is.

    Parameters
    ----------
    file : str
        How the file is called in complaints.
    text : str
        YAML.

    Raises
    ------
    Refused
        ``bad-recipe``, naming file, line and the accepted values.
    """
    return _Reader(Nodes(file, text)).recipe()


class _Reader:
    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes

    def recipe(self) -> Recipe:
        nodes = self.nodes
        if nodes.root is None:
            nodes.fail(None, "the recipe has to be written as 'key: value' lines")
        fields = nodes.fields(nodes.root, "the recipe", KEYS, ("name", "profile"))
        name = self._name(fields["name"])
        profile = nodes.choice(fields["profile"], "profile", PROFILES)
        options = self._options(fields["options"]) if "options" in fields else ()
        dates = self._dates(fields.get("dates"), options)
        recipe = Recipe(
            name,
            profile,
            options,
            table_e1_1().edition,
            self._overrides(fields["overrides"], dates) if "overrides" in fields else (),
            tuple(self._when(node, dates) for node in nodes.items(fields["when"], "when")) if "when" in fields else (),
            dates,
            self._text(fields["text"]) if "text" in fields else TextPolicy(),
            self._pixels(fields.get("pixels"), profile, options),
            self._documents(fields["documents"]) if "documents" in fields else DocumentPolicy(),
            self._filters(fields["filters"]) if "filters" in fields else (),
            self._uid_root(fields["uid-root"]) if "uid-root" in fields else UUIDS,
        )
        if profile == "none" and recipe != Recipe(name, profile, (), recipe.edition, filters=recipe.filters):
            nodes.fail(
                fields["profile"], "profile 'none' passes objects on unchanged and takes nothing but a name and filters"
            )
        return recipe

    def _name(self, node: Node) -> str:
        name = self.nodes.text(node)
        if not _NAME.fullmatch(name):
            self.nodes.fail(node, "a name is 1 to 32 letters, digits, spaces, dots, - and _")
        return name

    def _uid_root(self, node: Node) -> str:
        root = self.nodes.text(node)
        if wrong := wrong_root(root):
            self.nodes.fail(node, f"the root of UIDs {wrong}")
        return root

    def _options(self, node: Node) -> tuple[str, ...]:
        found: set[str] = set()
        for item in self.nodes.items(node, "options"):
            option = self.nodes.text(item)
            if option == CLEAN_VISUAL:
                self.nodes.fail(
                    item,
                    f"{CLEAN_VISUAL!r} needs defacing, which this version cannot do: exclude such series by a filter",
                    IMPLEMENTED_OPTIONS,
                )
            self.nodes.choice(item, "option", IMPLEMENTED_OPTIONS)
            if option in found:
                self.nodes.fail(item, f"option {option!r} is there twice")
            found.add(option)
            if found.issuperset(_DATE_MODES):
                self.nodes.fail(item, f"{' and '.join(_DATE_MODES)} contradict each other")
        return tuple(sorted(found))

    def _dates(self, node: Node, options: tuple[str, ...]) -> DatePolicy:
        mode = next((mode for option, mode in _DATE_MODES.items() if option in options), "remove")
        if node is None:
            return DatePolicy(mode)
        fields = self.nodes.fields(node, "dates", ("mode", "least-days", "most-days", "times"))
        if "mode" in fields and self.nodes.choice(fields["mode"], "mode", ("remove", "shift", "keep")) != mode:
            self.nodes.fail(
                fields["mode"],
                "the mode follows from the options: shift is retain-modified-dates, keep is retain-full-dates, and "
                "remove is neither of them",
                (mode,),
            )
        if mode != "shift" and fields.keys() - {"mode"}:
            self.nodes.fail(node, "days and times of a shift need the option retain-modified-dates")
        plain = DatePolicy()
        least = self._days(fields.get("least-days"), "least-days", plain.least_days)
        most = self._days(fields.get("most-days"), "most-days", max(least, plain.most_days))
        if least > most:
            self.nodes.fail(fields["least-days"], "least-days is more than most-days")
        times = self.nodes.choice(fields["times"], "times", ("shift", "keep")) if "times" in fields else plain.times
        return DatePolicy(mode, least, most, times)

    def _days(self, node: Node, what: str, default: int) -> int:
        return default if node is None else self.nodes.number(node, what, 1, _MOST_DAYS)

    def _text(self, node: Node) -> TextPolicy:
        fields = self.nodes.fields(node, "text", ("keep", "remove"))
        found: dict[str, tuple[str, ...]] = {}
        for key, words in fields.items():
            for item in self.nodes.items(words, key):
                if not 1 <= len(self.nodes.text(item).strip()) <= 64:
                    self.nodes.fail(item, "a word has 1 to 64 characters")
            found[key] = tuple(sorted({self.nodes.text(item).strip().casefold() for item in words.value}))
        if twice := set(found.get("keep", ())) & set(found.get("remove", ())):
            self.nodes.fail(fields["remove"], f"{min(twice)!r} is under keep and under remove")
        return TextPolicy(found.get("keep", ()), found.get("remove", ()))

    def _pixels(self, node: Node, profile: str, options: tuple[str, ...]) -> PixelPolicy:
        cleans = CLEAN_PIXELS in options
        if node is None:
            return PixelPolicy("clean") if profile != "none" else PixelPolicy()
        if self.nodes.is_word(node):
            fields = {"mode": node}
        else:
            fields = self.nodes.fields(node, "pixels", ("mode", "rectangles", "outside-regions"))
        modes = ("clean",) if cleans else ("keep", "quarantine", "clean")
        mode = self.nodes.choice(fields["mode"], "pixel mode", modes) if "mode" in fields else "clean"
        rectangles = self.nodes.items(fields["rectangles"], "rectangles") if "rectangles" in fields else []
        if rectangles and mode != "clean":
            self.nodes.fail(fields["rectangles"], "rectangles are blanked under pixel mode clean only")
        outside = "search"
        if "outside-regions" in fields:
            outside = self.nodes.choice(fields["outside-regions"], "outside-regions", ("search", "blank"))
        if outside == "blank" and mode != "clean":
            self.nodes.fail(fields["outside-regions"], "regions are looked at under pixel mode clean only")
        return PixelPolicy(mode, tuple(self._rectangles(one) for one in rectangles), outside)

    def _rectangles(self, node: Node) -> Rectangles:
        keys = ("if", "columns", "rows", "boxes")
        fields = self.nodes.fields(node, "rectangles", keys, keys)
        columns = self.nodes.number(fields["columns"], "columns", 1, _LARGEST_SIDE)
        rows = self.nodes.number(fields["rows"], "rows", 1, _LARGEST_SIDE)
        boxes = []
        for box in self.nodes.items(fields["boxes"], "boxes"):
            sides = self.nodes.items(box, "a box")
            if len(sides) != 4:
                self.nodes.fail(box, "a box is [x, y, width, height]")
            x, y = (self.nodes.number(side, "x and y", 0, _LARGEST_SIDE) for side in sides[:2])
            width, height = (self.nodes.number(side, "width and height", 1, _LARGEST_SIDE) for side in sides[2:])
            if x + width > columns or y + height > rows:
                self.nodes.fail(box, f"the box is not inside {columns} x {rows}")
            boxes.append((x, y, width, height))
        if not boxes:
            self.nodes.fail(fields["boxes"], "at least one box is needed")
        return Rectangles(self._condition(fields["if"]), columns, rows, tuple(boxes))

    def _documents(self, node: Node) -> DocumentPolicy:
        if not self.nodes.is_word(node):
            node = self.nodes.fields(node, "documents", ("mode",), ("mode",))["mode"]
        return DocumentPolicy(self.nodes.choice(node, "document mode", ("remove", "quarantine", "clean")))

    def _overrides(self, node: Node, dates: DatePolicy) -> tuple[Override, ...]:
        found: dict[tuple[int | None, str, str], Override] = {}
        for key, (key_node, value_node) in self.nodes.pairs(node, "overrides").items():
            action = self.nodes.choice(value_node, "action", ACTIONS)
            try:
                one = override(key, action)
            except ValueError as problem:
                self.nodes.fail(key_node, str(problem))
            if action == "shift" and dates.mode != "shift":
                self.nodes.fail(value_node, "a shift needs the option retain-modified-dates")
            target = (one.tag, one.vr, one.creator)
            if target in found:
                name = key if one.tag is None or one.creator else name_of(one.tag)
                self.nodes.fail(key_node, f"{name} is there twice")
            found[target] = one
        return tuple(sorted(found.values(), key=lambda one: (one.tag or 0, one.vr, one.creator)))

    def _when(self, node: Node, dates: DatePolicy) -> When:
        fields = self.nodes.fields(node, "an entry of when", ("if", "overrides"), ("if", "overrides"))
        return When(self._condition(fields["if"]), self._overrides(fields["overrides"], dates))

    def _filters(self, node: Node) -> tuple[Filter, ...]:
        found: dict[str, Filter] = {}
        for item in self.nodes.items(node, "filters"):
            fields = self.nodes.fields(item, "a filter", ("name", "if", "action", "reason"), ("name", "if", "action"))
            name = self._name(fields["name"])
            if name in found:
                self.nodes.fail(fields["name"], f"filter {name!r} is there twice")
            action = self.nodes.choice(fields["action"], "filter action", ("exclude", "quarantine"))
            reason = self.nodes.text(fields["reason"]).strip() if "reason" in fields else ""
            found[name] = Filter(name, self._condition(fields["if"]), action, reason)
        return tuple(found.values())

    def _condition(self, node: Node) -> Condition:
        tests = []
        for keyword, (key_node, patterns) in self.nodes.pairs(node, "if").items():
            words = self.nodes.words(patterns)
            try:
                tests.append(test_of(keyword, words))
            except ValueError as problem:
                self.nodes.fail(key_node, str(problem))
        if not tests:
            self.nodes.fail(node, "a condition needs at least one attribute")
        return Condition(tuple(sorted(tests)))
