"""The same bytes in every process, thread and order, after a restart too, and in little memory whatever the size."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deidentify import Deidentifier, Identifiers
from deidentify.dictionary import TAGS
from tests.deidentify.objects import BASIC, KEY, LITTLE, MINIMAL, Elements, encoded, part10
from tests.deidentify.rewriting import RESEARCH
from tests.deidentify.test_engine import RELEASABLE


def hashes_of_a_process(files: list[Path], seed: str) -> dict[str, str]:
    """De-identify `files` in a new process, in this order, and return the hash of each output."""
    program = """
import sys, tempfile, pathlib
from deidentify import *
from tests.deidentify.objects import IDENTIFIERS
from tests.deidentify.rewriting import RESEARCH
folder = pathlib.Path(tempfile.mkdtemp())
for number, path in enumerate(sys.stdin.read().splitlines()):
    print(RESEARCH.file(path, folder / str(number), Identifiers(IDENTIFIERS)).sha256, path)
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(map(str, files)),
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    lines = (line.split(" ", 1) for line in run.stdout.splitlines())
    return {path: sha256 for sha256, path in lines}


def test_halves_in_other_processes_and_a_restart_give_the_same_bytes(identifiers: Identifiers, tmp_path: Path) -> None:
    here = {}
    for number, path in enumerate(RELEASABLE):
        here[str(path)] = RESEARCH.file(path, tmp_path / str(number), identifiers).sha256
    half = len(RELEASABLE) // 2
    there = hashes_of_a_process(RELEASABLE[half:][::-1], "1") | hashes_of_a_process(RELEASABLE[:half], "2")
    assert there == here
    again = Deidentifier(RESEARCH.recipe, KEY)
    for number, path in reversed(list(enumerate(RELEASABLE))):
        assert again.file(path, tmp_path / f"again-{number}", identifiers).sha256 == here[str(path)]


def test_one_engine_serves_several_threads(engine: Deidentifier, identifiers: Identifiers, tmp_path: Path) -> None:
    alone = [
        engine.file(path, tmp_path / f"alone-{number}", identifiers).sha256 for number, path in enumerate(RELEASABLE)
    ]
    shared = Deidentifier(BASIC, KEY)
    with ThreadPoolExecutor(8) as pool:
        together = list(
            pool.map(
                lambda job: shared.file(job[1], tmp_path / f"together-{job[0]}", identifiers).sha256,
                enumerate(RELEASABLE),
            )
        )
    assert together == alone


def test_memory_stays_flat_and_big_pixel_data_is_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    length = 300_000_000
    picture: Elements = {
        TAGS["ImageType"]: ("CS", r"ORIGINAL\PRIMARY\AXIAL"),
        TAGS["PhotometricInterpretation"]: ("CS", "MONOCHROME2"),
        TAGS["NumberOfFrames"]: ("IS", "150"),
        **{
            TAGS[keyword]: ("US", value.to_bytes(2, "little"))
            for keyword, value in {
                "SamplesPerPixel": 1,
                "Rows": 1000,
                "Columns": 1000,
                "BitsAllocated": 16,
                "BitsStored": 12,
                "HighBit": 11,
                "PixelRepresentation": 0,
            }.items()
        },
    }
    head = part10(encoded({**MINIMAL, **picture}) + b"\xe0\x7f\x10\x00OW\0\0" + length.to_bytes(4, "little"), LITTLE)
    with source.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + length)
    program = f"""
from pathlib import Path
from deidentify import *
engine = Deidentifier(Recipe.load("research"), bytes(32))
released = engine.file({str(source)!r}, {str(target)!r}, Identifiers({{"PatientID": "P"}}))
highest = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(highest.split()[1], released.pixels)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    resident, pixels = run.stdout.split()
    assert pixels == "kept"
    assert int(resident) < 100_000, "kilobytes, of the whole process"
    assert target.stat().st_size > length
    target.unlink()
    source.unlink()
