"""The one door: a drop is claimed once, whole, and survives a crash at any point of its taking."""

from __future__ import annotations

import json
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from main import failpoints, identity, work
from main.errors import Transient
from main.models import Batch, FileOutcome, Image
from main.pipeline import take as taking
from main.pipeline.source import SOURCE
from main.pipeline.sweep import tidy
from main.pipeline.take import recover, take, take_copy
from main.tasks import import_dicomdir
from sendit.settings import WatchFolder
from tests.main.conftest import Node, copy_of, statuses


def a_drop(node: Node, name: str = "d") -> Path:
    (node.inbox / name).mkdir()
    copy_of("CT_small.dcm")(node.inbox / name)
    return node.inbox / name


@pytest.mark.django_db(transaction=True)
def test_of_many_takers_one_gets_the_drop(node: Node) -> None:
    path = a_drop(node)
    got: list[Batch | None] = []

    def run() -> None:
        got.append(take([path], node.inbox))
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len([batch for batch in got if batch]) == 1
    assert Batch.objects.count() == 1


def test_loose_files_are_one_drop(node: Node) -> None:
    for name in ("CT_small.dcm", "MR_small.dcm"):
        copy_of(name)(node.inbox)
    batch = take(sorted(node.inbox.iterdir()), node.inbox)
    assert batch is not None
    work.drain(seconds=10)
    assert statuses(batch) == {"SENT": 2}


def test_a_claimed_folder_without_row_is_found_again(node: Node, settings: Any) -> None:
    lost = settings.DROPS_DIR / str(uuid.uuid4())
    shutil.copytree(a_drop(node), lost / "d")
    (settings.DROPS_DIR / str(uuid.uuid4())).mkdir()
    assert recover(0) == 1
    assert recover(0) == 0
    work.drain(seconds=10)
    assert len(node.out()) == 1
    assert {path.name for path in settings.DROPS_DIR.iterdir()} == {lost.name}


@pytest.fixture
def other(node: Node) -> Iterator[Path]:
    """A folder on another filesystem than the data folder's."""
    folder = Path("/dev/shm") / f"sendit-test-{uuid.uuid4().hex}"
    folder.mkdir()
    assert folder.stat().st_dev != node.inbox.stat().st_dev
    yield folder
    shutil.rmtree(folder)


def test_a_drop_from_another_filesystem_is_copied_and_then_removed(node: Node, other: Path, settings: Any) -> None:
    shutil.copytree(a_drop(node), other / "d")
    batch = take([other / "d"], other)
    assert batch is not None
    assert not (other / "d").exists()
    assert not list((other / taking.TAKING).iterdir())
    assert [path.name for path in settings.DROPS_DIR.iterdir()] == [str(batch.key)]
    work.drain(seconds=10)
    assert statuses(batch) == {"SENT": 1}


# Where the taker dies, and how often it has come there then: before and after the claim, within the copy, after it.
DEATHS = ["take:folder-made:1", "take:renamed:1", "take:renamed:3", "take:synced:1"]


@pytest.mark.parametrize("place", DEATHS)
@pytest.mark.parametrize("watched", [True, False], ids=["watched", "not watched"])
def test_a_drop_from_another_filesystem_is_found_wherever_its_taker_died(
    node: Node, other: Path, settings: Any, place: str, watched: bool
) -> None:
    if watched:
        settings.WATCH_FOLDERS = [WatchFolder(other)]
    fill_four(other / "d")
    die_at(place, lambda: import_dicomdir(str(other / "d")))
    recover(0)
    import_dicomdir(str(other / "d"))  # once more, by somebody who does not know
    recover(0)
    work.drain(seconds=20)
    assert Image.objects.filter(status="SENT").count() == Image.objects.count() == 4
    assert Batch.objects.count() == 1, "nothing came twice"
    assert not FileOutcome.objects.exists()
    assert not [path for path in other.rglob("*") if path.is_file()]
    left = {path.name for path in settings.DROPS_DIR.iterdir()}
    assert left == {str(Batch.objects.get().key)}, "no note and no lock is left"


