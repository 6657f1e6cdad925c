"""The hidden folder in which a receiver process fills its drops: held by a lock, recovered when its holder is dead.

What was acknowledged lies in a drop and is handed over; what was still arriving lies among the parts and is removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from main.failpoints import reach

PREFIX, SUFFIX, PARTS, LOCK = ".receiver-", ".tmp1", "parts", "lock"


def make_home(inbox: Path) -> tuple[Path, int]:
    """Make a folder for this process; it is ours until the returned descriptor is closed, at the latest by our death."""
    home = inbox / f"{PREFIX}{uuid.uuid4().hex}{SUFFIX}"
    with _alone(inbox):
        home.mkdir(mode=0o700)
        (home / PARTS).mkdir(mode=0o700)
        held = _lock(home / LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    sync_folder(home)
    sync_folder(inbox)
    return home, held


def recover(inbox: Path) -> int:
    """Hand over what dead processes had acknowledged, remove the rest; returns how many drops were handed over."""
    found = 0
    with _alone(inbox):
        for home in inbox.glob(f"{PREFIX}*{SUFFIX}"):
            try:
                held = _lock(home / LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # its process lives
                continue
            try:
                found += _hand_over_all(home, inbox)
                shutil.rmtree(home)
            finally:
                os.close(held)
    return found


def handed_over(folder: Path, inbox: Path) -> Path:
    """Return the name by which the watcher takes the drop `folder`."""
    return inbox / f"received-{folder.name}"


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _hand_over_all(home: Path, inbox: Path) -> int:
    drops = [entry for entry in home.iterdir() if entry.name != PARTS and any(entry.glob("*.dcm"))]
    for drop in drops:
        sync_folder(drop)
        os.rename(drop, handed_over(drop, inbox))
        reach("receive:recovered")
    sync_folder(inbox)
    return len(drops)


@contextmanager
def _alone(inbox: Path) -> Iterator[None]:
    """Keep others from making and recovering homes meanwhile: a new one is nobody's for a moment."""
    held = _lock(inbox / f"{PREFIX}lock", fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(held)


def _lock(path: Path, how: int) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, how)
    except OSError:
        os.close(handle)
        raise
    return handle
