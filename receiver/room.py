"""Whether the disk has room for more: refused below the low mark, taken again above the high one.

Two marks, so that a disk that hovers at one of them does not make every other instance fail.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)


class Room:
    """The room on the filesystem of `folder`, with a low and a high mark in bytes."""

    def __init__(self, folder: Path, low: int, high: int) -> None:
        self._folder, self._low, self._high = folder, low, high
        self._full = False

    def __call__(self) -> bool:
        """Look, and tell whether there is room."""
        found = os.statvfs(self._folder)
        free = found.f_bavail * found.f_frsize
        if not self._full and free < self._low:
            self._full = True
            logger.error("Only %d MB are free: instances are refused (0xA700) until there is room.", free // 1_000_000)
        elif self._full and free >= self._high:
            self._full = False
            logger.warning("There is room again (%d MB free): instances are taken.", free // 1_000_000)
        return not self._full
