"""Recipes: which profile, which options and which overrides, read from a YAML file that is checked line by line.

A recipe is data; `deidentify.plan` makes rules of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

import yaml

from deidentify.dictionary import TAGS, name_of, vr_of
from deidentify.errors import Refused
from deidentify.tables import OPTIONS, table_e1_1

PROFILES = ("basic", "none")
OVERRIDES = ("keep", "remove", "empty", "replace-dummy")
KEYS = ("name", "profile", "options", "overrides")
FIXED = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
)
IMPLEMENTED_OPTIONS: tuple[str, ...] = ()

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,31}")
_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done to an object.

    Attributes
    ----------
    name : str
        As in the file; it is written into every output.
    profile : str
        ``basic`` (PS3.15 Table E.1-1, Basic Profile) or ``none``.
    options : tuple of str
        Options of PS3.15 E.3 in effect.
    overrides : tuple of (int, str)
        Tag and action, sorted by tag.
    edition : str
        The edition of PS3.15 that the profile is taken from.
    """

    name: str
    profile: str
    options: tuple[str, ...]
    overrides: tuple[tuple[int, str], ...]
    edition: str

    @property
    def deidentifies(self) -> bool:
        """False for a recipe that passes the original on."""
        return self.profile != "none"

    @property
    def hash(self) -> str:
        """SHA-256 of the content in canonical form: comments, order and spelling of tags do not matter."""
        content = {
            "name": self.name,
            "profile": self.profile,
            "options": sorted(self.options),
            "overrides": {f"{tag:08X}": action for tag, action in self.overrides},
            "edition": self.edition,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @classmethod
    def load(cls, name_or_path: str | os.PathLike[str]) -> Recipe:
        """Read a shipped recipe by its name, or any recipe by its path.

        Raises
        ------
        Refused
            ``bad-recipe``, naming file, line and the accepted values.
        """
        shipped = files("deidentify").joinpath("recipes", f"{name_or_path}.yaml")
        if isinstance(name_or_path, str) and _NAME.fullmatch(name_or_path) and shipped.is_file():
            return _Reader(f"{name_or_path}.yaml", shipped.read_text("utf-8")).recipe()
        path = Path(name_or_path)
        try:
            content = path.read_bytes()
        except (OSError, ValueError):
            raise Refused(
                "bad-recipe", f"There is no recipe {str(path)!r}: not a file, and not one of basic, none."
            ) from None
        if len(content) > _LARGEST:
            raise Refused("bad-recipe", f"{path.name} is larger than {_LARGEST} bytes; this is no recipe.")
        try:
            return _Reader(path.name, content.decode("utf-8")).recipe()
        except UnicodeDecodeError:
            raise Refused("bad-recipe", f"{path.name} is not UTF-8 text.") from None


class _Reader:
    """Reads one file; every complaint carries its line."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text = file, text

    def recipe(self) -> Recipe:
        try:
            root = yaml.compose(self.text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            raise Refused("bad-recipe", f"{self.file}, line {line}: this is not YAML.") from None
        except RecursionError:
            raise Refused("bad-recipe", f"{self.file} is nested too deeply; this is no recipe.") from None
        fields = self._mapping(root, "the recipe")
        for key, (key_node, _) in fields.items():
            if key not in KEYS:
                self._fail(key_node, f"{key!r} is not known here", KEYS)
        for key in ("name", "profile"):
            if key not in fields:
                self._fail(root, f"{key!r} is missing")
        name = self._text(fields["name"][1])
        if not _NAME.fullmatch(name):
            self._fail(fields["name"][1], "a name is 1 to 32 letters, digits, spaces, dots, - and _")
        profile = self._text(fields["profile"][1])
        if profile not in PROFILES:
            self._fail(fields["profile"][1], f"profile {profile!r} is not known", PROFILES)
        options = self._options(fields["options"][1]) if "options" in fields else ()
        overrides = self._overrides(fields["overrides"][1]) if "overrides" in fields else {}
        if profile == "none" and (options or overrides):
            self._fail(
                fields["profile"][1], "profile 'none' passes objects on unchanged and takes no options or overrides"
            )
        return Recipe(name, profile, options, tuple(sorted(overrides.items())), table_e1_1().edition)

    def _options(self, node: Any) -> tuple[str, ...]:
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, "options is a list")
        for item in node.value:
            option = self._text(item)
            if option in OPTIONS:
                self._fail(item, f"option {option!r} is not implemented in this version", IMPLEMENTED_OPTIONS)
            self._fail(item, f"option {option!r} is not known", IMPLEMENTED_OPTIONS)
        return ()

    def _overrides(self, node: Any) -> dict[int, str]:
        if isinstance(node, yaml.ScalarNode) and not node.value:
            return {}
        found: dict[int, str] = {}
        for key, (key_node, value_node) in self._mapping(node, "overrides").items():
            tag = self._tag(key, key_node)
            action = self._text(value_node)
            if action not in OVERRIDES:
                self._fail(value_node, f"action {action!r} is not known", OVERRIDES)
            if tag in found:
                self._fail(key_node, f"{name_of(tag)} is there twice")
            found[tag] = action
        return found

    def _tag(self, key: str, node: Any) -> int:
        match = _TAG.fullmatch(key)
        tag = int(match[1] + match[2], 16) if match else TAGS.get(key)
        if tag is None:
            self._fail(node, f"{key!r} is no keyword of PS3.6 and no tag written as '0010,0020'")
        if tag >> 16 & 1:
            self._fail(node, "private elements are always removed in this version")
        if name_of(tag) in FIXED:
            self._fail(node, f"{name_of(tag)} follows from the profile and the identifiers and takes no override")
        if tag >> 16 < 8 or not vr_of(tag):
            self._fail(node, f"{key!r} is no attribute of a data set in PS3.6")
        return tag

    def _mapping(self, node: Any, what: str) -> dict[str, tuple[Any, Any]]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, f"{what} has to be written as 'key: value' lines")
        found: dict[str, tuple[Any, Any]] = {}
        for key_node, value_node in node.value:
            key = self._text(key_node)
            if key in found:
                self._fail(key_node, f"{key!r} is there twice")
            found[key] = (key_node, value_node)
        return found

    def _text(self, node: Any) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._fail(node, "a single word is expected")
        return str(node.value)

    def _fail(self, node: Any, problem: str, accepted: tuple[str, ...] | None = None) -> NoReturn:
        line = node.start_mark.line + 1 if node is not None else 1
        choice = "" if accepted is None else f" Accepted: {', '.join(accepted) or 'none'}."
        raise Refused("bad-recipe", f"{self.file}, line {line}: {problem}.{choice}")
