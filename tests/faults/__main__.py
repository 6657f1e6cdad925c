"""`python -m tests.faults`: every failpoint, storms of random faults, and the proof that the campaign can turn red.

Run it in a network namespace of its own (`sh tests/in_own_network.sh python -m tests.faults`), or with `make faults`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import every_failpoint, every_process, red, report, storm
from tests.faults.parts import forget_settings
from tests.peers import MissingPeer, Orthanc

LONG = 1.0  # minutes from which on the parts of production have their storm without being asked for


def main() -> int:
    """Run what was chosen; 0 when all is green, 1 when not, 2 when a neighbour is not installed."""
    options = _options()
    forget_settings()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that was started is ended
    folder = Path(tempfile.mkdtemp(prefix="sendit-faults-"))
    started = time.monotonic()
    try:
        result = run(folder, options)
    except MissingPeer as missing:
        print(missing, file=sys.stderr)
        return 2
    if options.as_json:
        print(json.dumps(result.as_json(), indent=1))
    else:
        print(f"\n{'GREEN' if result.is_green else 'RED'} after {time.monotonic() - started:.0f} s, seed {result.seed}")
    if result.is_green:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"The nodes' folders and logs are kept in {folder}", file=sys.stderr)
    return 0 if result.is_green else 1


def run(folder: Path, options: argparse.Namespace) -> report.Report:
    """Run the chosen parts one after another and tell of each when it is over."""
    result = report.Report(options.seed)

    def tell(lines: list[str]) -> None:
        if not options.as_json:
            print("\n".join(lines), flush=True)

    if options.failpoints:
        for name, each in (("Every failpoint", every_failpoint), ("Every process", every_process)):
            with Orthanc(folder / each.__name__ / "orthanc") as orthanc:
                result.deaths[name] = each.run(folder / each.__name__ / "node", orthanc, options.seed)
            tell(report.of_deaths(name, result.deaths[name]))
    for name in ("embedded", "production"):
        if getattr(options, name):
            one = storm.run(folder / name, options.seed, options.minutes * 60, production=name == "production")
            result.storms[name] = one
            tell(report.of_storm(name, options.seed, one))
    if options.prove_red:
        with Orthanc(folder / "red" / "orthanc") as orthanc:
            result.proofs = red.run(folder / "red", orthanc, options.seed)
        tell(report.of_proofs(result.proofs))
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the faults, their moments and the images")
    parser.add_argument("--minutes", type=float, default=3.0, help="length of each storm")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object at the end")
    parts = parser.add_argument_group("parts", f"by default all; production only from {LONG:g} minutes on")
    parts.add_argument(
        "--failpoints", action="store_true", help="a death at each of main.failpoints.NAMES, and of each process"
    )
    parts.add_argument("--embedded", action="store_true", help="a storm on SQLite and the folder broker")
    parts.add_argument("--production", action="store_true", help="a storm on PostgreSQL, Redis and three workers")
    parts.add_argument("--prove-red", action="store_true", help="sweeper off, fence off: both must be noticed")
    options = parser.parse_args()
    if not (options.failpoints or options.embedded or options.production or options.prove_red):
        options.failpoints = options.embedded = options.prove_red = True
        options.production = options.minutes >= LONG
    return options


if __name__ == "__main__":
    sys.exit(main())
