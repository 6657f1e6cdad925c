"""Named places between two durable steps, where a test can end the process: `SENDIT_FAULT=NAME:N[@FILE]`.

The N-th pass in a process ends it as `kill -9` would; with FILE this happens once in all processes together.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

NAMES = (
    "take:folder-made",
    "take:renamed",
    "take:synced",
    "take:committed",
    "register:claimed",
    "register:read",
    "register:chunk",
    "register:committed",
    "identify:claimed",
    "identify:answered",
    "identify:committed",
    "deidentify:claimed",
    "deidentify:written",
    "deidentify:renamed",
    "deidentify:synced",
    "deidentify:committed",
    "deliver:claimed",
    "deliver:sent",
    "deliver:accepted",
    "deliver:proven",
    "deliver:committed",
    "cleanup:marked",
    "cleanup:removed",
    "cleanup:committed",
    "sweep:counted",
)

_passes: dict[str, int] = {}


def _parse(text: str) -> tuple[str, int, Path | None]:
    place, _, once = text.partition("@")
    name, _, number = place.rpartition(":")
    if name not in NAMES or not number.isdigit():
        raise ImproperlyConfigured(f"SENDIT_FAULT: {text!r} is not NAME:N with NAME one of {', '.join(NAMES)}.")
    return name, int(number), Path(once) if once else None


_FAULT = _parse(os.environ["SENDIT_FAULT"]) if os.environ.get("SENDIT_FAULT") else None


def reach(name: str) -> None:
    """Pass the failpoint `name`; ends the process with status 137 if a test asked for it."""
    if _FAULT is None:
        return
    place, number, once = _FAULT
    if name != place:
        return
    _passes[name] = _passes.get(name, 0) + 1
    if _passes[name] != number:
        return
    if once is not None:
        try:
            os.close(os.open(once, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
    os._exit(137)
