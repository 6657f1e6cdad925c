"""Errors of an object as `dciodvfy` sees them, in a form in which two objects can be compared.

Values are taken out of its sentences, since those are what de-identification changes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROGRAM = shutil.which("dciodvfy")
# A place such as </ContentSequence(0040,a730)[5]/ValueType(0040,a040)[1]>, of which the attribute is kept.
_PLACE = re.compile(r"</(?:[^/>]*/)*([A-Za-z0-9]*)\([0-9a-f,]*\)(?:\[\d+\])?>")
_VALUES = re.compile(r"= ?<[^>]*>|<[^>]*>|= ?\S+|0x[0-9a-f]+|\[\d+\]")
_SECONDS = 20
# Complaints about the list that is built for a media directory, and about VRs that were wrong before.
_OTHERS = ("DICOMDIR",)


def errors(path: Path) -> Counter[str]:
    """Return the errors of one file, without the values in them."""
    assert PROGRAM, "dciodvfy is missing; tests/install_peers.sh installs it"
    done = subprocess.run([PROGRAM, "-new", str(path)], capture_output=True, timeout=_SECONDS, check=False)
    lines = done.stderr.decode("latin-1").splitlines()
    return Counter(
        _VALUES.sub("", _PLACE.sub(r"\1", line)).strip()
        for line in lines
        if line.startswith("Error") and not any(word in line for word in _OTHERS)
    )


def new_errors(source: Path, target: Path) -> list[str]:
    """Return the kinds of errors that the output has and the input had not."""
    before = errors(source)
    return sorted(line for line in errors(target) if line not in before)


def new_errors_of(pairs: list[tuple[Path, Path]], workers: int = 2) -> list[list[str]]:
    """Return `new_errors` for many pairs."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda pair: new_errors(*pair), pairs))
