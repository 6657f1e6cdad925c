"""One node under trial: its producer, its observer, the wait for the end, and all checks together.

What is done to the node meanwhile is the business of `storm`, `every_failpoint` and `red`.
"""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.faults import outside
from tests.faults.load import Producer
from tests.faults.observer import Observer
from tests.faults.parts import Node
from tests.peers import Orthanc, Postgres, Redis

Findings = dict[str, list[str]]


class Trial:
    """A node with everything around it, as a context: `with Trial(folder, orthanc, seed) as trial`."""

    def __init__(
        self,
        folder: Path,
        orthanc: Orthanc,
        seed: int,
        environment: Mapping[str, str] | None = None,
        *,
        redis: Redis | None = None,
        postgres: Postgres | None = None,
        workers: int = 1,
        supervised: bool = False,
    ) -> None:
        self.orthanc = orthanc
        self.folder = folder
        self.node = Node(
            folder,
            orthanc,
            environment or {},
            redis=redis,
            postgres=postgres,
            workers=workers,
            supervised=supervised,
        )
        self.producer = Producer(folder / "producer", self.node.inbox, seed)
        self.findings: Findings = defaultdict(list)
        self.released: dict[str, tuple[str, int]] = {}
        self._observer: Observer | None = None

    @property
    def observer(self) -> Observer:
        if self._observer is None:
            self._observer = Observer(self.node.environment)
        return self._observer

    def progress(self) -> dict[str, int]:
        """Return how far the node is."""
        return self.observer.progress()

    def is_drained(self) -> bool:
        """Say whether all that was handed over is through, as far as counts tell."""
        if any(not entry.name.startswith(".") for entry in self.node.inbox.iterdir()):
            return False
        now = self.progress()
        done = now["files"] == len(self.producer.files) and not now["unregistered"] and not now["in_flight"]
        if self.node.environment.get("SENDIT_CLEANUP") == "yes":
            return done and now["cleaned"] == self.producer.images
        return done

    def drain(self, within: float) -> bool:
        """Keep the node alive until it is drained; False when that takes longer than `within` seconds."""
        deadline = time.monotonic() + within
        while not self.is_drained():
            if time.monotonic() > deadline:
                return False
            self.node.tend()
            time.sleep(0.05)  # looks at what other processes do
        return True

    def examine(self) -> Findings:
        """End the node and run every check that concerns it alone."""
        self.check("no patient's value in the broker", outside.canaries_in_broker(self.node, self.producer))
        self.node.stop()
        answer = self.observer.examine(str(self.producer.ledger))
        self.released = {uid: (digest, size) for uid, (digest, size) in answer["released"].items()}
        for name, found in answer["findings"].items():
            self.check(name, found)
        self.check("no patient's value in any file of the node", outside.canaries(self.node, self.producer))
        self.close()
        self.check("no process is left", outside.survivors(self.node))
        return self.findings

    def check(self, name: str, found: Iterable[str]) -> None:
        """Add findings to those of the check `name`."""
        self.findings[name] += [one for one in found if one not in self.findings[name]]

    def close(self) -> None:
        """End every process of the trial."""
        self.node.stop()
        if self._observer is not None:
            self._observer.close()

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()
        if exc[0] is None and not any(self.findings.values()):
            shutil.rmtree(self.folder, ignore_errors=True)


def examine_orthanc(orthanc: Orthanc, trials: Iterable[Trial]) -> Findings:
    """Run the checks on an Orthanc that several nodes delivered to."""
    trials = list(trials)
    released = {uid: entry for trial in trials for uid, entry in trial.released.items()}
    producers = [trial.producer for trial in trials]
    return {
        "every image is in Orthanc once, and nothing else": list(outside.stored(orthanc, released)),
        "no patient's value in Orthanc": list(outside.canaries_in_orthanc(orthanc, producers)),
    }
