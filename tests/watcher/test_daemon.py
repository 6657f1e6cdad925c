"""The watch over several folders: one that hangs holds up no other, is shown, and does not keep the watcher from ending."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread

import pytest
from django.db import OperationalError

from main.errors import Transient
from tests.watcher.watching import FolderSettings, Store, fill, wait_for
from watcher import daemon as daemon_module
from watcher.daemon import Daemon, labels_of
from watcher.wiring import with_fresh_connection


def test_folders_are_named_by_their_last_part_unless_two_end_alike() -> None:
    folders = [FolderSettings(Path(path)) for path in ("/a/inbox", "/b/inbox", "/c/ct")]
    assert labels_of(folders) == ["/a/inbox", "/b/inbox", "ct"]


def test_a_folder_that_hangs_is_shown_holds_up_no_other_and_keeps_nobody_from_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_module, "STUCK_SECONDS", 0.5)
    monkeypatch.setattr(daemon_module, "STOP_SECONDS", 0.5)
    store, released = Store(tmp_path / "store"), Event()
    beats: dict[str, list[dict[str, object]]] = {"good": [], "hangs": []}
    for name in beats:
        (tmp_path / name).mkdir()

    def take(paths: Sequence[Path], inbox: Path) -> object | None:
        if inbox.name == "hangs":
            released.wait(60)
        return store.take(paths, inbox)

    watch = Daemon(
        [FolderSettings(tmp_path / name) for name in beats],
        take=take,
        beat=lambda kind, name, **facts: beats[name].append(facts),
    )
    ended: list[bool] = []
    thread = Thread(target=lambda: ended.append(watch.run()))
    thread.start()
    wait_for(lambda: all(beats.values()), "both are watched")
    fill(tmp_path / "hangs" / "ST-1.tmp1").rename(tmp_path / "hangs" / "ST-1")
    fill(tmp_path / "good" / "ST-2.tmp1").rename(tmp_path / "good" / "ST-2")
    wait_for(lambda: store.names == ["ST-2"], "the other goes on")
    wait_for(lambda: "has not answered" in str(beats["hangs"][-1]["error"]), "it is shown")
    watch.stop()
    thread.join(10)
    assert ended == [False]
    released.set()
    wait_for(lambda: store.names == ["ST-1", "ST-2"], "the drop in hand is finished")


def test_a_watch_that_is_in_order_ends_cleanly_and_says_so_to_each_thread(tmp_path: Path) -> None:
    ends: list[int] = []
    watch = Daemon(
        [FolderSettings(tmp_path), FolderSettings(tmp_path / "missing")],
        take=Store(tmp_path / ".store").take,
        beat=lambda *_, **__: None,
        at_end=lambda: ends.append(1),
    )
    ended: list[bool] = []
    thread = Thread(target=lambda: ended.append(watch.run()))
    thread.start()
    wait_for(lambda: watch.folders[0].facts()["last_scan"], "it watches")
    watch.stop()
    thread.join(10)
    assert ended == [True]
    assert ends == [1, 1]


@pytest.mark.django_db
def test_an_error_of_the_database_is_transient_and_without_its_text() -> None:
    def take() -> None:
        raise OperationalError("CANARY^NAME")

    with pytest.raises(Transient) as refused:
        with_fresh_connection(take)()
    assert refused.value.code == "database"
    assert "CANARY" not in str(refused.value)
