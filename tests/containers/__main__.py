"""`make containers`: builds the image and tries it, alone and in the shape of production.

Where no container engine answers nothing is tried, and that is said; it is not part of `make test`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.containers import trials
from tests.containers.engine import NoEngine, build, require_engine


def main() -> int:
    """0 when all holds or nothing could be tried, 1 when something does not hold."""
    try:
        require_engine()
    except NoEngine as reason:
        print(f"SKIPPED, nothing was tried: {reason}.")
        return 0
    with tempfile.TemporaryDirectory(prefix="sendit-containers-") as folder:
        for name, step in (
            ("build", build),
            ("the image alone", trials.alone),
            ("docker-compose.yml", lambda: trials.parts(Path(folder))),
        ):
            began = time.monotonic()
            try:
                said = step()
            except AssertionError as error:
                print(f"FAILED  {name}: {error}", flush=True)
                return 1
            print(f"ok      {name} ({time.monotonic() - began:.0f} s) {said}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
