"""Durable steps on files: syncing, renaming into place, free space. Paths only, no rows."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from main.errors import Transient

_libc = ctypes.CDLL(None, use_errno=True)


def sync_filesystem(path: Path) -> None:
    """Make everything written so far on the filesystem of `path` durable (syncfs(2)): one call for many files."""
    handle = os.open(path, os.O_RDONLY)
    try:
        if _libc.syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(handle)


def require_space(folder: Path) -> None:
    """Refuse to take more in while the disk is nearly full.

    Raises
    ------
    Transient
        `disk-full`, until space is free again.
    """
    free = shutil.disk_usage(folder).free
    if free < settings.SENDIT_MIN_FREE_BYTES:
        raise Transient(
            "disk-full",
            f"Only {free // 1_000_000} MB are free where the node keeps its data; {settings.SENDIT_MIN_FREE_BYTES // 1_000_000}"
            " MB are required (SENDIT_MIN_FREE_BYTES). Drops wait until space is freed.",
        )


def remove_file(path: Path) -> None:
    """Remove `path`; gone already is fine."""
    path.unlink(missing_ok=True)


def remove_files(paths: Iterable[Path]) -> None:
    """Remove `paths`; gone already is fine."""
    for path in paths:
        remove_file(path)


def newest_folder(folder: Path) -> float:
    """When something was last put into or taken out of `folder` or a folder below it (a time stamp; 0 if it is gone)."""
    newest, waiting = 0.0, [folder]
    while waiting:
        current = waiting.pop()
        with suppress(OSError), os.scandir(current) as entries:
            newest = max(newest, current.stat().st_mtime)
            waiting += [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return newest


def remove_empty_folders(folder: Path) -> None:
    """Remove `folder` and the folders below it as far as they are empty, however deep."""
    waiting, found = [folder], []
    while waiting:
        current = waiting.pop()
        found.append(current)
        with suppress(OSError), os.scandir(current) as entries:
            waiting += [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    for path in reversed(found):
        with suppress(OSError):
            os.rmdir(path)
