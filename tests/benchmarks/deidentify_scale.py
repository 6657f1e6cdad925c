"""How de-identification grows: one process against two, and the memory that a file of 2 GB takes.

Workers are processes that share nothing, as in the pipeline and on the command line.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from struct import pack

from pydicom import dcmread
from pydicom.data import get_testdata_file

from deidentify import Deidentifier, Identifiers, Recipe
from tests.benchmarks.report import Seconds, alternate, verdict

_IDENTIFIERS = {"PatientID": "P0001", "PatientName": "P0001"}
_RECIPE = "research"
_TWO_GIGABYTES = 2_000_000_000
# A process of its own, which has imported nothing but the library; prints megabytes before and at most, and seconds.
_ONE_FILE = """
import resource, sys, time
from deidentify import Deidentifier, Identifiers, Recipe
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
engine = Deidentifier(Recipe.load("{recipe}"), bytes(32))
idle, began = peak(), time.perf_counter()
engine.file(sys.argv[1], sys.argv[2], Identifiers(dict(PatientID="P0001")))
print(idle, peak(), time.perf_counter() - began)
"""
_engine: Deidentifier


def workers(kind: str, sources: list[Path], target: Path, rounds: int) -> None:
    """Print the rate of two processes in times of that of one, and the CPU time that each image takes them more.

    The first needs two cores that nobody else uses; the second says on a busy machine, too, whether processes wait for
    each other or bring threads along.
    """
    context = multiprocessing.get_context("spawn")
    pools = {count: context.Pool(count, _begin) for count in (1, 2)}
    worked: dict[int, list[float]] = {1: [], 2: []}

    def prepared(count: int) -> Callable[[], object]:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        parts = [(sources[number::count], target) for number in range(count)]
        return lambda: worked[count].append(sum(pools[count].map(_work, parts, chunksize=1)))

    seconds: Seconds = alternate(
        {str(count): lambda count=count: prepared(count) for count in pools}, rounds, time.perf_counter
    )
    for pool in pools.values():
        pool.close()
        pool.join()
    gains = [one / two for one, two in zip(seconds["1"], seconds["2"], strict=True)]
    verdict(
        f"{kind}, {_RECIPE}, rate of two processes in times of one ({os.cpu_count()} cores)", gains, 1.8, at_least=True
    )
    costs = [two / one for one, two in zip(worked[1][1:], worked[2][1:], strict=True)]
    verdict(f"{kind}, {_RECIPE}, CPU time of an image beside another process, in times of alone", costs, 1.15)


def searched(folder: Path, count: int) -> list[Path]:
    """Write ultrasound images, whose pixels are searched for text."""
    image = dcmread(str(get_testdata_file("examples_rgb_color.dcm")))
    folder.mkdir()
    for number in range(count):
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number}"
        image.save_as(folder / f"{number}.dcm")
    return sorted(folder.iterdir())


def memory() -> None:
    """Print how much memory a file of 2 GB takes."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source"
        _sparse(source)
        command = [sys.executable, "-c", _ONE_FILE.format(recipe=_RECIPE), str(source), str(Path(name) / "target")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        idle, peak, seconds = map(float, done.stdout.split())
    print(f"2 GB in one file, {_RECIPE}: {seconds:.1f} s, idle {idle:.0f} MB")
    verdict("resident memory at most", [peak], 100, " MB")


def _sparse(path: Path) -> None:
    """Write an image of many frames whose pixels take no space on the disk."""
    image = dcmread(str(get_testdata_file("CT_small.dcm")))
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    image.Rows = image.Columns = 1000
    image.NumberOfFrames = _TWO_GIGABYTES // 2_000_000
    del image.PixelData
    if "DataSetTrailingPadding" in image:
        del image.DataSetTrailingPadding
    image.save_as(path)
    with path.open("ab") as file:
        file.write(pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, _TWO_GIGABYTES))
        file.truncate(file.tell() + _TWO_GIGABYTES)


def _begin() -> None:
    global _engine
    _engine = Deidentifier(Recipe.load(_RECIPE), bytes(32))


def _work(part: tuple[list[Path], Path]) -> float:
    """De-identify a part of the images; return the CPU time of this process, all of its threads together."""
    sources, target = part
    began = time.process_time()
    for source in sources:
        _engine.file(source, target / source.name, Identifiers(_IDENTIFIERS))
    return time.process_time() - began
