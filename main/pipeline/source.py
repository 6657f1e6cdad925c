"""Where a drop came from (`.sendit-source.json`): as the receiver tells it, or the watched folder, or the project named.

It is believed only where `take` has put it: at the top of the drop's own folder, out of one from the receiver's folder, or
written there by itself, before anything else is. So it is not lost with whoever took the drop.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings

log = logging.getLogger(__name__)

SOURCE = ".sendit-source.json"

# No study waits longer for news than this many seconds.
LONGEST_QUIET = 86_400.0

_LARGEST = 4096
# The project of a drop of which is not known any more where it came from.
LOST = "?"

# What `take` tells itself.
_OWN = {"watched", "project"}
_UNTOLD: dict[str, Any] = {}


def is_of_receiver(inbox: Path) -> bool:
    """Whether `inbox` is the folder that only our own receiver writes to."""
    return inbox.absolute() == settings.DICOM_FOLDER


def note(folder: Path, **facts: str) -> None:
    """Write at the top of a drop's folder where it comes from: `watched` or `project`; what is empty is not written."""
    if known := {name: text for name, text in facts.items() if text}:
        (folder / SOURCE).write_text(json.dumps(known), encoding="utf-8")


def lift(folder: Path) -> None:
    """Move what the receiver tells from within the one drop in `folder` to beside it."""
    for entry in list(folder.iterdir()):
        with suppress(FileNotFoundError, NotADirectoryError):
            os.rename(entry / SOURCE, folder / SOURCE)


def told(folder: Path) -> dict[str, Any]:
    """Columns of the Batch that `folder` is, from what stands there; empty when that is nothing, or nonsense.

    Where there are projects, nonsense is one that there is not: what came for one of them must not go by another.
    """
    try:
        handle = os.open(folder / SOURCE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return _UNTOLD
    try:
        with open(handle, "rb") as file:
            return _columns(json.loads(file.read(_LARGEST)))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        log.warning(
            "What is told of the source of drop %s is not usable (%s): ignored.", folder.name, type(error).__name__
        )
        return {"project": LOST} if settings.SENDIT_PROJECTS else _UNTOLD


def _columns(facts: Any) -> dict[str, Any]:
    if not isinstance(facts, dict):
        raise TypeError
    if facts and not facts.keys() - _OWN:
        return {name: _text(value, _LARGEST) for name, value in facts.items()}
    node, quiet = facts.get("node"), facts.get("quiet")
    if quiet is None:
        quiet = settings.DICOM_STUDY_TIMEOUT
    if isinstance(node, bool) or not (node is None or isinstance(node, int) and 0 < node < 1 << 63):
        raise ValueError
    if isinstance(quiet, bool) or not isinstance(quiet, int | float) or not 0 <= quiet <= LONGEST_QUIET:
        raise ValueError
    return {
        "node": node,
        "sender": _text(facts["name"], 64),
        "calling_ae_title": _text(facts["calling"], 16),
        "called_ae_title": _text(facts.get("called", ""), 16),
        "address": str(ipaddress.ip_address(_text(facts["address"], 45))),
        "association": _text(facts["association"], 36),
        "quiet": float(quiet),
    }


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise ValueError
    return value
