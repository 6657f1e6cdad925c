"""Ends a process at every failpoint in turn, and sees all images through each time.

Two nodes share the names; the one with cleanup has those of cleanup among its own.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from main.failpoints import NAMES as ALL_NAMES
from tests.faults.trial import Findings, Trial, examine_orthanc
from tests.peers import Orthanc

# The receiver's are tested where it is: tests/receiver/test_killed.py. Here images come in by drops.
NAMES = [name for name in ALL_NAMES if not name.startswith("receive:")]
IMAGES = 30
REACHED_WITHIN = 30.0
THROUGH_WITHIN = 60.0


@dataclass
class Result:
    """What came of it: seconds from each death to the end of the work, and what was wrong."""

    seconds: dict[str, float] = field(default_factory=dict)
    images: int = 0
    findings: Findings = field(default_factory=dict)


def run(folder: Path, orthanc: Orthanc, seed: int) -> Result:
    """Run every name once on two nodes side by side."""
    cleanup = {"SENDIT_CLEANUP": "yes", "SENDIT_RETENTION_HOURS": "0"}
    plain = [name for name in NAMES if not name.startswith("cleanup:")]
    mine = [*plain[1::2], *[name for name in NAMES if name.startswith("cleanup:")]]
    trials = [Trial(folder / "kept", orthanc, seed), Trial(folder / "cleaned", orthanc, seed + 1, cleanup)]
    result = Result()
    with trials[0], trials[1], ThreadPoolExecutor(2) as threads:
        runs = [
            threads.submit(_run, trial, names, result) for trial, names in zip(trials, (plain[::2], mine), strict=True)
        ]
        for one in runs:
            one.result()
        result.images = sum(trial.producer.images for trial in trials)
        for trial in trials:
            for name, found in trial.findings.items():
                result.findings.setdefault(name, []).extend(found)
        result.findings |= examine_orthanc(orthanc, trials)
    return result


def _run(trial: Trial, names: list[str], result: Result) -> None:
    trial.node.start()
    for name in names:
        trial.check("every failpoint is reached and survived", _one(trial, name, result))
    trial.examine()


def _one(trial: Trial, name: str, result: Result) -> list[str]:
    """Have a process die at `name` while a drop passes, and see the drop through."""
    trial.node.arm(name)
    trial.producer.drop(IMAGES)
    deadline = time.monotonic() + REACHED_WITHIN
    while trial.node.is_armed(name):
        if time.monotonic() > deadline:
            return [f"{name} was not reached"]
        trial.node.tend()
        time.sleep(0.02)  # looks at what other processes do
    died = time.monotonic()
    if not trial.drain(THROUGH_WITHIN):
        return [f"{name}: not through after {THROUGH_WITHIN:.0f} s: {trial.progress()}"]
    result.seconds[name] = time.monotonic() - died
    return []
