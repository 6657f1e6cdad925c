"""The watch over a real folder, with real inotify and by polling."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from main.errors import Transient
from tests.watcher.watching import Watching, fill, wait_for
from watcher.doorbell import PROBE_PREFIX

Watch = Callable[..., Watching]
both_modes = pytest.mark.parametrize("mode", ["inotify", "poll", "auto"])


@both_modes
def test_a_renamed_folder_is_taken_within_a_second(watch: Watch, mode: str) -> None:
    watching = watch(mode=mode)
    fill(watching.inbox / "ST-000001.tmp2343")
    wait_for(lambda: watching.facts["waiting"] == 1, "the unfinished folder is seen")
    (watching.inbox / "ST-000001.tmp2343").rename(watching.inbox / "ST-000001")
    assert wait_for(lambda: watching.store.names, "the folder is taken") < 1.0
    assert watching.store.drops == [["ST-000001"]]
    assert watching.store.files == ["ST-000001/IM0000.dcm", "ST-000001/IM0001.dcm"]


def test_written_and_renamed_in_one_breath_is_taken_within_a_second(watch: Watch) -> None:
    watching = watch()
    for number in range(10):
        fill(watching.inbox / f"ST-{number}.tmp1").rename(watching.inbox / f"ST-{number}")
        assert wait_for(lambda: len(watching.store.drops) > number, "the folder is taken") < 0.3  # noqa: B023 - called here


def test_a_folder_moved_in_from_elsewhere_is_taken_within_a_second(watch: Watch, tmp_path: Path) -> None:
    watching = watch()
    fill(tmp_path / "staging" / "ST-1").rename(watching.inbox / "ST-1")
    assert wait_for(lambda: watching.store.names == ["ST-1"], "the folder is taken") < 1.0


@both_modes
def test_what_lies_there_at_the_start_is_taken(watch: Watch, tmp_path: Path, mode: str) -> None:
    fill(tmp_path / "inbox" / "ST-1")
    fill(tmp_path / "inbox" / "ST-2.tmp9")
    watching = watch(mode=mode)
    wait_for(lambda: watching.store.names == ["ST-1"], "the finished folder is taken")
    assert (watching.inbox / "ST-2.tmp9").exists()


@both_modes
def test_a_folder_copied_in_slowly_is_taken_when_it_is_complete(watch: Watch, mode: str) -> None:
    watching = watch(mode=mode)
    folder = watching.inbox / "ST-1"
    folder.mkdir()
    pause = Event()
    for number in range(8):
        (folder / f"IM{number}").write_bytes(b"x" * 1000)
        pause.wait(0.5)
        assert watching.store.drops == []
    wait_for(lambda: watching.store.drops, "the folder is taken")
    assert len(watching.store.files) == 8


def test_an_empty_folder_stays_until_it_is_filled(watch: Watch) -> None:
    watching = watch()
    (watching.inbox / "ST-1").mkdir()
    wait_for(lambda: watching.facts["empty"] == 1, "the empty folder is seen")
    assert watching.facts["waiting"] == 0
    (watching.inbox / "ST-1" / "IM1").write_bytes(b"x")
    wait_for(lambda: watching.store.names == ["ST-1"], "the folder is taken")
    assert watching.store.files == ["ST-1/IM1"]


def test_loose_files_become_one_drop_when_they_are_quiet(watch: Watch, tmp_path: Path) -> None:
    watching = watch()
    for number in range(5):
        (watching.inbox / f"IM{number}.dcm").write_bytes(b"x")
    (tmp_path / "moved").write_bytes(b"x")
    (tmp_path / "moved").rename(watching.inbox / "moved.dcm")
    (watching.inbox / "later.dcm.part").write_bytes(b"x")
    assert wait_for(lambda: watching.store.drops, "the files are taken") > 4.0
    assert [sorted(drop) for drop in watching.store.drops] == [
        [*(f"IM{number}.dcm" for number in range(5)), "moved.dcm"]
    ]


def test_a_copy_that_stalls_is_not_taken_while_its_program_has_it_open(watch: Watch) -> None:
    watching = watch()
    (watching.inbox / "ST-1" / "deep").mkdir(parents=True)
    with (
        (watching.inbox / "slow.dcm").open("wb") as loose,
        (watching.inbox / "ST-1" / "deep" / "slow.dcm").open("wb") as nested,
    ):
        loose.write(b"half")
        nested.write(b"half")
        loose.flush()
        nested.flush()
        wait_for(lambda: watching.facts["reasons"] == {"open": 2}, "both are kept back")
        loose.write(b" and half")
        nested.write(b" and half")
    wait_for(lambda: watching.store.names == ["ST-1", "slow.dcm"], "both are taken when they are closed")
    assert {
        (batch / name).stat().st_size
        for batch in watching.store.batches
        for name in ("slow.dcm",)
        if (batch / name).is_file()
    } == {13}


def test_nested_folders_belong_to_their_drop(watch: Watch) -> None:
    watching = watch()
    fill(watching.inbox / "ST-1.tmp1" / "SE-1" / "deep")
    fill(watching.inbox / "ST-1.tmp1" / "SE-2")
    (watching.inbox / "ST-1.tmp1").rename(watching.inbox / "ST-1")
    wait_for(lambda: watching.store.drops == [["ST-1"]], "the folder is taken")
    assert len(watching.store.files) == 4


def test_system_files_are_left_and_block_nothing(watch: Watch) -> None:
    watching = watch()
    inbox = watching.inbox
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._IM1"):
        (inbox / name).write_bytes(b"x")
    fill(inbox / "@eaDir")
    (inbox / "link").symlink_to("/etc/passwd")
    (inbox / "IM1").write_bytes(b"x")
    wait_for(lambda: watching.store.names == ["IM1"], "the file is taken")
    assert watching.facts["waiting"] == 0
    assert len(os.listdir(inbox)) == 6


def test_names_that_are_no_text_are_taken(watch: Watch) -> None:
    watching = watch()
    name = os.fsdecode(b"M\xfcller")
    fill(watching.inbox / (name + ".tmp1")).rename(watching.inbox / name)
    wait_for(lambda: watching.store.names == [name], "the folder is taken")


@pytest.mark.parametrize("mode", ["auto", "poll"])
def test_a_burst_of_three_thousand_folders_and_files_loses_none(watch: Watch, mode: str) -> None:
    watching = watch(mode=mode)
    staging = fill(watching.inbox.parent / "staging", files=0)

    def burst(start: int) -> None:
        for number in range(start, start + 1000):
            fill(staging / f"F{number}", files=1).rename(watching.inbox / f"F{number}")
            (watching.inbox / f"L{number}.dcm").write_bytes(b"x")

    threads = [Thread(target=burst, args=(start,)) for start in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: len(watching.store.names) >= 6000, "everything is taken", 90.0)
    assert watching.store.names == sorted([f"F{n}" for n in range(3000)] + [f"L{n}.dcm" for n in range(3000)])
    loose = [drop for drop in watching.store.drops if drop[0].startswith("L")]
    assert len(loose) <= 10


def test_a_folder_that_vanishes_and_returns_is_watched_again(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    watching = watch()
    assert watching.facts["mode"] == "inotify"
    shutil.rmtree(watching.inbox)
    wait_for(lambda: "cannot be read" in str(watching.beats[-1]["error"]), "the heartbeat shows the loss", 5.0)
    assert watching.facts["mode"] == "poll"
    watching.inbox.mkdir()
    wait_for(lambda: not watching.facts["error"] and watching.facts["mode"] == "inotify", "it is watched again")
    fill(watching.inbox / "ST-1.tmp1").rename(watching.inbox / "ST-1")
    wait_for(lambda: watching.store.names == ["ST-1"], "the folder is taken")
    assert sum("cannot be read" in message for message in caplog.messages) == 1


def test_another_folder_under_the_same_path_is_watched(watch: Watch, tmp_path: Path) -> None:
    watching = watch()
    watching.inbox.rename(tmp_path / "old")
    fill(tmp_path / "new" / "ST-1.tmp1")
    (tmp_path / "new").rename(watching.inbox)
    wait_for(lambda: watching.facts["waiting"] == 1, "the new folder is looked at")
    (watching.inbox / "ST-1.tmp1").rename(watching.inbox / "ST-1")
    assert wait_for(lambda: watching.store.names == ["ST-1"], "the folder is taken") < 1.0


def test_what_cannot_be_taken_now_is_kept_shown_and_taken_later(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    watching = watch()
    watching.store.fail = Transient("disk-full", "The disk is full: the drop waits until space is freed.")
    fill(watching.inbox / "ST-1.tmp1").rename(watching.inbox / "ST-1")
    wait_for(lambda: "disk is full" in str(watching.facts["error"]), "the reason is shown")
    fill(watching.inbox / "ST-2.tmp1").rename(watching.inbox / "ST-2")
    wait_for(lambda: watching.facts["reasons"] == {"retry": 2}, "both wait")
    watching.store.fail = None
    wait_for(lambda: watching.store.names == ["ST-1", "ST-2"], "both are taken")
    wait_for(lambda: watching.facts["error"] == "", "the reason is gone")
    assert sum("disk is full" in message for message in caplog.messages) == 1


def test_a_fault_in_taking_ends_nothing_and_says_no_name(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    watching = watch()
    watching.store.fail = ValueError("CANARY^NAME")
    fill(watching.inbox / "CANARY^NAME.tmp1").rename(watching.inbox / "CANARY^NAME")
    wait_for(lambda: "ValueError" in str(watching.facts["error"]), "the fault is shown")
    watching.store.fail = None
    wait_for(lambda: watching.store.names == ["CANARY^NAME"], "the folder is taken")
    wait_for(lambda: watching.beats[-1]["taken"] == 1, "the heartbeat follows")
    assert "CANARY" not in caplog.text
    assert "CANARY" not in str(watching.beats)


def test_no_name_is_logged_at_any_level(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    watching = watch()
    (watching.inbox / "CANARY.dcm").write_bytes(b"x")
    fill(watching.inbox / "CANARY.tmp1").rename(watching.inbox / "CANARY")
    wait_for(lambda: len(watching.store.names) == 2, "both are taken")
    assert "CANARY" not in caplog.text


def test_a_heartbeat_that_fails_stops_nothing(tmp_path: Path, watch: Watch) -> None:
    watching = watch()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the database is away")

    watching.folder._beat = broken  # noqa: SLF001 - the database goes away in mid-flight
    fill(watching.inbox / "ST-1.tmp1").rename(watching.inbox / "ST-1")
    wait_for(lambda: watching.store.names == ["ST-1"], "the folder is taken")


def test_a_drop_that_somebody_else_had_first_is_no_error(watch: Watch) -> None:
    watching = watch()
    watching.folder._take = lambda paths, inbox: None  # noqa: SLF001 - another watcher is always first
    fill(watching.inbox / "ST-1.tmp1").rename(watching.inbox / "ST-1")
    wait_for(lambda: watching.facts["reasons"] == {"retry": 1}, "it is left to the other")
    shutil.rmtree(watching.inbox / "ST-1")
    wait_for(lambda: watching.facts["waiting"] == 0, "it is forgotten")
    assert watching.facts["error"] == ""


def test_the_probe_leaves_nothing_behind_and_old_ones_are_removed(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / (PROBE_PREFIX + "old")).touch()
    watching = watch()
    assert watching.facts["mode"] == "inotify"
    assert os.listdir(watching.inbox) == []


def test_an_idle_watch_does_not_look_without_need(watch: Watch) -> None:
    watching = watch()
    wait_for(lambda: watching.facts["last_scan"], "the first scan")
    scans = []
    watching.folder._scan = lambda: scans.append(1) or ""  # type: ignore[method-assign]  # noqa: SLF001 - counted, not done
    Event().wait(1.5)
    assert scans == []