@pytest.mark.parametrize("place", [*DEATHS, "take:committed:1"])
def test_what_the_receiver_tells_comes_along_from_another_filesystem(
    node: Node, other: Path, settings: Any, place: str
) -> None:
    settings.DICOM_FOLDER = other
    settings.WATCH_FOLDERS = [WatchFolder(other)]
    fill_four(other / "d")
    told = {"node": 7, "name": "MR1", "calling": "M", "address": "::1", "association": "a", "quiet": 0}
    (other / "d" / SOURCE).write_text(json.dumps(told))
    die_at(place, lambda: take([other / "d"], other))
    if (other / "d").exists():
        take([other / "d"], other)
    recover(0)
    work.drain(seconds=20)
    batch = Batch.objects.get()
    assert (batch.sender, batch.files) == ("MR1", 4)
    assert statuses(batch) == {"SENT": 4}


def test_a_note_waits_for_a_filesystem_that_is_not_mounted(node: Node, other: Path) -> None:
    fill_four(other / "d")
    die_at("take:renamed:2", lambda: take([other / "d"], other))
    away = other.with_name(other.name + "-away")
    other.rename(away)
    assert recover(0) == 0
    away.rename(other)
    assert recover(0) == 1
    work.drain(seconds=20)
    assert Image.objects.filter(status="SENT").count() == 4


@pytest.mark.parametrize("place", ["take:folder-made:1", "take:renamed:2", "take:synced:1"])
def test_an_import_whose_copy_broke_off_can_be_made_again(node: Node, settings: Any, place: str) -> None:
    source = node.inbox / "d"
    fill_four(source)
    die_at(place, lambda: take_copy(source))
    recover(0)
    take_copy(source)
    work.drain(seconds=20)
    assert Image.objects.filter(status="SENT").count() == Image.objects.count() == 4
    assert len(node.out()) == 4
    assert len(list(source.iterdir())) == 4
    for path in settings.DROPS_DIR.glob("*.part"):
        os.utime(path, (0, 0))
    tidy()
    assert not list(settings.DROPS_DIR.glob("*.*")), "nothing of the broken copy is left"


def die_at(place: str, act: Callable[[], object]) -> None:
    """Another process does `act` and dies at the failpoint `name:n` as by `kill -9`."""
    identity.keyring()  # read before: the other process must not use this one's connection
    pid = os.fork()
    if pid == 0:
        failpoints._FAULT = failpoints._parse(place)
        with suppress(BaseException):
            act()
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 137, "it did not come so far"


def fill_four(folder: Path) -> None:
    """Four images of one series."""
    image = dcmread(str(get_testdata_file("CT_small.dcm")))
    folder.mkdir()
    for number in range(4):
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.save_as(folder / f"{number}.dcm")


def test_a_nearly_full_disk_takes_nothing_and_says_so(node: Node, settings: Any) -> None:
    path = a_drop(node)
    settings.SENDIT_MIN_FREE_BYTES = 1 << 60
    with pytest.raises(Transient) as refused:
        take([path], node.inbox)
    assert refused.value.code == "disk-full"
    assert path.exists()


def test_a_vanished_folder_is_said(node: Node) -> None:
    path = a_drop(node)
    shutil.rmtree(node.inbox)
    with pytest.raises(Transient) as refused:
        take([path], node.inbox)
    assert refused.value.code == "vanished"


def test_an_import_leaves_the_source_alone(node: Node) -> None:
    path = a_drop(node)
    batch = take_copy(path)
    assert (path / "CT_small.dcm").read_bytes() == Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    work.drain(seconds=10)
    assert statuses(batch) == {"SENT": 1}


def test_a_drop_that_was_being_collected_when_its_taker_died_is_found(node: Node, settings: Any) -> None:
    half = settings.DROPS_DIR / f"{uuid.uuid4()}.collecting"
    half.mkdir()
    copy_of("CT_small.dcm")(half)
    assert recover(3600) == 0, "it may still be collected"
    assert recover(0) == 1
    work.drain(seconds=10)
    assert len(node.out()) == 1
