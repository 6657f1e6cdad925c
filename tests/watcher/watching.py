"""A watched folder on a real filesystem, with a claim by rename like the real one and a heartbeat that is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from time import monotonic
from types import SimpleNamespace

from watcher.folder import WatchedFolder

DEADLINE = 30.0


@dataclass(frozen=True)
class FolderSettings:
    path: Path
    mode: str = "auto"
    quiet: float = 0.0


def wait_for(condition: Callable[[], object], what: str, seconds: float = DEADLINE) -> float:
    """Wait until a condition holds; return the seconds that it took."""
    started = monotonic()
    tick = Event()
    while not condition():
        assert monotonic() - started < seconds, f"not within {seconds:g} s: {what}"
        tick.wait(0.005)
    return monotonic() - started


class Store:
    """Where drops go: `take` claims by a rename as the real one does."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.place.mkdir(parents=True, exist_ok=True)
        self.drops: list[list[str]] = []
        self.batches: list[Path] = []
        self.fail: Exception | None = None
        self._lock = Lock()

    def take(self, paths: Sequence[Path], inbox: Path) -> object | None:
        if self.fail is not None:
            raise self.fail
        with self._lock:
            batch = self.place / f"{len(self.batches):06d}"
            self.batches.append(batch)
        batch.mkdir()
        moved = []
        for path in paths:
            try:
                path.rename(batch / path.name)
            except FileNotFoundError:
                continue
            moved.append(path.name)
        if not moved:
            return None
        self.drops.append(moved)
        return SimpleNamespace(key=batch.name)

    @property
    def names(self) -> list[str]:
        return sorted(name for drop in self.drops for name in drop)

    @property
    def files(self) -> list[str]:
        return sorted(
            os.path.relpath(os.path.join(top, name), batch)
            for batch in self.batches
            for top, _, names in os.walk(batch)
            for name in names
        )


@dataclass
class Watching:
    """A running watch over one folder."""

    folder: WatchedFolder
    store: Store
    beats: list[dict[str, object]] = field(default_factory=list)

    @property
    def inbox(self) -> Path:
        return self.folder.path

    @property
    def facts(self) -> dict[str, object]:
        return self.folder.facts()


def fill(folder: Path, files: int = 2, size: int = 100) -> Path:
    """Make a folder with some files."""
    folder.mkdir(parents=True)
    for number in range(files):
        (folder / f"IM{number:04d}.dcm").write_bytes(b"x" * size)
    return folder
