"""Scenes that need a machine of their own: run by `test_isolated.py` inside fresh user and mount namespaces.

Each scene gets an empty folder, mounts or limits what it needs, and asserts; nothing of it is seen outside.
"""

from __future__ import annotations

import errno
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from tests.watcher.watching import FolderSettings, Store, Watching, fill, wait_for
from watcher.folder import WatchedFolder


@contextmanager
def watching(inbox: Path, store: Store, rescan_seconds: float = 60.0) -> Iterator[Watching]:
    """Watch a folder in this process."""
    stop, beats = Event(), []
    folder = WatchedFolder(
        FolderSettings(inbox),
        take=store.take,
        beat=lambda kind, name, **facts: beats.append(facts),
        label=inbox.name,
        poll_seconds=0.2,
        rescan_seconds=rescan_seconds,
    )
    thread = Thread(target=folder.run, args=(stop,))
    thread.start()
    try:
        wait_for(lambda: beats, "the first heartbeat")
        yield Watching(folder, store, beats)
    finally:
        stop.set()
        folder.ring()
        thread.join()


def mount(place: Path, *options: str) -> None:
    """Mount a memory filesystem, or change the options of one."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", *options, "none", str(place)], check=True)


def read_only(place: Path) -> None:
    """A folder that becomes read-only is said, its drops stay, another folder goes on; writable again, it goes on too."""
    mount(place / "inbox")
    (place / "other").mkdir()
    with (
        watching(place / "inbox", Store(place / "inbox" / ".store")) as bad,
        watching(place / "other", Store(place / "store")) as good,
    ):
        fill(place / "inbox" / "ST-1.tmp1")
        (place / "inbox" / "ST-1.tmp1").rename(place / "inbox" / ".hidden")
        (place / "inbox" / ".hidden").rename(place / "inbox" / "ST-1.part")
        wait_for(lambda: bad.facts["waiting"] == 1, "the unfinished folder is seen")
        mount(place / "inbox", "-o", "remount,ro")
        bad.folder.ring()
        wait_for(lambda: "may not write" in str(bad.facts["error"]), "it is said")
        fill(place / "other" / "ST-2.tmp1").rename(place / "other" / "ST-2")
        wait_for(lambda: good.store.names == ["ST-2"], "the other folder goes on")
        mount(place / "inbox", "-o", "remount,rw")
        (place / "inbox" / "ST-1.part").rename(place / "inbox" / "ST-1")
        wait_for(lambda: bad.store.names == ["ST-1"], "it is taken")
        wait_for(lambda: bad.facts["error"] == "", "all is in order again")


def read_only_with_a_drop(place: Path) -> None:
    """A finished drop in a read-only folder is tried again until it can be taken."""
    mount(place / "inbox")
    fill(place / "inbox" / "ST-1")
    store = Store(place / "inbox" / ".store")
    mount(place / "inbox", "-o", "remount,ro")
    with watching(place / "inbox", store) as watch:
        assert watch.facts["mode"] == "poll", "nothing can be proven in a read-only folder"
        assert "Read-only file system" in str(watch.facts["note"]), watch.facts
        wait_for(lambda: watch.facts["reasons"] == {"retry": 1}, "it waits")
        assert "may not write" in str(watch.facts["error"]), watch.facts
        mount(place / "inbox", "-o", "remount,rw")
        wait_for(lambda: store.names == ["ST-1"], "it is taken")
        wait_for(lambda: watch.facts["error"] == "", "all is in order again")


def full_disk(place: Path) -> None:
    """A full disk is said, drops stay, and when there is room again they are taken by themselves."""
    mount(place / "inbox", "-o", "nr_inodes=12")
    store = Store(place / "inbox" / ".store")
    with watching(place / "inbox", store) as watch:
        fill(place / "inbox" / "ST-1.tmp1", files=3)
        ballast = place / "inbox" / ".ballast"
        ballast.mkdir()
        try:
            for number in range(100):
                (ballast / str(number)).touch()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        (place / "inbox" / "ST-1.tmp1").rename(place / "inbox" / "ST-1")
        wait_for(lambda: "No space left" in str(watch.facts["error"]), "it is said")
        wait_for(lambda: watch.facts["reasons"] == {"retry": 1}, "the drop waits")
        next(ballast.iterdir()).unlink()
        wait_for(lambda: store.names == ["ST-1"], "it is taken")
        wait_for(lambda: watch.facts["error"] == "", "all is in order again")


def no_watches(place: Path) -> None:
    """Without inotify watches the folder is polled, and the sentence says which limit to raise."""
    Path("/proc/sys/user/max_inotify_watches").write_text("0")
    _polled_because(place, "fs.inotify.max_user_watches")


def no_instances(place: Path) -> None:
    """The same for inotify instances."""
    Path("/proc/sys/user/max_inotify_instances").write_text("0")
    _polled_because(place, "fs.inotify.max_user_instances")


def _polled_because(place: Path, limit: str) -> None:
    (place / "inbox").mkdir()
    with watching(place / "inbox", Store(place / "store")) as watch:
        assert watch.facts["mode"] == "poll", watch.facts
        assert limit in str(watch.facts["note"]), watch.facts
        fill(place / "inbox" / "ST-1.tmp1")
        wait_for(lambda: watch.facts["waiting"] == 1, "the unfinished folder is seen")
        (place / "inbox" / "ST-1.tmp1").rename(place / "inbox" / "ST-1")
        assert wait_for(lambda: watch.store.names == ["ST-1"], "it is taken") < 1.0


def unmounted(place: Path) -> None:
    """A share that is unmounted and mounted again is another folder under the same path; it is watched again."""
    mount(place / "inbox")
    store = Store(place / "store")
    with watching(place / "inbox", store, rescan_seconds=1.0) as watch:
        assert watch.facts["mode"] == "inotify"
        watch.folder._take = lambda paths, inbox: shutil.move(paths[0], store.place)  # noqa: SLF001 - across filesystems
        silent = watch.folder._bell  # noqa: SLF001 - nothing else tells the two bells apart
        subprocess.run(["umount", "-l", str(place / "inbox")], check=True)
        mount(place / "inbox")
        fill(place / "inbox" / "ST-1.tmp1")
        wait_for(lambda: watch.facts["waiting"] == 1, "the new mount is looked at", 5.0)
        wait_for(lambda: watch.folder._bell not in (None, silent), "the bell is put up again")  # noqa: SLF001
        watch.folder._rescan_seconds = 60.0  # noqa: SLF001 - from here on, only a bell that rings is this quick
        watch.folder.ring()
        (place / "inbox" / "ST-1.tmp1").rename(place / "inbox" / "ST-1")
        assert wait_for(lambda: (store.place / "ST-1").exists(), "it is taken") < 1.0


def unreadable(place: Path) -> None:
    """A folder that sendit may not read waits and is taken once it may. Run without the capabilities of root."""
    (place / "inbox").mkdir()
    with watching(place / "inbox", Store(place / "store")) as watch:
        drop = fill(place / "inbox" / "ST-1.tmp1")
        drop.chmod(0)
        drop.rename(place / "inbox" / "ST-1")
        wait_for(lambda: watch.facts["reasons"] == {"unreadable": 1}, "it waits")
        (place / "inbox" / "ST-1").chmod(0o700)
        wait_for(lambda: watch.store.names == ["ST-1"], "it is taken")
        (place / "inbox").chmod(0)
        watch.folder.ring()
        wait_for(lambda: "Permission denied" in str(watch.facts["error"]), "the closed folder is said")
        (place / "inbox").chmod(0o700)
        wait_for(lambda: watch.facts["error"] == "", "all is in order again")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    globals()[sys.argv[1]](Path(sys.argv[2]))
