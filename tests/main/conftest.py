"""A node of each test's own: data folder, rows, one folder destination, and a way to drop files into it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from main import work
from main.models import Batch, Destination, FileOutcome, Image
from main.overview import balance
from main.pipeline.take import take


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The pipeline's tests run on every database, but those that are about what Orthanc does, which take long."""
    for item in items:
        if "tests/main/" in str(item.path) and "empty_orthanc" not in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.everydatabase)


@dataclass
class Node:
    """The node of a test."""

    inbox: Path
    outbox: Path

    def drop(self, name: str, fill: Callable[[Path], None]) -> Batch:
        """Write a folder under a temporary name, rename it, take it, and work until nothing is due."""
        batch = self.hand_over(name, fill)
        work.drain(seconds=300)
        batch.refresh_from_db()
        return batch

    def hand_over(self, name: str, fill: Callable[[Path], None]) -> Batch:
        """Write, rename and take a folder, without working on it."""
        writing = self.inbox / f"{name}.tmp1"
        writing.mkdir()
        fill(writing)
        finished = writing.rename(self.inbox / name)
        batch = take([finished], self.inbox)
        assert batch is not None
        return batch

    def out(self) -> list[Path]:
        """The files in the outbox."""
        return sorted(path for path in self.outbox.rglob("*") if path.is_file())


@pytest.fixture
def node(tmp_path: Path, settings: Any, db: None) -> Node:
    """A node with a folder destination."""
    for name in ("DROPS_DIR", "RELEASES_DIR", "CERTIFICATES_DIR", "RUN_DIR", "LOGS_DIR"):
        folder = tmp_path / "data" / name.lower()
        folder.mkdir(parents=True)
        setattr(settings, name, folder)
    inbox, outbox = tmp_path / "inbox", tmp_path / "outbox"
    inbox.mkdir()
    settings.WATCH_FOLDERS = []
    Destination.objects.create(name="outbox", kind="folder", recipe="basic", settings={"path": str(outbox)})
    return Node(inbox, outbox)


@pytest.fixture
def ct() -> Dataset:
    """pydicom's CT_small, a fresh copy."""
    return dcmread(str(get_testdata_file("CT_small.dcm")))


def copy_of(name: str, to: str | None = None) -> Callable[[Path], None]:
    """A filler: one of pydicom's test files."""
    return lambda folder: shutil.copyfile(str(get_testdata_file(name)), folder / (to or name))


def one(batch: Batch) -> FileOutcome:
    """The only file outcome of a drop."""
    return FileOutcome.objects.get(batch=batch)


def counts_add_up(batch: Batch) -> bool:
    """Whether every file of the drop has exactly one outcome (R5)."""
    found = balance(batch)
    return found.pop("files") == sum(found.values())


def statuses(batch: Batch) -> dict[str, int]:
    """Images of a drop by status."""
    rows = Image.objects.filter(batch=batch).values_list("status", flat=True)
    return {status: list(rows).count(status) for status in set(rows)}
