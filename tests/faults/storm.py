"""A storm: drops arrive, faults strike at random moments, and afterwards everything has to be in Orthanc once.

The moments and kinds of the faults follow the seed; what they meet follows the machine.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import kinds, outside
from tests.faults.trial import Findings, Trial, examine_orthanc
from tests.peers import Orthanc, Postgres, Redis

IMAGES_PER_SECOND = 12.0
DRAIN_WITHIN = 90.0
SAMPLE_EVERY = 0.25


@dataclass
class Result:
    """What happened and what was wrong; `recoveries` are seconds from a fault's end to the next proven image."""

    faults: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    restarts: int = 0
    images: int = 0
    files: int = 0
    lost: int = 0
    stored_twice: int = 0
    drained_after: float = 0.0
    findings: Findings = field(default_factory=dict)


def run(folder: Path, seed: int, seconds: float, *, production: bool = False) -> Result:
    """Storm for `seconds`, on the embedded parts or on Redis, PostgreSQL and three workers; then check everything."""
    with ExitStack() as stack:
        orthanc = stack.enter_context(Orthanc(folder / "orthanc"))
        redis = stack.enter_context(Redis(folder / "redis")) if production else None
        postgres = stack.enter_context(Postgres(folder / "postgres")) if production else None
        workers = 3 if production else 1
        trial = stack.enter_context(
            Trial(folder / "node", orthanc, seed, redis=redis, postgres=postgres, workers=workers)
        )
        storm = Storm(trial, seed, kinds.PRODUCTION if production else kinds.EMBEDDED)
        storm.blow(seconds)
        storm.calm()
        result = storm.result
        result.findings = {**trial.examine(), **examine_orthanc(orthanc, [trial])}
        result.lost, result.stored_twice = outside.lost_and_twice(orthanc, trial.released)
        result.images, result.files = trial.producer.images, len(trial.producer.files)
        result.restarts = trial.node.restarts - len(trial.node.parts)
        return result


class Storm:
    """One storm over one trial."""

    def __init__(self, trial: Trial, seed: int, table: dict[str, tuple[int, kinds.Fault]]) -> None:
        self.trial = trial
        self.dice = random.Random(f"faults {seed}")
        self.table = table
        self.result = Result()
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._entries = 0
        self._struck: list[float] = []
        self._proven = 0
        self._ends = 0.0
        self._handed_over = 0

    def blow(self, seconds: float) -> None:
        """Start the node and let drops arrive and faults strike for `seconds`."""
        self.trial.node.start()
        self.trial.observer.progress()
        self._ends = time.monotonic() + seconds
        wanted = int(seconds * IMAGES_PER_SECOND)
        self._at(0.0, lambda: self._drop(wanted))
        self._at(1.0, self._fault)
        self._at(SAMPLE_EVERY, self._sample)
        while time.monotonic() < self._ends or self._handed_over < wanted:
            self._step()

    def calm(self) -> None:
        """No more faults: undo those that last, and give the node time to finish."""
        while self._agenda:
            self._step()
        for failpoint in self.trial.node.armed.iterdir():
            failpoint.unlink()
        started = time.monotonic()
        if not self.trial.drain(DRAIN_WITHIN):
            self.trial.check(
                "all work ends after the last fault", [f"not after {DRAIN_WITHIN:.0f} s: {self.trial.progress()}"]
            )
        self.result.drained_after = time.monotonic() - started
        self._note_progress()

    def _step(self) -> None:
        """Do what is due, keep the node running, sleep a little."""
        self.trial.node.tend()
        while self._agenda and self._agenda[0][0] <= time.monotonic():
            heapq.heappop(self._agenda)[2]()
        time.sleep(0.02)  # the next fault is not due yet

    def _at(self, seconds: float, do: Callable[[], object]) -> None:
        self._entries += 1
        heapq.heappush(self._agenda, (time.monotonic() + seconds, self._entries, do))

    def _over(self) -> bool:
        return time.monotonic() >= self._ends

    def _drop(self, wanted: int) -> None:
        """Hand over one drop, mostly a new series, and come back until all are handed over."""
        producer, roll = self.trial.producer, self.dice.random()
        images = min(self.dice.randint(10, 40), max(1, wanted - self._handed_over))
        if not self._handed_over or roll < 0.7:
            producer.drop(images, hostile=roll < 0.15)
        elif roll < 0.85:
            producer.late(images)
        else:
            producer.again()
        self._handed_over = producer.images
        if self._handed_over < wanted:
            self._at(0.0 if self._over() else images / IMAGES_PER_SECOND, lambda: self._drop(wanted))

    def _fault(self) -> None:
        if self._over():
            return
        names = list(self.table)
        name = self.dice.choices(names, [self.table[one][0] for one in names])[0]
        self.trial.check("no patient's value in the broker", self._look_at_broker())
        later = self.table[name][1](self.trial, self.dice)
        self.result.faults[name] += 1
        if later is None:
            self._struck.append(time.monotonic())
        else:
            self._at(later.seconds, lambda: self._end(later))
        self._at(self.dice.uniform(0.5, 1.5), self._fault)

    def _end(self, later: kinds.Later) -> None:
        later.do()
        self._struck.append(time.monotonic())

    def _look_at_broker(self) -> list[str]:
        try:
            return list(outside.canaries_in_broker(self.trial.node, self.trial.producer))
        except OSError:  # Redis is down or hangs
            return []

    def _sample(self) -> None:
        self._note_progress()
        if not self._over():
            self._at(SAMPLE_EVERY, self._sample)

    def _note_progress(self) -> None:
        """A newly proven image ends the recovery from all faults before it."""
        proven = self.trial.progress()["proven"]
        if proven > self._proven:
            self._proven = proven
            self.result.recoveries += [time.monotonic() - moment for moment in self._struck]
            self._struck.clear()
