"""Rings when something arrives at the top of a watched folder, by inotify through watchdog; and proves that it does.

A bell only says "look now". What is finished is decided from scans: a bell that stays silent costs time, never a drop.
Even when the kernel's queue overflows, the events before the gap ring, and the scan that follows sees what the gap hid.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyObserver
from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

from main.names import is_unfinished
from watcher.mounts import filesystem_type, is_network

PROBE_PREFIX = ".sendit-probe-"
PROBE_SECONDS = 2.0
# Only arrivals ring: an event for every write, or for our own listing, would have the folder scanned without end.
ARRIVALS: list[type[FileSystemEvent]] = [DirCreatedEvent, DirMovedEvent, FileCreatedEvent, FileMovedEvent]

# How long watchdog waits for the other half of a rename, holding back everything behind it. Both halves come in one
# read from the kernel, and a drop that we take out has no other half: with the usual 0.5 s, each would delay the next.
InotifyMoveEventGrouper.delay = 0.05

# watchdog logs the names of files at level DEBUG, and an error each time that a watch is ended.
logging.getLogger("watchdog").setLevel(logging.CRITICAL)


class NoBell(Exception):  # noqa: N818 - not a failure: the folder is polled instead
    """Why a folder is polled: a sentence for the person on call.

    ``lasting`` says that it is the folder's nature, so that trying again is pointless.
    """

    def __init__(self, sentence: str, *, lasting: bool = False) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.lasting = lasting


# Called with the name of what arrived, and for a folder whether it came whole (by a rename) or is yet to be filled.
Ring = Callable[[str, bool | None], None]


class Doorbell(FileSystemEventHandler):
    """A watch on the top of one folder.

    Parameters
    ----------
    folder : Path
        The watched folder.
    ring : callable
        Called from another thread when something arrived.

    Raises
    ------
    NoBell
        When the kernel refuses the watch.
    """

    def __init__(self, folder: Path, ring: Ring) -> None:
        self._folder = folder
        self._ring = ring
        self._probe = ""
        self._probe_seen = Event()
        observer = None
        try:
            observer = InotifyObserver(generate_full_events=True)
            observer.schedule(self, str(folder), recursive=False, event_filter=ARRIVALS)
            observer.start()
        except OSError as error:
            if observer is not None:
                observer.stop()
            raise NoBell(_refusal(error)) from None
        self._observer = observer

    @property
    def works(self) -> bool:
        """Whether the watch is still there; it ends when the watched folder is removed."""
        return self._observer.is_alive() and all(emitter.is_alive() for emitter in self._observer.emitters)

    def close(self) -> None:
        """End the watch and its threads."""
        self._observer.stop()
        self._observer.join()

    def prove(self, seconds: float = PROBE_SECONDS) -> None:
        """Write a hidden file into the folder and wait for the event of it.

        Raises
        ------
        NoBell
            When no event comes, or the folder cannot be written to, so that nothing is proven.
        """
        self._probe = PROBE_PREFIX + secrets.token_hex(8)
        self._probe_seen.clear()
        path = self._folder / self._probe
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        except OSError as error:
            raise NoBell(f"inotify could not be tried: writing fails ({os.strerror(error.errno or 0)})") from None
        try:
            if not self._probe_seen.wait(seconds):
                raise NoBell(f"inotify reported nothing within {seconds:g} s")
        finally:
            with suppress(OSError):
                path.unlink()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Ring, unless it is a probe or something that left."""
        source, target = os.fsdecode(event.src_path), os.fsdecode(event.dest_path)
        name = os.path.basename(target or source)
        if name.startswith(PROBE_PREFIX):
            if name == self._probe:
                self._probe_seen.set()
            return
        whole = None
        if isinstance(event, DirMovedEvent | FileMovedEvent):
            if not target:  # moved out, most often by ourselves
                return
            # From elsewhere or from an unfinished name; another new name proves nothing ("New folder" on desktops).
            whole = not source or is_unfinished(os.path.basename(source))
        elif isinstance(event, DirCreatedEvent):
            whole = False
        self._ring(name, whole if event.is_directory else None)


def open_doorbell(folder: Path, mode: str, ring: Ring) -> Doorbell:
    """Put up the bell that `mode` allows, proven if the mode is ``auto``.

    Parameters
    ----------
    folder, ring
        As for `Doorbell`.
    mode : str
        ``auto``, ``inotify`` (also where nothing can be proven) or ``poll``.

    Raises
    ------
    NoBell
        When the folder has to be polled, with the reason.
    """
    if mode == "poll":
        raise NoBell("", lasting=True)
    kind = filesystem_type(folder)
    if mode == "auto" and is_network(kind):
        raise NoBell(f"{kind} is a network filesystem, on which changes by others are not reported", lasting=True)
    _remove_stale_probes(folder)
    bell = Doorbell(folder, ring)
    try:
        if mode == "auto":
            bell.prove()
    except NoBell:
        bell.close()
        raise
    return bell


def _remove_stale_probes(folder: Path) -> None:
    """Remove what a watcher that was killed in the middle of its proof left behind."""
    with suppress(OSError):
        for path in folder.glob(PROBE_PREFIX + "*"):
            path.unlink(missing_ok=True)


def _refusal(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            "the limit of inotify watches is reached; raise it with: sysctl fs.inotify.max_user_watches=524288 "
            "(and a line in /etc/sysctl.d/)"
        )
    if error.errno == errno.EMFILE:
        return (
            "the limit of inotify instances is reached; raise it with: sysctl fs.inotify.max_user_instances=1024 "
            "(and a line in /etc/sysctl.d/)"
        )
    return f"the kernel refused the watch ({os.strerror(error.errno or 0)})"
