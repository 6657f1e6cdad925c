"""`python -m tests.benchmarks [NAME ...]`: every benchmark in order, each in a process of its own (`make benchmarks`)."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time

# What `docs/performance.md` shows, in its order: name, arguments.
ALL = (
    ("deliver",),
    ("deliver", "--production"),
    ("send", "--images", "200"),
    ("receive", "--rounds", "3"),
    ("deidentify",),
    ("bookkeeping",),
    ("registration",),
    ("small_series",),
    ("scale",),
)
_LIMIT_SECONDS = 600


def main() -> int:
    """Run those whose names are given, by default all; 1 when one of them broke off."""
    wanted = [one for one in ALL if not sys.argv[1:] or one[0] in sys.argv[1:]]
    broken = []
    for name, *arguments in wanted:
        title = " ".join([name, *arguments])
        print(f"\n=== {title} ({time.strftime('%Y-%m-%d %H:%M')}, {_machine()})\n", flush=True)
        command = [sys.executable, "-m", f"tests.benchmarks.{name}", *arguments]
        if subprocess.run(command, timeout=_LIMIT_SECONDS, check=False).returncode:
            broken.append(title)
    if broken:
        print(f"\nBroke off: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken or not wanted else 0


def _machine() -> str:
    cores = len(os.sched_getaffinity(0))
    return f"{platform.machine()}, {cores} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    sys.exit(main())
