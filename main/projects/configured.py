"""Projects as configured: read from the TOML file that SENDIT_PROJECTS names, again when it changes; all right, or not used.

Complaints name the project and what is accepted; what stands in a key file is in none of them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from deidentify import Recipe, Refused
from deidentify.dictionary import TAGS, vr_of
from deidentify.recipe.conditions import Condition, test_of
from dimse.peer import AE_TITLE
from main.projects import Project
from main.projects.contradictions import refuse_contradictions
from sendit.reference import PROVIDERS, SETTINGS

# Keys of a project's table that stand for a setting, and take what the setting takes.
OPTIONS = {
    "dasher_study": "DASHER_STUDY",
    "gpas_domain": "GPAS_DOMAIN",
    "gpas_accession_domain": "GPAS_ACCESSION_DOMAIN",
    "gpas_create": "GPAS_CREATE",
    "sequence": "SENDIT_SEQUENCE",
    "identifiers_file": "SENDIT_IDENTIFIERS_FILE",
}
_KINDS = {one.name: one.kind for one in SETTINGS}
_PLACE = re.compile(r"\{([^{}]*)\}")
_MOST_FIELDS, _LONGEST_FIELD = 100, 256


def read() -> Mapping[str, Project]:
    """Return all projects by their names; the default one is always among them.

    Raises
    ------
    ImproperlyConfigured
        With the name of the project, what is wrong with it and what is accepted.
    """
    path: Path | None = settings.SENDIT_PROJECTS
    if path is None:
        return _read(None, (), settings.SENDIT_PROJECT)
    try:
        now = path.stat()
    except OSError as error:
        raise _wrong(f"names a file that cannot be read ({error.strerror}).") from None
    return _read(path, (now.st_ino, now.st_mtime_ns, now.st_size), settings.SENDIT_PROJECT)


def require_destinations(names: Collection[str]) -> None:
    """Refuse projects that deliver where nobody is, or nowhere.

    Raises
    ------
    ImproperlyConfigured
        With the project, and the name that is not one of the destinations'.
    """
    for one in read().values():
        if unknown := sorted(set(one.destinations).difference(names)):
            raise _wrong(
                f"project {one.name!r} delivers to {', '.join(unknown)}; there are {', '.join(sorted(names))}."
            )
        if not any(map(one.delivers_to, names)):
            raise _wrong(
                f"no destination is left for project {one.name!r}: others name {', '.join(sorted(one.taken))} as theirs. Add "
                f"a destination, or write [{one.name}] with destinations of its own."
            )


@lru_cache(maxsize=8)
def _read(path: Path | None, _seen: tuple[int, ...], default: str) -> Mapping[str, Project]:
    found = {name: _Reader(name, values).project() for name, values in _tables(path).items()} if path else {}
    found.setdefault(default, Project(default))
    refuse_contradictions(list(found.values()))
    taken = frozenset(name for one in found.values() for name in one.destinations)
    return MappingProxyType({name: replace(one, taken=taken) for name, one in found.items()})


def _tables(path: Path) -> dict[str, dict[str, Any]]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise _wrong(f"names a file that cannot be read ({error.strerror}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"SENDIT_PROJECTS is not TOML: {error}.") from None
    for name, values in tables.items():
        if not isinstance(values, dict):
            raise _wrong(f"{name!r} is not a table: write [{name}] and its lines below.")
    return tables


def _wrong(what: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"SENDIT_PROJECTS: {what}" if not what.startswith("names") else f"SENDIT_PROJECTS {what}"
    )


class _Reader:
    """Reads the table of one project."""

    def __init__(self, name: str, values: dict[str, Any]) -> None:
        self.name, self.values = name, values
        self._keys: dict[str, Callable[[str, Any], Any]] = {
            "recipe": self._recipe,
            "identifiers": self._provider,
            "destinations": self._names,
            "key_file": self._key,
            "folders": self._folders,
            "called_ae_titles": self._titles,
            "calling_ae_titles": self._titles,
            "when": self._when,
            "dasher_custom_fields": self._custom_fields,
            **dict.fromkeys(OPTIONS, self._option),
        }

    def project(self) -> Project:
        """Read all of it."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", self.name):
            raise self._bad("a name is 1 to 40 letters, digits, - and _.")
        if unknown := self.values.keys() - self._keys.keys():
            raise self._bad(f"{', '.join(sorted(unknown))} is not known; accepted: {', '.join(sorted(self._keys))}.")
        found = {key: self._keys[key](key, value) for key, value in self.values.items()}
        entity, item = found.pop("dasher_custom_fields", ((), ()))
        found["key"] = found.pop("key_file", None)
        options = {setting: found.pop(key) for key, setting in OPTIONS.items() if key in found}
        return Project(self.name, options=options, entity_fields=entity, item_fields=item, **found)

    def _bad(self, what: str) -> ImproperlyConfigured:
        return _wrong(f"project {self.name!r}: {what}")

    def _text(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self._bad(f"{key} is a text in quotes, not {value!r}.")
        return value.strip()

    def _texts(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            raise self._bad(f'{key} is a list such as ["…", "…"] with one entry at least, not {value!r}.')
        found = tuple(self._text(f"an entry of {key}", one) for one in value)
        if len(set(found)) < len(found):
            raise self._bad(f"{key} has an entry twice.")
        return found

    def _recipe(self, key: str, value: Any) -> str:
        name = self._text(key, value)
        try:
            recipe = Recipe.load(name)
        except Refused as refused:
            raise self._bad(f"recipe {name!r}: {refused.sentence}") from None
        if not recipe.deidentifies:
            raise self._bad(
                f'recipe {name!r} sends originals on. That is for a destination to have (recipe = "none" and trusted = '
                "true in SENDIT_DESTINATIONS), not for a project."
            )
        return name

    def _provider(self, key: str, value: Any) -> str:
        if value not in PROVIDERS:
            raise self._bad(f"{key} is one of {', '.join(PROVIDERS)}, not {value!r}.")
        return str(value)

    def _names(self, key: str, value: Any) -> tuple[str, ...]:
        return self._texts(key, value)

    def _key(self, key: str, value: Any) -> bytes:
        path = self._path(key, value)
        try:
            found = bytes.fromhex(path.read_text("ascii").strip())
        except OSError as error:
            raise self._bad(f"the key file {path} cannot be read ({error.strerror}).") from None
        except ValueError:
            found = b""
        if len(found) != 32:
            raise self._bad(f"the key file {path} does not hold 64 hexadecimal digits.")
        return found

    def _path(self, key: str, value: Any) -> Path:
        path = Path(self._text(key, value)).expanduser()
        if not path.is_absolute():
            raise self._bad(f"{key} is an absolute path, not {value!r}.")
        return path

    def _folders(self, key: str, value: Any) -> frozenset[Path]:
        found = frozenset(self._path(f"an entry of {key}", one) for one in self._texts(key, value))
        watched = {one.path for one in settings.WATCH_FOLDERS}
        for path in sorted(found):
            if not str(path).isprintable():
                raise self._bad(f"{key} has a path with characters that cannot be printed.")
            if path == settings.DICOM_FOLDER:
                raise self._bad(
                    f"{path} is the folder of the DICOM receiver: what comes by DICOM is told by AE titles."
                )
            if path not in watched:
                raise self._bad(f"{path} is not watched: add it to SENDIT_WATCH.")
        return found

    def _titles(self, key: str, value: Any) -> frozenset[str]:
        found = self._texts(key, value)
        for title in found:
            if not AE_TITLE.fullmatch(title):
                raise self._bad(f"{key}: {title!r} is no AE title: 1 to 16 ASCII characters, no backslash.")
        return frozenset(found)

    def _when(self, key: str, value: Any) -> Condition:
        if not isinstance(value, dict) or not value:
            raise self._bad(f'{key} has lines KEYWORD = "pattern" or KEYWORD = ["pattern", …], one at least.')
        tests = []
        for keyword, patterns in value.items():
            one_or_more = patterns if isinstance(patterns, list) and patterns else [patterns]
            if any(isinstance(one, bool) or not isinstance(one, str | int) for one in one_or_more):
                raise self._bad(f"{key}.{keyword} is a text in quotes, a whole number, or a list of them.")
            try:
                tests.append(test_of(keyword, [str(one) for one in one_or_more]))
            except ValueError as problem:
                raise self._bad(f"{key}: {problem}.") from None
        return Condition(tuple(sorted(tests)))

    def _option(self, key: str, value: Any) -> Any:
        kind = _KINDS[OPTIONS[key]]
        if OPTIONS[key] == "SENDIT_IDENTIFIERS_FILE":
            return self._path(key, value)
        if isinstance(value, bool):
            value = "yes" if value else "no"
        try:
            return kind.parse(self._text(key, value))
        except ValueError:
            raise self._bad(f"{key} is {kind.name}, not {value!r}.") from None

    def _custom_fields(self, key: str, value: Any) -> tuple[tuple[tuple[str, str], ...], ...]:
        if not isinstance(value, dict) or not value or value.keys() - {"entity", "item"}:
            raise self._bad(f'{key} has the tables entity and item, each with lines NAME = "value".')
        return tuple(self._fields(f"{key}.{part}", value.get(part, {})) for part in ("entity", "item"))

    def _fields(self, key: str, value: Any) -> tuple[tuple[str, str], ...]:
        if not isinstance(value, dict) or len(value) > _MOST_FIELDS:
            raise self._bad(f'{key} has lines NAME = "value", {_MOST_FIELDS} at most.')
        for name, text in value.items():
            where = f"{key}.{name}"
            if len(self._text(where, text)) > _LONGEST_FIELD or len(name) > _LONGEST_FIELD:
                raise self._bad(f"{where} is longer than {_LONGEST_FIELD} characters.")
            for keyword in _PLACE.findall(text):
                if not _is_text(keyword):
                    raise self._bad(
                        f"{where}: {{{keyword}}} names no attribute of PS3.6 with text, a number or a date."
                    )
            if set("{}").intersection(_PLACE.sub("", text)):
                raise self._bad(
                    f"{where} has a brace that is alone: {{PatientSex}} stands for what the file has there."
                )
        return tuple(value.items())


def _is_text(keyword: str) -> bool:
    tag = TAGS.get(keyword)
    return tag is not None and tag >> 16 >= 8 and vr_of(tag).split(" or ")[0] in _TEXTS


_TEXTS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI", "UC", "UT"})


def places(fields: Collection[tuple[str, str]]) -> set[str]:
    """Return the keywords that stand in the values of custom fields."""
    return {keyword for _, text in fields for keyword in _PLACE.findall(text)}


def filled(fields: Collection[tuple[str, str]], header: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return custom fields with the values of a header; those that come out empty are left out."""
    found = ((name, _PLACE.sub(lambda match: header.get(match[1], ""), text).strip()) for name, text in fields)
    return tuple((name, text) for name, text in found if text)
