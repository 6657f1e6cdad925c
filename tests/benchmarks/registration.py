"""Registering a series of 2,000 slices: the reading of headers and the bookkeeping, against reading them with pydicom.

`.venv/bin/python -m tests.benchmarks.registration [--images 2000] [--rounds 3] [--postgresql]`

The files are small (39 kB, 128 x 128), since registration reads headers only. In each round the same drop is read by
pydicom (`dcmread(stop_before_pixels=True)`), by the gate alone, and registered; what registering takes beyond the gate
is bookkeeping: finding the files, sealing, rows, commits.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom

from tests.benchmarks.own_node import forget_files, hand_over, own_node
from tests.benchmarks.report import alternate, below, print_rates, verdict
from tests.peers.images import make_series

BOOKKEEPING_SECONDS = 1.0


def main() -> None:
    """Print the rates, the ratio to pydicom and the seconds of bookkeeping."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args()
    with own_node(postgresql=options.postgresql) as folder:
        prepare = _Registration(folder, options.images)
        ways = {
            "pydicom headers": prepare.by_pydicom,
            "gate": prepare.by_gate,
            "register": prepare.by_registering,
        }
        seconds = alternate(ways, options.rounds)
    print(f"{options.images} images in one series, one drop, {'PostgreSQL' if options.postgresql else 'SQLite'}\n")
    print_rates(seconds, options.images, "image", reference="pydicom headers")
    below("register / pydicom headers", seconds, "register", "pydicom headers", None)
    rest = [whole - reading for whole, reading in zip(seconds["register"], seconds["gate"], strict=True)]
    verdict(f"bookkeeping of {options.images} images (register - gate)", rest, BOOKKEEPING_SECONDS, " s")


class _Registration:
    """The three ways; each round has a new series, which the last of them takes away."""

    def __init__(self, folder: Path, images: int) -> None:
        self.source, self.images = folder / "series", images

    def by_pydicom(self) -> Callable[[], object]:
        if not self.source.exists():
            make_series(self.source, self.images, size=128)
        return lambda: [pydicom.dcmread(path, stop_before_pixels=True) for path in self._files()]

    def by_gate(self) -> Callable[[], object]:
        from deidentify import read_structure
        from main.pipeline.register import WANTED

        return lambda: [read_structure(path, WANTED) for path in self._files()]

    def by_registering(self) -> Callable[[], object]:
        from django.conf import settings

        from main import work

        forget_files(settings.DROPS_DIR)
        batch: Any = hand_over(self.source.rename(settings.WATCH_FOLDERS[0].path / "series"))

        def run() -> None:
            assert work.work_one("register", batch.pk)
            batch.refresh_from_db()
            assert batch.files == self.images, "not every file was registered"

        return run

    def _files(self) -> list[Path]:
        return sorted(self.source.iterdir())


if __name__ == "__main__":
    main()
