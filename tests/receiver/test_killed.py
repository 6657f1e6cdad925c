"""`kill -9` anywhere: what was acknowledged is found and goes on, what was not is removed or is there as a whole."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from dimse import AssociationError, Instance, store
from main.failpoints import NAMES
from tests.peers.images import dataset_bytes, describe
from tests.receiver.kill import make_load, run_round
from tests.receiver.node import Node, kill
from tests.waiting import eventually

BEFORE_START = "receive:recovered"
STATES = [name for name in NAMES if name.startswith("receive:") and name != BEFORE_START]


def acknowledged(node: Node, images: list[Instance]) -> set[str]:
    """Send until the receiver is gone, and return the UIDs that it acknowledged."""
    found = set()
    with suppress(AssociationError):
        for result in store(node.peer(), images):
            if result.status == 0:
                found.add(result.instance.sop_instance_uid)
    return found


def die(node: Node, images: list[Instance], failpoint: str, number: int = 3) -> set[str]:
    """Have the receiver end at a failpoint while images come, and return what it had acknowledged."""
    process = node.launch(DICOM_PROCESSES="1", SENDIT_FAULT=f"{failpoint}:{number}@{node.data / failpoint}")
    try:
        node.wait_until_all_listen(process)
        told = acknowledged(node, images)
        eventually(lambda: (node.data / failpoint).exists(), 10, f"the pass of {failpoint}")
    finally:
        kill(process)
    return told


def is_whole(node: Node, images: list[Instance], told: set[str]) -> None:
    """Check that all that was acknowledged is there, and that all that is there is as it was sent."""
    sent = {one.sop_instance_uid: one for one in images}
    found = {one.sop_instance_uid: one for one in map(describe, node.files())}
    assert told <= found.keys()
    for uid, one in found.items():
        assert dataset_bytes(one) == dataset_bytes(sent[uid])
    assert not list(node.inbox.glob(".receiver-*.tmp1"))


@pytest.mark.parametrize("failpoint", STATES)
def test_killed_in_each_state(node: Node, images: list[Instance], failpoint: str) -> None:
    at_the_end = failpoint in ("receive:sealed", "receive:handed-over")
    told = die(node, images, failpoint, 1 if at_the_end else 3)
    assert len(told) == (len(images) if at_the_end else 2)
    with node.receiving(SENDIT_FAULT=""):
        pass
    is_whole(node, images, told)
    assert len(node.files()) in (len(told), len(told) + 1)


def test_killed_while_it_recovers(node: Node, images: list[Instance]) -> None:
    told = die(node, images, "receive:kept")
    process = node.launch(SENDIT_FAULT=f"{BEFORE_START}:1@{node.data / 'again'}")
    try:
        eventually(lambda: (node.data / "again").exists(), 30)
    finally:
        kill(process)
    with node.receiving(SENDIT_FAULT=""):
        pass
    is_whole(node, images, told)
    assert len(told) == 2


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_under_load(node: Node, tmp_path: Path, seed: int) -> None:
    load, series = make_load(tmp_path / "load", 60)
    result = run_round(node, load, series, seed)
    assert result.wrong == []
