"""How fast the receiver takes what `storescu` sends, against Orthanc and `storescp --fork` on the same files.

`sh tests/in_own_network.sh .venv/bin/python -m tests.benchmarks.receive [--images 300] [--rounds 5] [--only PART]`

The receiver is the real one (`manage.py receiver_start`, its processes, its sync before each answer, its drops), without
the rest of a node. All senders run with TCP_NODELAY=1, over one association and over four at once; the servers take
turns in every round. What syncing costs is measured on a receiver whose `fsync` and `fdatasync` do nothing: a switch
that only this benchmark has.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from dimse import Peer, echo, store
from tests.benchmarks.own_node import forget_settings
from tests.benchmarks.report import Seconds, print_rates, ratios, verdict
from tests.peers import Orthanc, StoreSCP
from tests.peers.images import describe, make_series
from tests.peers.server import Server, free_port, program

ROOT = Path(__file__).resolve().parent.parent.parent
ASSOCIATIONS = 4
MANY, IMAGES_OF_EACH = 50, 40
GIGABYTES = 2
IDLE_SECONDS, IDLE_ASSOCIATIONS = 20.0, 20

_WITHOUT_SYNC = "import os; os.fsync = os.fdatasync = lambda descriptor: None; "
_MANAGE = "from django.core.management import execute_from_command_line as run; import sys; run(sys.argv)"


class Receiver(Server):
    """sendit's receiver with a data folder of its own; everybody may store."""

    name = "receiver"
    package = "sendit"
    ae_title = "DICOMRCV"
    host = "127.0.0.1"

    def __init__(self, folder: Path, *, sync: bool = True) -> None:
        super().__init__(folder)
        self.dicom_port = free_port()
        self.received = self.folder / "data" / "received"
        self._sync = sync
        self.environment = {
            "DJANGO_SETTINGS_MODULE": "sendit.settings",
            "PYTHONPATH": str(ROOT),
            "SENDIT_DATA_DIR": str(self.folder / "data"),
            "SENDIT_ENV_FILE": str(self.folder / "none"),
            "DICOM_PORT": str(self.dicom_port),
            "DICOM_PUBLIC": "yes",
        }

    def command(self) -> list[str]:
        return self._manage("receiver_start", "--foreground")

    def prefix(self) -> list[str]:
        migrate = self._manage("migrate", "--verbosity", "0")
        subprocess.run(migrate, check=True, env={**os.environ, **self.environment}, cwd=self.folder)
        return super().prefix()

    def is_ready(self) -> bool:
        try:
            echo(Peer(self.host, self.dicom_port, self.ae_title))
        except Exception:  # noqa: BLE001  # any refusal is "not yet"
            return False
        return True

    def processes(self) -> list[psutil.Process]:
        """Return the processes that have ports; their parent only looks after them."""
        return psutil.Process(self.pid).children()

    def clear(self) -> None:
        for folder in self.received.iterdir():
            if not folder.name.startswith("."):
                shutil.rmtree(folder)

    def count(self) -> int:
        return sum(1 for _ in self.received.rglob("*.dcm"))

    def _manage(self, *words: str) -> list[str]:
        return [sys.executable, "-c", ("" if self._sync else _WITHOUT_SYNC) + _MANAGE, *words]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300, help="of each association")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("rates", "many", "memory", "idle"))
    options = parser.parse_args()
    forget_settings()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sendit-bench-")))
        receiver = stack.enter_context(Receiver(folder / "sendit"))
        parts: dict[str, Callable[[], None]] = {
            "idle": lambda: idle(receiver),
            "rates": lambda: rates(folder, receiver, stack, options.images, options.rounds),
            "many": lambda: many(folder, receiver),
            "memory": lambda: memory(folder, receiver),
        }
        for name, measure in parts.items():
            if options.only in (None, name):
                measure()


def rates(folder: Path, receiver: Receiver, stack: ExitStack, images: int, rounds: int) -> None:
    """Seconds of one and of four associations into each server, and what of sendit's is waiting for the disk."""
    unsynced = stack.enter_context(Receiver(folder / "unsynced", sync=False))
    orthanc = Orthanc(folder / "orthanc")
    storescp = StoreSCP(folder / "storescp", "--fork")
    preserving = StoreSCP(folder / "preserving", "--fork", "+B")
    for one in (orthanc, storescp, preserving):
        one.environment = {"TCP_NODELAY": "1"}
    servers: dict[str, Receiver | Orthanc | StoreSCP] = {
        "Orthanc": stack.enter_context(orthanc),
        "storescp --fork": stack.enter_context(storescp),
        "storescp --fork +B": stack.enter_context(preserving),
        "sendit": receiver,
        "sendit without syncing": unsynced,
    }
    series = [folder / f"series{number}" for number in range(ASSOCIATIONS)]
    for one in series:
        make_series(one, images)
    for senders in (1, ASSOCIATIONS):
        seconds: Seconds = {name: [] for name in servers}
        for number in range(rounds + 1):
            for name, server in servers.items():
                took = timed(server, series[:senders])
                if isinstance(server, Receiver) and server.count() != images * senders:
                    raise SystemExit(f"{server.count()} of {images * senders} images are there.")
                server.clear()
                if number:  # the first round warms up
                    seconds[name].append(took)
        print(f"\n{images} CT images of 530 kB over each of {senders} associations, {rounds} rounds\n")
        print_rates(seconds, images * senders, "image", reference="storescp --fork")
        for reference, goal in (
            ("Orthanc", 2.0 if senders == 1 else None),
            ("storescp --fork", 1.0 if senders > 1 else None),
        ):
            factors = [1 / one for one in ratios(seconds, "sendit", reference)]
            verdict(f"rate in times of {reference}'s, {senders} associations", factors, goal, at_least=True)
        verdict("time in times of that without syncing", ratios(seconds, "sendit", "sendit without syncing"), None)


