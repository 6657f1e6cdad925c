"""De-identifying CT and MR images, against copying, against pydicom, and (`--peers`) against other de-identifiers.

`.venv/bin/python -m tests.benchmarks.deidentify [--images 100] [--rounds 7] [--peers] [--workers] [--memory]`

One core, files in memory (`/dev/shm`), the same files for everybody, alternating rounds. What is counted is the CPU time
of the process that works, in the kernel too, so others on the machine disturb little. `--workers` compares one process
with two by the clock on the wall, `--memory` takes 2 GB through the engine; `--all` does everything.
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
from tests.benchmarks import deidentify_peers, deidentify_scale
from tests.benchmarks.images import make_mr_series
from tests.benchmarks.report import alternate, below, print_rates, verdict
from tests.peers.images import make_series

IN_MEMORY = Path("/dev/shm")
IDENTIFIERS = Identifiers({"PatientID": "P0001", "PatientName": "P0001", "AccessionNumber": "A0001"})
RECIPES = ("basic", "research")
_SEARCHED = 4
# Images a second on one core with the recipe research.
GOALS = {"CT": 500, "MR": 300}


def main() -> None:
    """Print images per second and the ratios to the copy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", action="store_true", help="install other de-identifiers, and measure them")
    parser.add_argument("--workers", action="store_true", help="one process against two")
    parser.add_argument("--memory", action="store_true", help="resident memory with 2 GB in one file")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as name:
        folder = Path(name)
        series = {
            "CT": [instance.path for instance in make_series(folder / "CT", options.images)],
            "MR": make_mr_series(folder / "MR", options.images),
        }
        os.sched_setaffinity(0, {max(cores)})
        for kind, sources in series.items():
            _compare(kind, sources, folder / "out", options.rounds, peers=options.peers or options.all)
        os.sched_setaffinity(0, cores)
        if options.workers or options.all:
            series["US, searched for text"] = deidentify_scale.searched(folder / "US", _SEARCHED)
            for kind, sources in series.items():
                deidentify_scale.workers(kind, sources, folder / "out", options.rounds)
    if options.memory or options.all:
        deidentify_scale.memory()


def _compare(kind: str, sources: list[Path], target: Path, rounds: int, *, peers: bool) -> None:
    """Print the rates for one kind of image."""
    structure = read_structure(sources[0])
    print(f"{len(sources)} {kind} images of {structure.size / 1e3:.0f} kB, {structure.elements} elements\n")
    engines = {name: Deidentifier(Recipe.load(name), bytes(32)) for name in RECIPES}
    ways: dict[str, Callable[[Path, Path], object]] = {
        "copy": shutil.copyfile,
        "pydicom read + write": lambda one, other: pydicom.dcmread(one).save_as(other),
    }
    for name, engine in engines.items():
        ways[f"sendit {name}"] = lambda one, other, engine=engine: engine.file(one, other, IDENTIFIERS)
    prepare = {name: lambda way=way: _each(way, sources, target) for name, way in ways.items()}
    others = deidentify_peers.started(target.parent) if peers else {}
    for name, other in others.items():
        prepare[name] = lambda other=other: other.each(sources, _emptied(target))

    def clock() -> float:
        return time.process_time() + sum(other.seconds() for other in others.values())

    seconds = alternate(prepare, rounds, clock)
    for other in others.values():
        other.stop()
    print_rates(seconds, len(sources), "image", reference="copy")
    rates = [len(sources) / one for one in seconds["sendit research"]]
    verdict(f"{kind}, research, images a second", rates, GOALS[kind], at_least=True)
    below(f"{kind}, research / copy", seconds, "sendit research", "copy", 6)
    for name in others:
        times = [one / own for one, own in zip(seconds[name], seconds["sendit research"], strict=True)]
        verdict(f"{kind}, times as fast as {name}", times, 5, at_least=True)
    print()


def _each(way: Callable[[Path, Path], object], sources: list[Path], target: Path) -> Callable[[], None]:
    """Empty the target folder now; the returned call is what is timed."""
    _emptied(target)

    def run() -> None:
        for source in sources:
            way(source, target / source.name)

    return run


def _emptied(target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    return target


if __name__ == "__main__":
    main()
