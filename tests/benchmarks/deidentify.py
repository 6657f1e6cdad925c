"""De-identifying a CT image, against copying the file and against reading and writing it with pydicom.

`.venv/bin/python -m tests.benchmarks.deidentify [--images 100] [--rounds 7] [--own-elements]`

One core, files in memory (`/dev/shm`), the same files for everybody, alternating rounds. What is counted is the CPU time
of the process, in the kernel too, so others on the machine disturb little. The image is 512 x 512, with the vendor's
private elements (`--own-elements` leaves these out).
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pydicom

from deidentify import Deidentifier, Identifiers, Recipe, read_structure
from tests.benchmarks.report import alternate, below, print_rates
from tests.peers.images import make_series

IN_MEMORY = Path("/dev/shm")
IDENTIFIERS = Identifiers({"PatientID": "P0001", "PatientName": "P0001", "AccessionNumber": "A0001"})


def main() -> None:
    """Print images per second and the ratios to the copy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--own-elements", action="store_true", help="without private elements")
    options = parser.parse_args()
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as name:
        folder = Path(name)
        sources = [instance.path for instance in make_series(folder / "in", options.images)]
        if options.own_elements:
            _remove_private(sources)
        structure = read_structure(sources[0])
        print(
            f"{options.images} CT images of {structure.size / 1e3:.0f} kB, {structure.elements} elements, core {core}\n"
        )
        engine = Deidentifier(Recipe.load("basic"), bytes(32))
        ways: dict[str, Callable[[Path, Path], object]] = {
            "copy": shutil.copyfile,
            "pydicom read + write": _through_pydicom,
            "gate only": lambda source, _: read_structure(source),
            "de-identify": lambda source, target: engine.file(source, target, IDENTIFIERS),
        }
        prepare = {name: lambda way=way: _each(way, sources, folder / "out") for name, way in ways.items()}
        seconds = alternate(prepare, options.rounds, time.process_time)
    print_rates(seconds, options.images, "image", reference="copy")
    below("de-identify / copy", seconds, "de-identify", "copy", 6)
    below("de-identify / pydicom", seconds, "de-identify", "pydicom read + write", None)


def _each(way: Callable[[Path, Path], object], sources: list[Path], target: Path) -> Callable[[], None]:
    """Empty the target folder now; the returned call is what is timed."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()

    def run() -> None:
        for source in sources:
            way(source, target / source.name)

    return run


def _through_pydicom(source: Path, target: Path) -> None:
    pydicom.dcmread(source).save_as(target)


def _remove_private(sources: list[Path]) -> None:
    for path in sources:
        dataset = pydicom.dcmread(path)
        dataset.remove_private_tags()
        dataset.save_as(path)


if __name__ == "__main__":
    main()
