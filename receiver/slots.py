"""How many associations there are at once, counted over all receiver processes of one host.

A slot is a lock on one byte of a file: the kernel gives it back when its process dies.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path


class Slots:
    """`count` slots in the file `path`."""

    def __init__(self, path: Path, count: int) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One descriptor a process: closing any other of the same file would give all of its slots back.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._count = count
        self._lock = threading.Lock()
        self._ours: set[int] = set()

    def take(self) -> int | None:
        """Take a slot and return its number; None when all are taken."""
        with self._lock:
            for slot in range(self._count):
                if slot in self._ours:
                    continue
                try:
                    fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, slot)
                except OSError:
                    continue
                self._ours.add(slot)
                return slot
        return None

    def give_back(self, slot: int) -> None:
        """Free a slot that was taken."""
        with self._lock:
            self._ours.discard(slot)
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, slot)
