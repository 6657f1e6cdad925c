"""Reads typed settings from the environment, `.env` and `NAME_FILE`, and refuses what it does not understand.

The table of settings lives in `sendit/reference.py`; this room holds only the reading and its errors.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from dotenv import dotenv_values
from pydicom.uid import UID_dictionary

from deidentify.uids import LONGEST_ROOT, wrong_root

_YES = {"1", "true", "yes", "on"}
_NO = {"0", "false", "no", "off"}
_SOP_CLASSES = {row[4]: uid for uid, row in UID_dictionary.items() if row[1] == "SOP Class"}


@dataclass(frozen=True)
class Kind:
    """One kind of value: how it is called in errors and docs, and how text becomes it (raises ValueError)."""

    name: str
    parse: Callable[[str], Any]


@dataclass(frozen=True)
class Setting:
    """One setting: its name, kind, default and what it does; `aliases` are older names that are still accepted."""

    name: str
    kind: Kind
    default: Any
    help: str
    section: str
    aliases: tuple[str, ...] = ()
    secret: bool = False


def _boolean(text: str) -> bool:
    if text.lower() in _YES:
        return True
    if text.lower() in _NO:
        return False
    raise ValueError


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise ValueError
    return number


def _port_or_off(text: str) -> int:
    return 0 if text == "0" else _port(text)


def _pdu_size(text: str) -> int:
    number = int(text)
    if not 4096 <= number <= 1 << 24:
        raise ValueError
    return number


def _number(least: float, of: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        value = of(text)
        if not least <= value < float("inf"):
            raise ValueError
        return value

    return parse


def _ae_title(text: str) -> str:
    title = text.strip()
    if not 1 <= len(title) <= 16 or "\\" in title or not title.isascii() or not title.isprintable():
        raise ValueError
    return title


def _bind_address(text: str) -> str:
    return text if text == "localhost" else str(ipaddress.ip_address(text))


def _networks(text: str) -> list[str]:
    return [str(ipaddress.ip_network(item, strict=False)) for item in _list(text)]


def _sop_classes(text: str) -> list[str]:
    found = [_SOP_CLASSES.get(item, item) for item in _list(text)]
    if not all(re.fullmatch(r"[0-9.]{5,64}", uid) for uid in found):
        raise ValueError
    return found


def _modalities(text: str) -> list[str]:
    found = [item.upper() for item in _list(text)]
    if not all(re.fullmatch(r"[A-Z0-9_ ]{1,16}", modality) for modality in found):
        raise ValueError
    return found


def _list(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError
    return text.rstrip("/")


def _uid_root(text: str) -> str:
    if wrong_root(text):
        raise ValueError
    return text


BOOLEAN = Kind("yes or no (true/false, 1/0, on/off)", _boolean)
TEXT = Kind("text", str)
PATH = Kind("a path", lambda text: Path(text).expanduser())
PORT = Kind("a port, 1 to 65535", _port)
PORT_OR_OFF = Kind("a port, 1 to 65535, or 0 for none", _port_or_off)
BIND_ADDRESS = Kind("an IP address, or localhost", _bind_address)
COUNT = Kind("a whole number, 1 or more", _number(1, int))
PDU_SIZE = Kind("a number of bytes, 4096 to 16777216", _pdu_size)
SIZE = Kind("a whole number of bytes, 0 or more", _number(0, int))
SECONDS = Kind("seconds, 0 or more", _number(0, float))
HOURS = Kind("hours, 0 or more", _number(0, float))
AE_TITLE = Kind("an AE title: 1 to 16 printable ASCII characters, no backslash (PS3.5 6.2)", _ae_title)
URL = Kind("an http:// or https:// address", _url)
UID_ROOT = Kind(f"a root of UIDs, {LONGEST_ROOT} characters at most, not the standard's own (PS3.5 9.1)", _uid_root)
NAMES = Kind("a list, separated by commas", _list)
NETWORKS = Kind("a list of networks or addresses such as 10.1.0.0/16, separated by commas", _networks)
SOP_CLASSES = Kind("a list of SOP classes, each a UID or a keyword such as CTImageStorage", _sop_classes)
MODALITIES = Kind("a list of modalities such as CT, MR, PT (PS3.3 C.7.3.1.1.1)", _modalities)


def choice(*values: str) -> Kind:
    """One of `values`, written in any case."""

    def parse(text: str) -> str:
        if text.lower() not in values:
            raise ValueError
        return text.lower()

    return Kind("one of " + ", ".join(values), parse)


@dataclass
class Environment:
    """The values of all settings of a table, read once; every mistake is collected and told at once.

    `retired` has names that older programs know and what is done instead: who sets one finds that sentence in `notes`.

    Raises
    ------
    ImproperlyConfigured
        With one line per mistake: the name, the kind of the value, the accepted values. Values of secrets are not shown.
    """

    table: tuple[Setting, ...]
    prefixes: tuple[str, ...]
    retired: Mapping[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(
        cls,
        table: tuple[Setting, ...],
        prefixes: tuple[str, ...],
        environ: Mapping[str, str] | None = None,
        retired: Mapping[str, str] | None = None,
    ) -> Environment:
        """Read `table` from `environ` (default: the process's) and, below it, from the file `.env`."""
        source = os.environ if environ is None else environ
        file = Path(source.get("SENDIT_ENV_FILE", ".env"))
        from_file = {k: v for k, v in dotenv_values(file).items() if v is not None} if file.is_file() else {}
        self = cls(table, prefixes, retired or {})
        for setting in table:
            self._take(setting, source, from_file, str(file))
        self._name_the_unknown(source, "the environment")
        self._name_the_unknown(from_file, str(file))
        if self.mistakes:
            raise ImproperlyConfigured(
                "sendit does not start, its settings need a look:\n  " + "\n  ".join(self.mistakes)
            )
        return self

    def _take(self, setting: Setting, environ: Mapping[str, str], from_file: Mapping[str, str], file: str) -> None:
        for layer, origin in ((environ, "environment"), (from_file, file)):
            given = [name for name in (setting.name, *setting.aliases) if layer.get(name, "") != ""]
            pointed = [f"{name}_FILE" for name in (setting.name, *setting.aliases) if setting.secret]
            given += [name for name in pointed if layer.get(name, "") != ""]
            if len({layer[name] for name in given}) > 1:
                self.mistakes.append(f"{' and '.join(given)} are the same setting with different values: keep one.")
            if given:
                self._parse(setting, given[0], layer[given[0]], origin)
                return
        self.values[setting.name] = setting.default
        self.origin[setting.name] = "default"

    def _parse(self, setting: Setting, name: str, text: str, origin: str) -> None:
        if setting.secret and name.endswith("_FILE"):
            try:
                text = Path(text).expanduser().read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                self.mistakes.append(f"{name} names a file that cannot be read ({type(error).__name__}).")
                return
        try:
            self.values[setting.name] = setting.kind.parse(text)
        except ValueError:
            shown = "its value" if setting.secret else repr(text)
            self.mistakes.append(f"{name}: {shown} is not {setting.kind.name}. {setting.help}")
        self.origin[setting.name] = f"{origin} ({name})"

    def _name_the_unknown(self, layer: Mapping[str, str], origin: str) -> None:
        known = {name for s in self.table for name in (s.name, *s.aliases)}
        known |= {f"{name}_FILE" for s in self.table if s.secret for name in (s.name, *s.aliases)}
        known.add("SENDIT_ENV_FILE")
        for name in layer:
            if name in self.retired:
                self.notes.append(f"{name} (in {origin}) does nothing here: {self.retired[name]}")
            elif name.startswith(self.prefixes) and name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean {close[0]}?" if close else " docs/settings.md lists all settings."
                self.mistakes.append(f"{name} (in {origin}) is not a setting of sendit.{hint}")
