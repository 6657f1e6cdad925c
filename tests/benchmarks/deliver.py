"""A folder drop until it is proven in Orthanc, against `storescu` sending the same files to the same Orthanc.

`sh tests/in_own_network.sh .venv/bin/python -m tests.benchmarks.deliver [--images 300] [--rounds 3] [--as-it-comes]`

Orthanc is started with TCP_NODELAY=1, the peer at its best: as it comes, each of its answers waits 40 ms for an
acknowledgement of dcmtk's sender (`--as-it-comes` measures that).
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.peers import Orthanc
from tests.peers.images import make_series

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    """Alternate both ways and print the ratio of their rates."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--series", type=int, default=1, help="the images of a drop are so many series")
    parser.add_argument("--as-it-comes", action="store_true", help="leave Orthanc's own delay on")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sendit-bench-") as name:
        folder = Path(name)
        peer = Orthanc(folder / "orthanc")
        peer.environment = {} if arguments.as_it_comes else {"TCP_NODELAY": "1"}
        with peer.start() as orthanc, running_node(folder, orthanc) as data:
            rates: dict[str, list[float]] = {"storescu": [], "sendit": []}
            for number in range(arguments.rounds + 1):
                source = folder / f"series{number}"
                for part in range(arguments.series):
                    make_series(source / str(part), arguments.images // arguments.series)
                size = sum(path.stat().st_size for path in source.rglob("*.dcm"))
                direct = storescu(source, orthanc)
                orthanc.clear()
                node = through_the_node(source, data, arguments.images)
                orthanc.clear()
                shutil.rmtree(source)
                if number:  # the first round warms up
                    rates["storescu"].append(arguments.images / direct)
                    rates["sendit"].append(arguments.images / node)
                print(f"round {number}: storescu {direct:.2f} s, drop to proven {node:.2f} s ({size / 1e6:.0f} MB)")
        ratios = [a / b for a, b in zip(rates["sendit"], rates["storescu"], strict=True)]
        for what, found in rates.items():
            print(f"{what}: {statistics.median(found):.0f} images/s (median of {len(found)})")
        print(f"ratio sendit / storescu: {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


@contextmanager
def running_node(folder: Path, orthanc: Orthanc) -> Iterator[Path]:
    """The whole node on SQLite and its own broker folder, delivering to `orthanc` with proof by content."""
    data = folder / "data"
    environment = {
        **os.environ,
        "SENDIT_DATA_DIR": str(data),
        "SENDIT_ENV_FILE": str(folder / "none"),
        "SEND_TO_ORTHANC": "yes",
        "ORTHANC_PORT": str(orthanc.dicom_port),
        "ORTHANC_REST_URL": orthanc.rest_url,
    }
    command = [sys.executable, str(ROOT / "manage.py"), "node", "--without", "web"]
    with open(folder / "node.log", "ab") as log:
        node = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        wait_for(lambda: (data / "run" / "node.json").exists() or node.poll() is not None, 60)
        if node.poll() is not None:
            raise SystemExit((folder / "node.log").read_text())
        time.sleep(5)  # lets the workers import what they need
        yield data
    except TimeoutError:
        raise SystemExit((folder / "node.log").read_text()) from None
    finally:
        node.send_signal(signal.SIGTERM)
        node.wait(30)


def through_the_node(source: Path, data: Path, images: int) -> float:
    """Seconds from the rename of a drop until every image of it is proven."""
    before = proven(data)
    shutil.copytree(source, data / "inbox" / f"{source.name}.tmp1")
    os.sync()
    began = time.perf_counter()
    (data / "inbox" / f"{source.name}.tmp1").rename(data / "inbox" / source.name)
    wait_for(lambda: proven(data) - before >= images, 60)
    return time.perf_counter() - began


def proven(data: Path) -> int:
    """Deliveries that are proven."""
    with closing(sqlite3.connect(f"file:{data / 'sendit.sqlite3'}?mode=ro", uri=True, timeout=20)) as database:
        return int(database.execute("SELECT count(*) FROM main_delivery WHERE state = 'PROVEN'").fetchone()[0])


def storescu(source: Path, orthanc: Orthanc) -> float:
    """Seconds that dcmtk's sender needs for the same files, without Nagle's delay."""
    command = ["storescu", "-aec", orthanc.ae_title, "+sd", "+r", "127.0.0.1", str(orthanc.dicom_port), str(source)]
    os.sync()
    began = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "TCP_NODELAY": "1"}, capture_output=True)
    return time.perf_counter() - began


def wait_for(condition, seconds: float) -> None:  # type: ignore[no-untyped-def]
    """Look every 20 ms."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("the node did not get through")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
