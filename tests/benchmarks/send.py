"""How fast `dimse.store` sends, as a ratio to dcmtk's storescu: the same files, the same receivers, alternating rounds.

    .venv/bin/python -m tests.benchmarks.send [--images 300] [--rounds 3] [--pynetdicom]

Prints images per second and the CPU of the sender per image (medians of the rounds). Once with the receivers as they
come, whose answers in two pieces wait for an acknowledgement of the sender, and once with TCP_NODELAY=1 in their
environment. Start it inside `unshare -rn sh -c 'ip link set lo up; ...'`: the receivers listen on every address.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dimse import Instance, Peer, store
from tests.peers import Orthanc, StoreSCP
from tests.peers.images import make_series
from tests.peers.server import program

Sender = Callable[[Any, list[Instance]], None]


def by_store(peer: Any, instances: list[Instance]) -> None:
    results = list(store(Peer(peer.host, peer.dicom_port, peer.ae_title), instances))
    assert all(result.outcome == "accepted" for result in results), results[-1]


def by_storescu(peer: Any, instances: list[Instance]) -> None:
    words = [program("storescu", "dcmtk"), "-R", "-aec", peer.ae_title, peer.host, str(peer.dicom_port)]
    words += map(str, (instance.path for instance in instances))
    subprocess.run(words, check=True, env={**os.environ, "TCP_NODELAY": "1"})


def by_pynetdicom(peer: Any, instances: list[Instance]) -> None:
    from pynetdicom import AE, _config

    _config.STORE_SEND_CHUNKED_DATASET = True
    ae = AE(ae_title="SENDIT")
    ae.add_requested_context(instances[0].sop_class_uid, instances[0].transfer_syntax_uid)
    association = ae.associate(peer.host, peer.dicom_port, ae_title=peer.ae_title)
    for instance in instances:
        assert association.send_c_store(instance.path).Status == 0
    association.release()


def timed(send: Sender, peer: Any, instances: list[Instance]) -> tuple[float, float]:
    """Return seconds on the clock and seconds of CPU that sending took, per image."""
    clock, cpu = time.perf_counter(), _cpu()
    send(peer, instances)
    return (time.perf_counter() - clock) / len(instances), (_cpu() - cpu) / len(instances)


def _cpu() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def compare(peer: Any, senders: dict[str, Sender], images: int, rounds: int, forget: Callable[[], None]) -> None:
    """Print a table of the senders, each round with the same files for all of them."""
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in senders}
    with tempfile.TemporaryDirectory() as folder:
        instances = make_series(Path(folder), images)
        for _ in range(rounds):
            for name, send in senders.items():
                forget()
                measured[name].append(timed(send, peer, instances))
    reference = statistics.median(clock for clock, _ in measured["storescu"])
    how = "started with TCP_NODELAY=1" if peer.environment else "as it comes"
    print(f"\n{images} CT images of 530 kB into {type(peer).__name__} ({how}), median of {rounds} rounds")
    print(f"{'sender':12} {'images/s':>9} {'x storescu':>11} {'CPU ms/image':>13}")
    for name, values in measured.items():
        clock = statistics.median(clock for clock, _ in values)
        cpu = statistics.median(cpu for _, cpu in values)
        print(f"{name:12} {1 / clock:9.0f} {reference / clock:11.2f} {1000 * cpu:13.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pynetdicom", action="store_true", help="measure pynetdicom's own sender too")
    options = parser.parse_args()
    senders: dict[str, Sender] = {"storescu": by_storescu, "dimse.store": by_store}
    if options.pynetdicom:
        senders["pynetdicom"] = by_pynetdicom
    for environment in ({}, {"TCP_NODELAY": "1"}):
        with tempfile.TemporaryDirectory() as folder:
            for peer in (Orthanc(Path(folder) / "orthanc"), StoreSCP(Path(folder) / "storescp", "+xa", "+B")):
                peer.environment = environment
                with peer:
                    compare(peer, senders, options.images, options.rounds, peer.clear)


if __name__ == "__main__":
    main()
