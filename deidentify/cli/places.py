"""Where a run reads and writes: what cannot be meant is refused before anything is done.

Looks at paths only; nothing is made here but the folder OUT.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from deidentify.cli.errors import Unusable
from deidentify.cli.ledger import NAME


def is_tree(source: Path, target: Path, beside: list[Path]) -> bool:
    """Tell whether OUT is a folder of outputs, which is then there, or one file.

    Parameters
    ----------
    source, target : Path
        IN and OUT.
    beside : list of Path
        Files of the run that name originals or are secret, so that they must not lie among the outputs.

    Raises
    ------
    Unusable
        One of them cannot be read or written, or lies where it must not.
    """
    if not source.exists():
        raise Unusable(f"There is no {source}.")
    tree = source.is_dir() or target.is_dir()
    if tree:
        here, there = source.resolve(), target.resolve()
        if there.is_relative_to(here) or here.is_relative_to(there):
            raise Unusable("IN and OUT lie inside each other; name a folder elsewhere.")
        if target.exists() and not target.is_dir():
            raise Unusable(f"{target} is a file, and IN is a folder; name a folder.")
    elif not target.parent.is_dir():
        raise Unusable(f"There is no folder {target.parent}.")
    for path in beside:
        if tree and path.resolve().is_relative_to(target.resolve()):
            raise Unusable(f"{path} is secret and must not lie among the outputs.")
        if not path.parent.is_dir() or path.is_dir():
            raise Unusable(f"{path} cannot be written: it has to be a file in a folder that is there.")
    if tree:
        target.mkdir(parents=True, exist_ok=True)
        if not (target / NAME).exists() and any(target.iterdir()):
            raise Unusable(f"{target} is not empty, and not from this command. Name a new folder.")
    return tree


def listed(source: Path) -> Iterator[tuple[bytes, os.stat_result]]:
    """Yield path and status of every file, in the order of their paths; links are listed and not followed."""
    if not source.is_dir():
        yield os.fsencode(source.name), source.lstat()
        return
    root = os.fsencode(source)
    for folder, folders, names in os.walk(root, onerror=_raise):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders.sort()
        for name in sorted([*names, *links]):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if not stat.S_ISDIR(status.st_mode):
                yield os.path.relpath(path, root), status


def _raise(error: OSError) -> None:
    raise error
