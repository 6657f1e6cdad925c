"""Scenes with a disk of their own: run by `test_full_disk.py` inside fresh user and mount namespaces.

Each scene gets an empty folder, mounts a small memory filesystem in it, and asserts; nothing of it is seen outside.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dimse import store
from receiver.room import Room
from tests.peers.images import dataset_bytes, describe, make_series
from tests.receiver.door import Door
from tests.waiting import eventually

MB = 1_000_000


def marks(place: Path) -> None:
    """Below the low mark everything is refused, between the marks still, above the high one it is taken again."""
    images = make_series(place / "images", 4, 128)
    with Door(small_disk(place)) as door:
        door.receiver.offer.terms.has_room = Room(door.inbox, 20 * MB, 40 * MB)
        ballast = door.inbox.parent / "ballast"
        statuses = []
        for size in (0, 50, 30, 10):  # of 60: 60, 10, 30 and 50 are free
            ballast.write_bytes(bytes(size * MB))
            statuses += [result.status for result in store(door.peer(), images[:1])]
        assert statuses == [0, 0xA700, 0xA700, 0], statuses


def full(place: Path) -> None:
    """A disk that is full in the middle of an image is no success; what was acknowledged stays, and it goes on by itself."""
    small, large = make_series(place / "small", 2, 128), make_series(place / "large", 1, 4096)
    with Door(small_disk(place)) as door:
        ballast = door.inbox.parent / "ballast"
        ballast.write_bytes(bytes(40 * MB))
        assert [one.status for one in store(door.peer(), [small[0], large[0], small[1]])] == [0, 0xA700, 0]
        ballast.unlink()
        assert [one.status for one in store(door.peer(), large)] == [0]
        eventually(lambda: len(door.files()) == 3)
        found = sorted(dataset_bytes(describe(path)) for path in door.files())
        assert found == sorted(map(dataset_bytes, [*small, *large]))


def brim(place: Path) -> None:
    """On a disk without a single block left nothing is acknowledged, and nothing half is left."""
    images = make_series(place / "images", 3, 128)
    with Door(small_disk(place)) as door:
        ballast = door.inbox.parent / "ballast"
        with ballast.open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(4096))
                except OSError:
                    break
        assert [one.status for one in store(door.peer(), images)] == [0xA700] * 3
        ballast.unlink()
        assert [one.status for one in store(door.peer(), images)] == [0] * 3
        eventually(lambda: len(door.files()) == 3)
        assert len(door.handed_over()) == 1
        assert not list(door.inbox.glob(".receiver-*/parts/*"))


def small_disk(place: Path) -> Path:
    """Mount a memory filesystem of 60 MB."""
    disk = place / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={60 * MB}", "none", str(disk)], check=True)
    return disk / "door"


if __name__ == "__main__":
    {"marks": marks, "full": full, "brim": brim}[sys.argv[1]](Path(sys.argv[2]))
