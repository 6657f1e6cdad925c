"""`python -m tests.deidentify.judge --seed N --recipe basic --files N`: prints the score, the table and the findings.

Ends with 1 when anything leaked, was lost beyond one per cent, or does not hold together.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.deidentify.judge.run import judge


def main() -> int:
    """Judge one recipe under one seed or several."""
    parser = argparse.ArgumentParser(prog="python -m tests.deidentify.judge", description=__doc__)
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--recipe", default="basic", help="a shipped recipe or the path of one")
    parser.add_argument("--files", type=int, default=78)
    parser.add_argument("--keep", type=Path, help="leave the files in this folder")
    parser.add_argument("--command", action="store_true", help="through `python -m deidentify` instead of the library")
    options = parser.parse_args()
    good = True
    for seed in options.seed:
        with tempfile.TemporaryDirectory(prefix="judge-") as name:
            folder = options.keep / f"{options.recipe}-{seed}" if options.keep else Path(name)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            found = judge(options.recipe, seed, options.files, folder, by_command=options.command)
        print(found.table(), found.findings(), "", sep="\n")
        good &= not found.leaks and found.retention >= 0.99 and found.integrity == 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
