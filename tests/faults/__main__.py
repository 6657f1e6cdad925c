"""`python -m tests.faults`: failpoints, a storm of random faults, and the proof that the campaign can turn red."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.faults.parts import forget_settings


def main() -> int:
    from tests.faults import every_failpoint
    from tests.peers import Orthanc
    folder = Path(tempfile.mkdtemp(prefix="sendit-faults-"))
    print(folder)
    started = time.monotonic()
    with Orthanc(folder / "orthanc") as orthanc:
        result = every_failpoint.run(folder, orthanc, 1)
    print(time.monotonic() - started, result)
    return 0


if __name__ == "__main__":
    forget_settings()
    sys.exit(main())
