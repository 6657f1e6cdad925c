"""Lists a watched folder, and the inside of those folders in it that have to be known more closely.

A scan does not fail because of what producers do meanwhile: what vanishes is left out. It opens no file and follows
no symbolic link; only the watched folder itself being gone or closed is an error for the caller.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic

from main.names import is_system, is_unfinished
from watcher.words import Entry, Inside, Kind, Look


def list_folder(folder: Path, look: Callable[[Entry], Look]) -> list[Entry]:
    """List the top of a watched folder.

    Parameters
    ----------
    folder : Path
        The watched folder.
    look : callable
        Asked for each folder in it: how closely its inside has to be known (`watcher.drops.Drops.look`).

    Returns
    -------
    list of Entry
        Names that are not valid text keep their bytes as surrogates, so that they can be taken like any other.

    Raises
    ------
    OSError
        When the watched folder itself cannot be listed.
    """
    entries = []
    with os.scandir(folder) as listing:
        for item in listing:
            if (entry := _entry(item)) is None:
                continue
            if entry.kind is Kind.FOLDER and entry.inside is None and (closely := look(entry)) is not Look.NOT_NOW:
                inside = look_inside(item.path, closely)
                if inside is None:
                    continue
                entry = replace(entry, inside=inside)
            entries.append(entry)
    return entries


def look_inside(folder: str, closely: Look) -> Inside | None:
    """Look into a folder at every depth, or until the first file (``ANY_FILE``). ``None``: it has vanished."""
    started = monotonic()
    files, digest, unfinished, unreadable = 0, 0, False, False
    pending = [folder]
    while pending:
        path = pending.pop()
        try:
            with os.scandir(path) as listing:
                for item in listing:
                    entry = _entry(item)
                    if entry is None or entry.kind is Kind.OTHER or is_system(entry.name):
                        continue
                    if entry.inside is not None:
                        unreadable = True
                        continue
                    unfinished = unfinished or is_unfinished(entry.name)
                    if entry.kind is Kind.FOLDER:
                        pending.append(item.path)
                    else:
                        files += 1
                        if closely is Look.ANY_FILE:
                            return Inside(files, seconds=monotonic() - started)
                    # A sum, because the order of a listing means nothing. Without the inode, because some network
                    # filesystems invent a new one for an unchanged file.
                    digest += hash((entry.name, entry.kind is Kind.FILE, entry.size, entry.mtime_ns, entry.ctime_ns))
        except FileNotFoundError:
            if path == folder:
                return None
        except OSError:
            unreadable = True
    return Inside(files, digest, unfinished, unreadable, monotonic() - started)


def _entry(item: os.DirEntry[str]) -> Entry | None:
    """Look at one entry; ``None`` when it has vanished. What cannot be looked at counts as a folder that is unreadable."""
    try:
        found = item.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError:
        return Entry(item.name, Kind.FOLDER, (0, 0), inside=Inside(0, unreadable=True))
    identity = (found.st_dev, found.st_ino)
    if stat.S_ISDIR(found.st_mode):
        kind = Kind.FOLDER
    else:
        kind = Kind.FILE if stat.S_ISREG(found.st_mode) else Kind.OTHER
    return Entry(item.name, kind, identity, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
