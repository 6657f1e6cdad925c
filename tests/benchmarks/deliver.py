"""A folder drop until it is proven in Orthanc, against `storescu` sending the same files to the same Orthanc.

`sh tests/in_own_network.sh .venv/bin/python -m tests.benchmarks.deliver [--images 300] [--rounds 3] [--series 1]
[--production] [--workers N] [--as-it-comes]`

The node is a whole one (`manage.py node` without its pages). Beside the rate it measures how soon the first image is
there: from the rename of the drop, at rest, until Orthanc has stored an image and until the first one is proven; it
looks every few milliseconds, so the first byte left earlier than it says. `--production` uses PostgreSQL, with its
writes synced, and Redis.

Orthanc is started with TCP_NODELAY=1, the peer at its best: as it comes, each of its answers waits 40 ms for an
acknowledgement of dcmtk's sender (`--as-it-comes` measures that).
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg

from tests.benchmarks.own_node import forget_settings, on_postgresql
from tests.benchmarks.report import Seconds, print_rates, ratios, verdict
from tests.peers import Orthanc, Postgres, Redis, wait_for
from tests.peers.images import make_series
from tests.peers.server import program

ROOT = Path(__file__).resolve().parent.parent.parent

GOAL, FIRST_SECONDS = 0.9, 1.0
WITHIN = 60.0
LATENCY_ROUNDS = 5

# Counts the images that are proven, from outside. It is asked a hundred times a second, so it must cost nothing: the
# counts of the few series are written in the transaction that writes the proof.
Proven = Callable[[], int]
_PROVEN = "SELECT coalesce(sum(n_sent), 0) FROM main_series"


def main() -> None:
    """Alternate both ways and print the ratio of their rates; then how soon the first image is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--series", type=int, default=1, help="the images of a drop are so many series")
    parser.add_argument("--production", action="store_true", help="PostgreSQL and Redis")
    parser.add_argument("--workers", type=int, default=3, help="worker processes of the node")
    parser.add_argument("--as-it-comes", action="store_true", help="leave Orthanc's own delay on")
    options = parser.parse_args()
    forget_settings()
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="sendit-bench-", ignore_cleanup_errors=True))
        )
        orthanc = Orthanc(folder / "orthanc")
        orthanc.environment = {} if options.as_it_comes else {"TCP_NODELAY": "1"}
        stack.enter_context(orthanc)
        workers = str(options.workers)
        settings = {"SENDIT_WORKERS": workers}
        if options.production:
            postgres = stack.enter_context(Postgres(folder / "postgres", durable=True))
            settings |= on_postgresql(postgres)
            settings["CELERY_BROKER_URL"] = stack.enter_context(Redis(folder / "redis")).url
        data = stack.enter_context(_running_node(folder, orthanc, settings))
        if options.production:
            proven = _counter(stack.enter_context(psycopg.connect(postgres.dsn, autocommit=True)))
        else:
            file = f"file:{data / 'sendit.sqlite3'}?mode=ro"
            proven = _counter(stack.enter_context(closing(sqlite3.connect(file, uri=True, timeout=20))))
        seconds = _compare(folder, data, orthanc, proven, options)
        stored, first = zip(*(_first(folder, data, orthanc, proven) for _ in range(LATENCY_ROUNDS)), strict=True)
    parts = "PostgreSQL, Redis" if options.production else "SQLite, its own broker"
    print(
        f"\n{options.images} CT images of 530 kB, {options.series} series, into Orthanc; {parts}, {workers} workers\n"
    )
    print_rates(seconds, options.images, "image", reference="storescu")
    rates = [1 / one for one in ratios(seconds, "drop to proven", "storescu")]
    verdict("rate in times of storescu's", rates, GOAL, at_least=True)
    verdict("series of 20 at rest to first image in Orthanc", stored, FIRST_SECONDS, " s")
    verdict("series of 20 at rest to first image proven", first, None, " s")


def _compare(folder: Path, data: Path, orthanc: Orthanc, proven: Proven, options: argparse.Namespace) -> Seconds:
    seconds: Seconds = {"storescu": [], "drop to proven": []}
    for number in range(options.rounds + 1):
        source = folder / f"series{number}"
        for part in range(options.series):
            make_series(source / str(part), options.images // options.series)
        direct = _storescu(source, orthanc)
        orthanc.clear()
        before = proven()
        began = _drop(source, data)
        wait_for(lambda before=before: proven() - before >= options.images, "the last image proven", WITHIN)
        node = time.perf_counter() - began
        orthanc.clear()
        print(f"round {number}: storescu {direct:.2f} s, drop to proven {node:.2f} s")
        if number:  # the first round warms up
            seconds["storescu"].append(direct)
            seconds["drop to proven"].append(node)
    return seconds


def _first(folder: Path, data: Path, orthanc: Orthanc, proven: Proven) -> tuple[float, float]:
    """Seconds from the rename of a series of 20 until Orthanc has an image, and until one is proven."""
    source = folder / "latency"
    make_series(source, 20)
    before = proven()
    began = _drop(source, data)
    wait_for(lambda: orthanc.rest("/statistics")["CountInstances"] > 0, "the first image in Orthanc", WITHIN)
    stored = time.perf_counter() - began
    wait_for(lambda: proven() > before, "the first image proven", WITHIN)
    first = time.perf_counter() - began
    wait_for(lambda: proven() - before >= 20, "the last image proven", WITHIN)
    orthanc.clear()
    return stored, first


def _drop(source: Path, data: Path) -> float:
    """Copy a folder into the inbox under a temporary name, rename it, and return when that was."""
    writing = data / "inbox" / f"{source.name}.tmp1"
    shutil.move(source, writing)
    os.sync()
    began = time.perf_counter()
    writing.rename(data / "inbox" / source.name)
    return began


@contextmanager
def _running_node(folder: Path, orthanc: Orthanc, settings: dict[str, str]) -> Iterator[Path]:
    """The whole node, delivering to `orthanc` with proof by content; yields its data folder."""
    data = folder / "data"
    environment = {
        **os.environ,
        "SENDIT_DATA_DIR": str(data),
        "SENDIT_ENV_FILE": str(folder / "none"),
        "SEND_TO_ORTHANC": "yes",
        "ORTHANC_PORT": str(orthanc.dicom_port),
        "ORTHANC_REST_URL": orthanc.rest_url,
        **settings,
    }
    command = [sys.executable, str(ROOT / "manage.py"), "node", "--without", "web", "--without", "receiver"]
    with open(folder / "node.log", "ab") as log:
        node = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        wait_for(
            lambda: (data / "run" / "node.json").exists() or node.poll() is not None, "the start of the node", WITHIN
        )
        if node.poll() is not None:
            raise RuntimeError("the node ended by itself")
        yield data
    except (RuntimeError, TimeoutError) as error:
        raise SystemExit(f"{(folder / 'node.log').read_text()}\n{error}") from None
    finally:
        node.send_signal(signal.SIGTERM)
        node.wait(30)


def _counter(connection: sqlite3.Connection | psycopg.Connection) -> Proven:
    def proven() -> int:
        return int(connection.execute(_PROVEN).fetchone()[0])

    return proven


def _storescu(source: Path, orthanc: Orthanc) -> float:
    """Seconds that dcmtk's sender needs for the same files, without Nagle's delay."""
    command = [program("storescu", "dcmtk"), "-aec", orthanc.ae_title, "+sd", "+r"]
    command += [orthanc.host, str(orthanc.dicom_port), str(source)]
    os.sync()
    began = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "TCP_NODELAY": "1"}, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
