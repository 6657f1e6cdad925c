"""0x0000 is answered after the bytes, the name and the folder of the name are synced; what fails to sync is no success."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from dimse import Instance
from dimse.association import Association
from tests.peers.images import dataset_bytes, describe
from tests.receiver.door import Door, proposal, send
from tests.waiting import eventually


def path_of(handle: int) -> str:
    return os.readlink(f"/proc/self/fd/{handle}")


def test_bytes_name_and_folder_are_synced_in_this_order_before_the_answer(
    door: Door, images: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def noting(name: str, call: Callable[..., Any], what: Callable[..., str]) -> None:
        def noted(*args: Any, **more: Any) -> Any:
            found = what(*args)
            result = call(*args, **more)
            seen.append(f"{name} {found}")
            return result

        monkeypatch.setattr(os, name, noted)

    with Association.open(door.peer(), (proposal(images[0]),)) as association:
        assert send(association, images[0]) == 0  # makes the drop
        noting("fdatasync", os.fdatasync, lambda handle: "a part" if "/parts/" in path_of(handle) else path_of(handle))
        noting("rename", os.rename, lambda old, new: f"{old.parent.name} to {new.name}")
        noting("fsync", os.fsync, lambda handle: "the drop" if os.path.isdir(path_of(handle)) else path_of(handle))
        assert send(association, images[1]) == 0
        assert seen == ["fdatasync a part", "rename parts to 000002.dcm", "fsync the drop"]


@pytest.mark.parametrize("name", ["fdatasync", "rename", "fsync", "write"])
def test_an_error_of_the_disk_is_never_success_and_leaves_nothing_half(
    door: Door, images: list[Instance], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def failing(*args: Any, **more: Any) -> Any:
        raise OSError(errno.EIO, "the disk is dying")

    with Association.open(door.peer(), (proposal(images[0]),)) as association:
        assert send(association, images[0]) == 0
        with monkeypatch.context() as broken:
            broken.setattr(os, name, failing)
            assert send(association, images[1]) == 0xA700
        assert send(association, images[2]) == 0
    eventually(door.handed_over)
    kept = sorted(dataset_bytes(describe(path)) for path in door.files())
    assert kept == sorted(dataset_bytes(images[number]) for number in (0, 2))
