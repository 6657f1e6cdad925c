"""Drops: one an association and study, handed over by a rename when it is over, idle or large, and never half."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from receiver.drops import Drops, Handover
from receiver.home import PARTS, recover
from tests.receiver.door import handed_over, source_of
from watcher.drops import Drops as Watched
from watcher.scan import list_folder

HERE = {"node": 1, "name": "ct1"}


def arrive(drops: Drops, text: str = "image") -> tuple[Path, int]:
    """Write a part as an instance does."""
    part = drops.part()
    part.write_text(text)
    return part, len(text)


def contents(inbox: Path) -> list[list[str]]:
    return [sorted(path.read_text() for path in drop.glob("*.dcm")) for drop in handed_over(inbox)]


def test_instances_of_one_study_and_association_make_one_drop_at_the_end_of_the_association(tmp_path: Path) -> None:
    drops = Drops(tmp_path)
    for text, association, study in (("a", "A", "1.1"), ("b", "A", "1.1"), ("c", "A", "1.2"), ("d", "B", "1.1")):
        drops.keep(*arrive(drops, text), association, study, HERE)
    assert contents(tmp_path) == []

    drops.end("A")
    assert sorted(contents(tmp_path)) == [["a", "b"], ["c"]]
    drops.end("B")
    assert sorted(contents(tmp_path)) == [["a", "b"], ["c"], ["d"]]
    assert source_of(handed_over(tmp_path)[0]) == HERE


def test_a_drop_is_handed_over_when_it_is_large_and_the_next_instance_begins_another(tmp_path: Path) -> None:
    drops = Drops(tmp_path, Handover(instances=2, size=1000))
    for text in ("a", "b", "c", "x" * 1000):
        drops.keep(*arrive(drops, text), "A", "1.1", HERE)
    assert sorted(map(len, contents(tmp_path))) == [2, 2]


def test_a_drop_is_handed_over_when_its_association_sends_nothing_for_a_while(tmp_path: Path) -> None:
    drops = Drops(tmp_path, Handover(idle=3600))
    drops.keep(*arrive(drops), "A", "1.1", HERE)
    drops.hand_over_idle()
    assert contents(tmp_path) == []

    patient, hasty = drops, Drops(tmp_path, Handover(idle=0))
    hasty.keep(*arrive(hasty), "B", "1.1", HERE)
    hasty.hand_over_idle()
    patient.hand_over_idle()
    assert contents(tmp_path) == [["image"]]


def test_an_association_that_jumps_between_studies_has_few_drops_open(tmp_path: Path) -> None:
    drops = Drops(tmp_path, Handover(studies=3))
    for study in range(10):
        drops.keep(*arrive(drops), "A", str(study), HERE)
    assert len(contents(tmp_path)) == 7


def test_the_watcher_sees_nothing_before_the_hand_over_and_takes_the_drop_at_once_after_it(tmp_path: Path) -> None:
    drops, watched = Drops(tmp_path), Watched()
    drops.keep(*arrive(drops), "A", "1.1", HERE)
    assert watched.scan(list_folder(tmp_path, lambda entry: watched.look(entry, 1.0)), 1.0).waiting == {}

    drops.end("A")
    (drop,) = handed_over(tmp_path)
    watched.moved_in(drop.name)
    answer = watched.scan(list_folder(tmp_path, lambda entry: watched.look(entry, 2.0)), 2.0)
    assert [finished.names for finished in answer.finished] == [(drop.name,)]


def test_a_drop_that_cannot_be_handed_over_is_kept_and_tried_again(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    drops = Drops(inbox)
    drops.keep(*arrive(drops), "A", "1.1", HERE)
    home = next(inbox.glob(".receiver-*.tmp1"))
    drop = next(path for path in home.iterdir() if path.is_dir() and path.name != PARTS)
    (inbox / f"received-{drop.name}").mkdir()
    (inbox / f"received-{drop.name}" / "in the way").touch()

    drops.end("A")
    assert drop.exists()
    (inbox / f"received-{drop.name}" / "in the way").unlink()
    drops.hand_over_idle()
    assert contents(inbox) == [["image"]]


def test_a_living_process_is_left_alone_and_a_dead_one_recovered(tmp_path: Path) -> None:
    living, dead = Drops(tmp_path), Drops(tmp_path)
    for drops, text in ((living, "of the living"), (dead, "acknowledged")):
        drops.keep(*arrive(drops, text), "A", "1.1", HERE)
    arrive(dead, "half")
    os.close(dead._held)  # what the kernel does when a process dies

    assert recover(tmp_path) == 1
    assert contents(tmp_path) == [["acknowledged"]]
    assert recover(tmp_path) == 0
    living.end("A")
    assert sorted(contents(tmp_path)) == [["acknowledged"], ["of the living"]]
    living.close()
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in handed_over(tmp_path)} | {
        ".receiver-lock"
    }


def test_an_instance_that_cannot_be_moved_in_is_an_error_and_no_success(tmp_path: Path) -> None:
    drops = Drops(tmp_path)
    drops.keep(*arrive(drops), "A", "1.1", HERE)
    with pytest.raises(OSError):
        drops.keep(drops.part(), 10, "A", "1.1", HERE)
    drops.end("A")
    assert contents(tmp_path) == [["image"]]


def test_after_the_end_nothing_more_is_taken(tmp_path: Path) -> None:
    drops = Drops(tmp_path)
    part = arrive(drops)
    drops.close()
    with pytest.raises(OSError):
        drops.keep(*part, "A", "1.1", HERE)
