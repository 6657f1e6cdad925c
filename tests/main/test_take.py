"""The one door: a drop is claimed once, whole, and survives a crash at any point of its taking."""

from __future__ import annotations

import shutil
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pydicom.data import get_testdata_file

from main import work
from main.errors import Transient
from main.models import Batch
from main.pipeline import take as taking
from main.pipeline.take import recover, take, take_copy
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


def test_a_drop_from_another_filesystem_is_copied_and_then_removed(
    node: Node, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path("/dev/shm") / f"sendit-test-{uuid.uuid4().hex}"
    other.mkdir()
    try:
        assert other.stat().st_dev != node.inbox.stat().st_dev
        shutil.copytree(a_drop(node), other / "d")
        batch = take([other / "d"], other)
        assert batch is not None
        assert not (other / "d").exists()
        assert not list((other / taking.TAKING).iterdir())
        work.drain(seconds=10)
        assert statuses(batch) == {"SENT": 1}

        shutil.copytree(node.inbox / "d", other / "e")
        settings.WATCH_FOLDERS = [type("Folder", (), {"path": other})()]
        with monkeypatch.context() as crash:
            crash.setattr(taking, "_copy_in", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                take([other / "e"], other)
        assert recover(0) == 1
        assert not list((other / taking.TAKING).iterdir())
    finally:
        shutil.rmtree(other)


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
