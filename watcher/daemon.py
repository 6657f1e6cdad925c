"""Runs the watch over all folders, each in a thread of its own, so that one that hangs holds up no other.

Signals, threads and the watch over stuck threads live here; what happens in a folder is in `watcher.folder`.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from threading import Event, Thread
from time import monotonic

from watcher.folder import Beat, FolderSettings, Take, WatchedFolder

logger = logging.getLogger(__name__)

STUCK_SECONDS = 120.0
STOP_SECONDS = 15.0


class Daemon:
    """The watch over all folders.

    Parameters
    ----------
    folders : sequence of FolderSettings
        The watched folders.
    take, beat : callable
        As for `watcher.folder.WatchedFolder`; called from several threads.
    rescan_seconds, poll_seconds : float
        The longest time between two scans with a working bell, and without one.
    at_end : callable, optional
        Called in each folder's thread when it ends, such as to close its database connections.
    """

    def __init__(
        self,
        folders: Sequence[FolderSettings],
        *,
        take: Take,
        beat: Beat,
        rescan_seconds: float = 60.0,
        poll_seconds: float = 5.0,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self._at_end = at_end
        self._stop = Event()
        labels = labels_of(folders)
        self.folders = [
            WatchedFolder(
                folder,
                take=take,
                beat=beat,
                label=label,
                rescan_seconds=rescan_seconds,
                poll_seconds=poll_seconds,
            )
            for folder, label in zip(folders, labels, strict=True)
        ]
        self._threads = [
            Thread(target=self._run, args=(folder,), name=f"watch-{number}", daemon=True)
            for number, folder in enumerate(self.folders, start=1)
        ]

    def run(self) -> bool:
        """Watch until `stop` is called; return whether every folder came to a clean end within `STOP_SECONDS`."""
        for thread in self._threads:
            thread.start()
        while not self._stop.wait(1.0):
            for folder in self.folders:
                silent = monotonic() - folder.answered_at
                if silent > STUCK_SECONDS:
                    folder.show(
                        error=f"The folder has not answered for {silent / 60:.0f} min: a network mount that hangs, or "
                        "a drop that takes this long to copy. The other folders are not held up."
                    )
        deadline = monotonic() + STOP_SECONDS
        for folder in self.folders:
            folder.ring()
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))
        clean = not any(thread.is_alive() for thread in self._threads)
        logger.log(
            logging.INFO if clean else logging.WARNING,
            "the watcher (pid %d) ends%s",
            os.getpid(),
            "" if clean else " although a folder did not answer; what it was taking is found again at the next start",
        )
        return clean

    def stop(self, *_: object) -> None:
        """End the watch; also a signal handler. A drop that is being taken is finished first."""
        self._stop.set()

    def _run(self, folder: WatchedFolder) -> None:
        try:
            folder.run(self._stop)
        finally:
            if self._at_end is not None:
                self._at_end()


def labels_of(folders: Sequence[FolderSettings]) -> list[str]:
    """Give each folder a name for people: its last part, or the whole path where two end alike."""
    counts = Counter(folder.path.name for folder in folders)
    return [folder.path.name if counts[folder.path.name] == 1 else str(folder.path) for folder in folders]
