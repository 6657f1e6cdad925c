"""Helps tests that have several projects: writes the file, makes watched folders and drops into them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from main.models import Batch, Destination
from main.pipeline.take import take
from sendit.settings import WatchFolder
from tests.main.conftest import Node


@dataclass
class Projects:
    """The node of a test with watched folders, and the file of its projects."""

    node: Node
    folder: Path
    settings: Any

    def watched(self, name: str) -> Path:
        """Make a watched folder."""
        path = self.folder / name
        path.mkdir()
        self.settings.WATCH_FOLDERS = [*self.settings.WATCH_FOLDERS, WatchFolder(path)]
        return path

    def write(self, text: str) -> None:
        """Write the file; `{folder}` stands for that of this test."""
        path = self.folder / "projects.toml"
        path.write_text(text.replace("{folder}", str(self.folder)))
        self.settings.SENDIT_PROJECTS = path

    def outbox(self, name: str, recipe: str = "basic") -> Path:
        """Add a folder destination."""
        path = self.folder / f"{name}-outbox"
        Destination.objects.create(name=name, kind="folder", recipe=recipe, settings={"path": str(path)})
        return path

    def drop(self, folder: Path, *files: Dataset) -> Batch:
        """Drop files into a watched folder, without working on them."""
        drop = folder / f"drop-{Batch.objects.count()}.tmp"
        drop.mkdir()
        for number, one in enumerate(files):
            one.save_as(drop / f"{number}.dcm")
        batch = take([drop.rename(drop.with_suffix(""))], folder)
        assert batch is not None
        return batch


def real(name: str = "CT_small.dcm", **values: Any) -> Dataset:
    """A real file with other values in it."""
    found = dcmread(str(get_testdata_file(name)))
    for keyword, value in values.items():
        setattr(found, keyword, value)
    if "SOPInstanceUID" in values:
        found.file_meta.MediaStorageSOPInstanceUID = values["SOPInstanceUID"]
    return found


def out(folder: Path) -> list[Dataset]:
    """What lies in an outbox."""
    return [dcmread(path) for path in sorted(folder.rglob("*.dcm"))]
