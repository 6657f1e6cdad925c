"""Named places between two durable steps, where a test can end the process or stand it still.

`SENDIT_FAULT=NAME:N[@FILE]` ends the process at its N-th pass as `kill -9` would; with FILE once in all processes.
`SENDIT_FAULT=@FOLDER` does so wherever a file called like the failpoint lies in FOLDER, and takes the file away; where
the file says `stop`, the process stops (SIGSTOP) instead and goes on when it is told to (SIGCONT).
"""

from __future__ import annotations

import os
import signal
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
    "receive:written",
    "receive:synced",
    "receive:renamed",
    "receive:kept",
    "receive:sealed",
    "receive:handed-over",
    "receive:recovered",
)

_passes: dict[str, int] = {}


def _parse(text: str) -> tuple[str, int, Path | None]:
    """Name, number of the pass and file; the name is empty when the file is a folder of armed failpoints."""
    place, _, path = text.partition("@")
    if not place and path:
        return "", 1, Path(path)
    name, _, number = place.rpartition(":")
    if name not in NAMES or not number.isdigit():
        raise ImproperlyConfigured(
            f"SENDIT_FAULT: {text!r} is not NAME:N[@FILE] with NAME one of {', '.join(NAMES)}, and not @FOLDER."
        )
    return name, int(number), Path(path) if path else None


_FAULT = _parse(os.environ["SENDIT_FAULT"]) if os.environ.get("SENDIT_FAULT") else None


def reach(name: str) -> None:
    """Pass the failpoint `name`; ends the process with status 137, or stops it, if a test asked for it."""
    if _FAULT is None:
        return
    place, number, path = _FAULT
    if not place and path is not None:
        _reach_armed(path / name)
        return
    if name != place:
        return
    _passes[name] = _passes.get(name, 0) + 1
    if _passes[name] != number:
        return
    if path is not None:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
    os._exit(137)


def _reach_armed(path: Path) -> None:
    """Do what the file `path` says, if it is there and no other process takes it first."""
    try:
        action = path.read_text()
        path.unlink()
    except FileNotFoundError:
        return
    if action != "stop":
        os._exit(137)
    os.kill(os.getpid(), signal.SIGSTOP)