def many(folder: Path, receiver: Receiver) -> None:
    """Fifty associations at once: how much longer the slowest takes than the fastest."""
    series = [folder / f"many{number}" for number in range(MANY)]
    for one in series:
        make_series(one, IMAGES_OF_EACH)
    durations: list[float] = []
    spreads: list[float] = []
    for _ in range(3):
        durations.clear()

        def send(source: Path) -> None:
            began = time.perf_counter()
            subprocess.run(storescu(receiver, source), check=True, env=NO_DELAY)
            durations.append(time.perf_counter() - began)

        threads = [threading.Thread(target=send, args=(one,)) for one in series]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        assert receiver.count() == MANY * IMAGES_OF_EACH
        receiver.clear()
        spreads.append(max(durations) / min(durations))
    print(
        f"\n{MANY} associations at once with {IMAGES_OF_EACH} images each: {MANY * IMAGES_OF_EACH / took:.0f} images/s"
    )
    verdict("slowest association in times of the fastest", spreads, None)


def memory(folder: Path, receiver: Receiver) -> None:
    """Peak memory of the process that takes an object of two gigabytes, in times of what it had before."""
    path = multi_frame(folder / "large.dcm")
    before = {process.pid: _peak(process) for process in receiver.processes()}
    (result,) = store(Peer(receiver.host, receiver.dicom_port, receiver.ae_title, dimse_timeout=120), [describe(path)])
    assert result.outcome == "accepted", result
    peaks = [_peak(process) for process in receiver.processes()]
    grown = [_peak(process) - before[process.pid] for process in receiver.processes()]
    receiver.clear()
    path.unlink()
    print()
    verdict(f"resident memory of a process that takes {GIGABYTES} GB in one object", [max(peaks)], 250, " MB")
    verdict("of which for this object", [max(grown)], None, " MB")


def idle(receiver: Receiver) -> None:
    """CPU of all processes of a receiver that has associations and nothing to do, in per cent of a core."""
    ae = AE()
    ae.add_requested_context(Verification)
    associations = [
        ae.associate(receiver.host, receiver.dicom_port, ae_title=receiver.ae_title) for _ in range(IDLE_ASSOCIATIONS)
    ]
    assert all(association.is_established for association in associations)
    before = _cpu(receiver)
    time.sleep(IDLE_SECONDS)
    used = 100 * (_cpu(receiver) - before) / IDLE_SECONDS
    for association in associations:
        association.release()
    verdict(f"idle with {IDLE_ASSOCIATIONS} associations, CPU", [used], 1, " %")


NO_DELAY = {**os.environ, "TCP_NODELAY": "1"}


def storescu(server: Receiver | Orthanc | StoreSCP, source: Path) -> list[str]:
    words = [program("storescu", "dcmtk"), "-q", "-aec", server.ae_title, "+sd"]
    return [*words, server.host, str(server.dicom_port), str(source)]


def timed(server: Receiver | Orthanc | StoreSCP, sources: list[Path]) -> float:
    """Seconds that one `storescu` for each source takes, all at once."""
    os.sync()
    began = time.perf_counter()
    senders = [subprocess.Popen(storescu(server, source), env=NO_DELAY) for source in sources]
    answers = [sender.wait() for sender in senders]
    took = time.perf_counter() - began
    if any(answers):
        raise SystemExit(f"storescu did not succeed with {server.name}: {server.log[-1000:]}")
    return took


def multi_frame(path: Path) -> Path:
    """Write a multi-frame CT of two gigabytes whose frames are zeros and take no room on the disk."""
    (instance,) = make_series(path.parent / "one", 1)
    data = instance.path.read_bytes()
    pixels = data.rindex(b"\xe0\x7f\x10\x00OW\0\0")
    size = GIGABYTES << 30
    with path.open("wb") as file:
        file.write(data[: pixels + 8] + size.to_bytes(4, "little"))
        file.truncate(file.tell() + size)
    return path


def _peak(process: psutil.Process) -> float:
    """Return the most that was ever resident, in megabytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def _cpu(receiver: Receiver) -> float:
    processes = [psutil.Process(receiver.pid), *receiver.processes()]
    return sum(process.cpu_times().user + process.cpu_times().system for process in processes)


if __name__ == "__main__":
    main()
