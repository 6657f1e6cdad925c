"""What the receiver tells of a drop: from whom it came, and how long its studies wait for more (`.sendit-source.json`).

It is believed only where `take` has put it: at the top of the drop's own folder, out of one from the receiver's folder.
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
_UNTOLD: dict[str, Any] = {}


def is_of_receiver(inbox: Path) -> bool:
    """Whether `inbox` is the folder that only our own receiver writes to."""
    return inbox.absolute() == settings.DICOM_FOLDER


def lift(folder: Path) -> None:
    """Move what the receiver tells from within the one drop in `folder` to beside it."""
    for entry in list(folder.iterdir()):
        with suppress(FileNotFoundError, NotADirectoryError):
            os.rename(entry / SOURCE, folder / SOURCE)


def told(folder: Path) -> dict[str, Any]:
    """Columns of the Batch that `folder` is, from what the receiver tells; empty when it tells nothing, or nonsense."""
    try:
        handle = os.open(folder / SOURCE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return _UNTOLD
    try:
        with open(handle, "rb") as file:
            return _columns(json.loads(file.read(_LARGEST)))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        log.warning(
            "What the receiver tells of drop %s is not usable (%s): ignored.", folder.name, type(error).__name__
        )
        return _UNTOLD


def _columns(facts: Any) -> dict[str, Any]:
    if not isinstance(facts, dict):
        raise TypeError
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
        "address": str(ipaddress.ip_address(_text(facts["address"], 45))),
        "association": _text(facts["association"], 36),
        "quiet": float(quiet),
    }


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise ValueError
    return value
