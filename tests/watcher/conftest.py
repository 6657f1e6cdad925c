"""Starts watches over real folders and ends them with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.watcher.watching import DEADLINE, FolderSettings, Store, Watching, wait_for
from watcher.folder import WatchedFolder


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watching]]:
    """Start watches; each ends with the test."""
    stop = Event()
    running: list[tuple[WatchedFolder, Thread]] = []

    def start(inbox: Path | None = None, *, mode: str = "auto", quiet: float = 0.0, **options: float) -> Watching:
        inbox = inbox or tmp_path / "inbox"
        if not inbox.exists():
            inbox.mkdir()
        store = Store(tmp_path / f"store{len(running)}")
        beats: list[dict[str, object]] = []
        folder = WatchedFolder(
            FolderSettings(inbox, mode, quiet),
            take=store.take,
            beat=lambda kind, name, **facts: beats.append({"kind": kind, "name": name, **facts}),
            label="inbox",
            **{"rescan_seconds": 60.0, "poll_seconds": 0.2, **options},
        )
        thread = Thread(target=folder.run, args=(stop,), daemon=True)
        thread.start()
        running.append((folder, thread))
        wait_for(lambda: beats, "the first heartbeat")
        return Watching(folder, store, beats)

    yield start
    stop.set()
    for folder, thread in running:
        folder.ring()
        thread.join(DEADLINE)
        assert not thread.is_alive(), "the watch does not end"
