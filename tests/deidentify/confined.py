"""De-identifies files in a child process that may not take more than a stated memory: what comes out is a code for each.

`python -m tests.deidentify.confined RECIPE MEGABYTES FILE ...`: prints the code of each refusal, or `released`.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from deidentify import Deidentifier, Identifiers, Recipe, Refused
from tests.deidentify.objects import IDENTIFIERS, KEY

MEGABYTES = 700


def codes(recipe: str, files: list[Path], *, seconds: float, megabytes: int = MEGABYTES) -> list[str]:
    """Return what becomes of each file, within `seconds` for all of them and `megabytes` beyond an idle engine."""
    command = [sys.executable, "-m", "tests.deidentify.confined", recipe, str(megabytes), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


def main() -> None:
    """Do what the module says."""
    recipe, megabytes, *files = sys.argv[1:]
    engine = Deidentifier(Recipe.load(recipe), KEY)
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + int(megabytes) * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        for number, file in enumerate(files):
            try:
                engine.file(file, Path(name) / str(number), Identifiers(IDENTIFIERS))
                print("released", flush=True)
            except Refused as refused:
                print(refused.code, flush=True)


if __name__ == "__main__":
    main()
