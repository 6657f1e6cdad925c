"""Proves that the campaign can turn red: without the sweeper work stays lying, without the fence it is done twice.

Each proof has its counterpart: the same faults with the sweeper, and with the fence, and all is well. Nothing is left to
chance: processes stand still or end at named failpoints.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.faults.parts import is_stopped
from tests.faults.trial import Findings, Trial
from tests.peers import Orthanc, wait_for

IMAGES = 20
THROUGH_WITHIN = 60.0
UNFENCED = {"SENDIT_TEST_FENCE_OFF": "1"}


@dataclass(frozen=True)
class Proof:
    """One experiment: what was found in it, and whether something had to be."""

    name: str
    wanted: str
    findings: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return bool(self.findings) == (self.wanted == "red")


def run(folder: Path, orthanc: Orthanc, seed: int) -> list[Proof]:
    """Run every experiment, two at a time."""
    experiments: list[Callable[[], list[Proof]]] = [
        lambda: _sweeper(folder / "sweeper", orthanc, seed),
        *(
            lambda place=place, fenced=fenced: _fence(folder / f"{place}-{fenced}", orthanc, seed, place, fenced)
            for place in ("register:read", "deliver:sent")
            for fenced in (False, True)
        ),
    ]
    with ThreadPoolExecutor(2) as threads:
        return [proof for one in [threads.submit(experiment) for experiment in experiments] for proof in one.result()]


def _sweeper(folder: Path, orthanc: Orthanc, seed: int) -> list[Proof]:
    """Workers die with work in hand and the bells are lost: for ever without the sweeper, for a moment with it."""
    with Trial(folder, orthanc, seed) as trial:
        trial.node.start("watcher", "worker1")
        trial.node.arm("deidentify:claimed")
        trial.producer.drop(IMAGES)
        wait_for(lambda: not trial.node.is_armed("deidentify:claimed"), "a death at deidentify:claimed")
        trial.node.parts["worker1"].kill()
        shutil.rmtree(trial.node.data / "broker", ignore_errors=True)
        lease = float(trial.node.environment["SENDIT_LEASE_SECONDS"])
        through = trial.drain(lease + 3.0)
        stuck = () if through else (f"{trial.progress()['in_flight']} images stuck after their leases ended",)
        trial.node.start("sweeper")
        again = () if trial.drain(THROUGH_WITHIN) else ("stuck although the sweeper runs",)
        red = Proof("workers killed, bells lost, sweeper off", "red", stuck)
        return [red, Proof("… and with the sweeper on again", "green", (*again, *_said(trial.examine())))]


def _fence(folder: Path, orthanc: Orthanc, seed: int, place: str, fenced: bool) -> list[Proof]:
    """A worker stands still at `place` until another has done its work, and then goes on."""
    environment = {} if fenced else UNFENCED
    trial = Trial(folder, orthanc, seed, environment)
    with trial:
        trial.node.start()
        trial.node.arm(place, "stop")
        trial.producer.drop(IMAGES)
        wait_for(lambda: not trial.node.is_armed(place), f"a stop at {place}")
        wait_for(lambda: _stopped(trial) is not None, "a stopped worker")
        pid = _stopped(trial)
        assert pid is not None
        if not trial.drain(THROUGH_WITHIN):
            return [Proof(f"a worker stands at {place}", "green", ("nobody took its work over",))]
        os.kill(pid, signal.SIGCONT)
        trial.node.parts["worker1"].stop()  # it ends when its processes have ended what they were at
        findings = _said(trial.examine())
        name = f"a worker sleeps through its lease at {place}, fence {'on' if fenced else 'off'}"
        trial.findings.clear()  # they are told by the proof; the folder is not needed any more
        return [Proof(name, "green" if fenced else "red", tuple(findings))]


def _stopped(trial: Trial) -> int | None:
    return next((pid for part in trial.node.workers for pid in part.children() if is_stopped(pid)), None)


def _said(findings: Findings) -> list[str]:
    return [sentence for found in findings.values() for sentence in found]
