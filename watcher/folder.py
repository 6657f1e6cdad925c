"""Watches one folder: looks when the bell rings, when waiting is over and regularly; hands over what is finished.

Knows neither Django nor the database: who takes drops and who hears the heartbeat is passed in. No name of a file or
folder that came from outside leaves this module.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Protocol

from main.errors import describe
from watcher.doorbell import Doorbell, NoBell, open_doorbell
from watcher.drops import Drops
from watcher.mounts import filesystem_type, is_network
from watcher.scan import list_folder
from watcher.words import Answer, Drop, Kind, Reason
from watcher.writers import has_writer

logger = logging.getLogger(__name__)

# The heartbeat: at least so often, and at most so often when something changes all the time.
BEAT_SECONDS = 10.0
BEAT_GAP_SECONDS = 1.0
# Where inotify did not work for a reason that may pass, it is tried again this often.
RETRY_BELL_SECONDS = 300.0
# The shortest time between two scans, and how many times as long as a scan the pause after it is.
SCAN_GAP_SECONDS = 0.02
SCAN_COST_FACTOR = 5.0

Take = Callable[[Sequence[Path], Path], object | None]
Beat = Callable[..., None]


class FolderSettings(Protocol):
    """A watched folder as the settings give it: quiet is in seconds, mode ``auto``, ``inotify`` or ``poll``."""

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def mode(self) -> str: ...  # noqa: D102
    @property
    def quiet(self) -> float: ...  # noqa: D102


class WatchedFolder:
    """One watched folder with its bell, its drops and its state of health.

    Parameters
    ----------
    settings : FolderSettings
        Path, mode and quiet time.
    take : callable
        ``take(paths, inbox)`` claims one finished drop; ``None`` says that somebody else had it first. Raises
        `main.errors.Transient` when it cannot now.
    beat : callable
        ``beat("watcher", label, **facts)`` shows the state.
    label : str
        The name of this folder in the heartbeat and the log.
    rescan_seconds, poll_seconds : float
        The longest time between two scans with a working bell, and without one.
    """

    def __init__(
        self,
        settings: FolderSettings,
        *,
        take: Take,
        beat: Beat,
        label: str,
        rescan_seconds: float = 60.0,
        poll_seconds: float = 5.0,
    ) -> None:
        self.path = settings.path
        self.label = label
        self.taken = 0
        # When the thread of this folder last came back from the filesystem or from `take`.
        self.answered_at = monotonic()
        self._settings = settings
        self._take = take
        self._beat = beat
        self._rescan_seconds = rescan_seconds
        self._poll_seconds = min(poll_seconds, rescan_seconds)
        self._drops = Drops(quiet=settings.quiet)
        self._answer = Answer()
        self._rung = Event()
        self._arrivals: deque[tuple[str, bool]] = deque()
        self._bell: Doorbell | None = None
        # Whether arrivals must have rung, because a scan since the bell was put up has seen what was there before.
        self._bell_expected = False
        self._retry_bell_at = 0.0
        self._identity: tuple[int, int] | None = None
        self._local = False
        self._problem = ""
        self._refusal = ("", "")
        self._note = ""
        self._last_scan = ""
        self._look_at = 0.0
        self._gap = SCAN_GAP_SECONDS
        self._shown: dict[str, object] = {}
        self._shown_at = float("-inf")
        self._beat_failed = False

    def ring(self, name: str = "", whole: bool | None = None) -> None:
        """Have the folder looked at now. `whole`: the folder `name` came complete (False: it is yet to be filled)."""
        if whole is not None:
            self._arrivals.append((name, whole))
        self._rung.set()

    def run(self, stop: Event) -> None:
        """Watch until `stop` is set and `ring` is called. Nothing that goes wrong ends it."""
        try:
            while not stop.is_set():
                try:
                    self.step(stop)
                except Exception as error:  # noqa: BLE001 - the watch outlives every fault; it is named and shown
                    self._say(describe(error)[1])
                    self._look_at = monotonic() + self._poll_seconds
                self._sleep(stop)
        finally:
            self._close_bell()

    def step(self, stop: Event | None = None) -> None:
        """Look once and hand over what is finished; no further drop is begun once `stop` is set."""
        rung = self._rung.is_set()
        self._rung.clear()
        self._look_at = monotonic() + self._poll_seconds
        problem = self._reach()
        if self._identity is not None:
            problem = self._scan() or problem
            for drop in self._answer.finished:
                if stop is not None and stop.is_set():
                    break
                self._hand_over(drop)
                self.answered_at = monotonic()
                # Look again at once: the state shown has to be the one after this, and more may have come meanwhile.
                self._look_at = self.answered_at
            if not (self._answer.waiting.get(Reason.RETRY) or self._answer.finished):
                self._refusal = ("", "")
            self._doubt_bell(rung)
        self._say(problem)
        self.answered_at = monotonic()

    def facts(self) -> dict[str, object]:
        """Tell the state of this folder for the status page, without any name from inside."""
        waiting = dict(self._answer.waiting)
        empty = waiting.pop(Reason.EMPTY, 0)
        return {
            "mode": "inotify" if self._bell else "poll",
            "note": self._note,
            "path": str(self.path),
            "last_scan": self._last_scan,
            "waiting": sum(waiting.values()),
            "growing": self._answer.growing,
            "empty": empty,
            "reasons": {reason.name.casefold(): count for reason, count in waiting.items()},
            "oldest_age": round(self._answer.oldest_age),
            "error": self._problem or self._refusal[1],
            "taken": self.taken,
        }

    def show(self, **instead: object) -> None:
        """Send the heartbeat when it is due. `instead` overrides facts, for when this folder's own thread is stuck."""
        facts = self.facts() | instead
        news = {name: value for name, value in facts.items() if name not in ("last_scan", "oldest_age")}
        if monotonic() - self._shown_at < (BEAT_SECONDS if news == self._shown else BEAT_GAP_SECONDS):
            return
        self._shown, self._shown_at = news, monotonic()
        try:
            self._beat("watcher", self.label, **facts)
            self._beat_failed = False
        except Exception as error:  # noqa: BLE001 - a heartbeat that cannot be written stops no drop
            if not self._beat_failed:
                logger.warning("%s: the heartbeat could not be written: %s", self.label, describe(error)[1])
            self._beat_failed = True

    def _reach(self) -> str:
        """See to it that the folder is there and has a bell if it can; return what is wrong with it."""
        try:
            found = os.stat(self.path)
            os.scandir(self.path).close()
        except OSError as error:
            self._close_bell()
            self._identity = None
            self._answer = Answer()
            return (
                f"The watched folder cannot be read ({os.strerror(error.errno or 0)}). "
                f"It is looked for every {self._poll_seconds:g} s and watched again when it is back."
            )
        identity = (found.st_dev, found.st_ino)
        if identity != self._identity or (self._bell is not None and not self._bell.works):
            # Another folder under this path: removed and made anew, mounted or unmounted.
            self._close_bell()
            self._drops = Drops(quiet=self._settings.quiet)
            self._arrivals.clear()
            self._identity = identity
            self._local = not is_network(filesystem_type(self.path))
            self._retry_bell_at = 0.0
        if self._bell is None and monotonic() >= self._retry_bell_at:
            self._hang_bell()
        if not os.access(self.path, os.W_OK | os.X_OK):
            return "sendit may not write to the watched folder, so it can take nothing from it: allow it to write."
        return ""

    def _hang_bell(self) -> None:
        note = ""
        try:
            self._bell = open_doorbell(self.path, self._settings.mode, self.ring)
            self._bell_expected = False
        except NoBell as reason:
            self._retry_bell_at = float("inf") if reason.lasting else monotonic() + RETRY_BELL_SECONDS
            note = reason.sentence
        how = "by inotify" if self._bell else f"every {self._poll_seconds:g} s" + (f", because {note}" if note else "")
        if note != self._note or not self._last_scan or self._bell:
            logger.log(logging.WARNING if note else logging.INFO, "%s: the folder is watched %s", self.label, how)
        self._note = note

    def _doubt_bell(self, rung: bool) -> None:
        """Prove the bell anew when something came without a ring: a quick remount, for one, silences it for good."""
        if self._bell is None:
            return
        if self._answer.new and self._bell_expected and not (rung or self._rung.is_set()):
            try:
                self._bell.prove()
            except NoBell:
                self._close_bell()
                self._retry_bell_at = 0.0
                self._look_at = monotonic()
        self._bell_expected = True

    def _scan(self) -> str:
        started = monotonic()
        while self._arrivals:
            name, whole = self._arrivals.popleft()
            (self._drops.moved_in if whole else self._drops.created)(name)
        try:
            entries = list_folder(self.path, lambda entry: self._drops.look(entry, started))
        except OSError as error:
            self._answer = Answer()
            return f"The watched folder cannot be listed ({os.strerror(error.errno or 0)})."
        self._answer = self._drops.scan(entries, started)
        self._last_scan = datetime.now(UTC).isoformat(timespec="seconds")
        ended = monotonic()
        self._gap = min(self._rescan_seconds, max(SCAN_GAP_SECONDS, SCAN_COST_FACTOR * (ended - started)))
        self._look_at = ended + (self._rescan_seconds if self._bell else self._poll_seconds)
        if self._answer.look_again is not None:
            self._look_at = min(self._look_at, self._answer.look_again)
        return ""

    def _hand_over(self, drop: Drop) -> None:
        if drop.guessed and self._local:
            open_names = [name for name in drop.names if has_writer(os.path.join(self.path, name))]
            drop = drop.without(self._drops.hold_open(open_names, monotonic()))
            if not drop.names:
                return
        try:
            batch = self._take([self.path / name for name in drop.names], self.path)
        except Exception as error:  # noqa: BLE001 - one drop that cannot be taken stops no other; it is shown and kept
            refusal = describe(error)
            if refusal != self._refusal:
                logger.error("%s: a drop could not be taken: %s It stays and is tried again.", self.label, refusal[1])
            self._refusal = refusal
            self._drops.postpone(drop, monotonic())
            return
        if batch is None:
            self._drops.postpone(drop, monotonic())
            return
        self.taken += 1
        what = "a folder" if drop.kind is Kind.FOLDER else f"{len(drop.names)} loose files"
        logger.info("%s: took %s as batch %s", self.label, what, getattr(batch, "key", "?"))

    def _say(self, problem: str) -> None:
        """Log what is wrong with the folder, once, and once that it is over."""
        if problem and problem != self._problem:
            logger.error("%s: %s", self.label, problem)
        elif self._problem and not problem:
            logger.info("%s: the folder is in order again", self.label)
        self._problem = problem

    def _sleep(self, stop: Event) -> None:
        self.show()
        stop.wait(self._gap)
        while not stop.is_set() and (left := self._look_at - monotonic()) > 0:
            if self._rung.wait(min(left, BEAT_GAP_SECONDS)) or (self._bell is not None and not self._bell_hangs()):
                return
            self.answered_at = monotonic()
            self.show()

    def _bell_hangs(self) -> bool:
        """Whether the folder is still the one that the bell was put up for; a folder that goes away rings no bell."""
        try:
            found = os.stat(self.path)
        except OSError:
            return False
        return self._bell is not None and self._bell.works and (found.st_dev, found.st_ino) == self._identity

    def _close_bell(self) -> None:
        if self._bell is not None:
            self._bell.close()
            self._bell = None
