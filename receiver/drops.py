"""Drops that are being filled: instances become files, files become drops, and a rename hands a drop over.

An instance is durable when its bytes, its name and the folder of its name are synced; only then is it acknowledged. Where
drops lie until then, and what becomes of those of a process that died, is known by `receiver.home`.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from main.failpoints import reach
from receiver.home import PARTS, handed_over, make_home, sync_folder

logger = logging.getLogger(__name__)

SOURCE = ".sendit-source.json"

Source = Mapping[str, str | int | float | None]


@dataclass(frozen=True)
class Handover:
    """When a drop is handed over before its association ends.

    Attributes
    ----------
    idle : float
        Seconds without a new instance.
    instances, size : int
        How many instances and bytes a drop may have.
    studies : int
        How many drops an association may have open; the one that rested longest goes first.
    """

    idle: float = 2.0
    instances: int = 500
    size: int = 512_000_000
    studies: int = 8


class Drop:
    """The instances of one study from one association, until they are handed over."""

    def __init__(self, folder: Path, source: Source) -> None:
        self.folder = folder
        self.instances = self.size = 0
        self.touched = monotonic()
        self._sealed = False
        self._lock = threading.Lock()  # nothing is put in while it is handed over
        folder.mkdir(mode=0o700)
        try:
            with open(folder / SOURCE, "x", encoding="utf-8") as file:
                file.write(json.dumps(dict(source)) + "\n")
                file.flush()
                os.fsync(file.fileno())
            self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def put(self, part: Path, size: int) -> bool:
        """Move a synced part in, durably; False when the drop has been handed over meanwhile."""
        with self._lock:
            if self._sealed:
                return False
            path = self.folder / f"{self.instances + 1:06d}.dcm"
            os.rename(part, path)
            self.instances += 1
            self.size += size
            self.touched = monotonic()
            reach("receive:renamed")
            try:
                os.fsync(self._handle)
            except OSError:
                with suppress(OSError):
                    path.unlink()
                raise
            reach("receive:kept")
            return True

    def hand_over(self, inbox: Path) -> None:
        """Give it the name by which the watcher takes it; may be tried again when that fails."""
        with self._lock:
            if not self._sealed:
                self._sealed = True
                os.close(self._handle)
            reach("receive:sealed")
            os.rename(self.folder, handed_over(self.folder, inbox))
            reach("receive:handed-over")


class Drops:
    """The drops of this process; they appear in `inbox`, a watched folder, when they are complete."""

    def __init__(self, inbox: Path, handover: Handover | None = None) -> None:
        self._inbox, self._handover = inbox, handover or Handover()
        self._home, self._held = make_home(inbox)
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], Drop] = {}
        self._complete: list[Drop] = []
        self._parts = 0

    def part(self) -> Path:
        """Return a path for an instance that is arriving."""
        with self._lock:
            self._parts += 1
            return self._home / PARTS / str(self._parts)

    def keep(self, part: Path, size: int, association: str, study: str, source: Source) -> None:
        """Put a synced part into the drop of its association and study; when this returns it is durable.

        One association calls this for one instance after the other; several associations do so at once.

        Raises
        ------
        OSError
            It is not durable.
        """
        key = (association, study)
        drop = self._open.get(key)
        while drop is None or not drop.put(part, size):
            drop = self._begin(key, source)
        if drop.instances >= self._handover.instances or drop.size >= self._handover.size:
            self._hand_over(lambda _, other: other is drop)

    def end(self, association: str) -> None:
        """Hand over everything of an association that ended."""
        self._hand_over(lambda key, _: key[0] == association)

    def hand_over_idle(self) -> None:
        """Hand over what has had no new instance for a while; call it every second or so."""
        edge = monotonic() - self._handover.idle
        self._hand_over(lambda _, drop: drop.touched < edge)

    def close(self) -> None:
        """Hand over everything and give up the folder of this process."""
        self._hand_over(lambda *_: True)
        if not self._complete:
            shutil.rmtree(self._home, ignore_errors=True)
        os.close(self._held)

    def _begin(self, key: tuple[str, str], source: Source) -> Drop:
        with self._lock:
            ours = [drop for (association, _), drop in self._open.items() if association == key[0]]
        if len(ours) >= self._handover.studies:
            longest = min(ours, key=lambda drop: drop.touched)
            self._hand_over(lambda _, drop: drop is longest)
        drop = Drop(self._home / uuid.uuid4().hex, source)
        sync_folder(self._home)
        with self._lock:
            self._open[key] = drop
        return drop

    def _hand_over(self, which: Callable[[tuple[str, str], Drop], bool]) -> None:
        """Hand over the drops that are meant, and those that could not be handed over before."""
        with self._lock:
            for key in [key for key, drop in self._open.items() if which(key, drop)]:
                self._complete.append(self._open.pop(key))
            complete, self._complete = self._complete, []
        failed = []
        for drop in complete:
            try:
                drop.hand_over(self._inbox)
            except OSError as error:
                failed.append(drop)
                logger.error("A drop cannot be handed over (%s); it is kept and tried again.", type(error).__name__)
        if len(failed) < len(complete):
            sync_folder(self._inbox)
        with self._lock:
            self._complete += failed
