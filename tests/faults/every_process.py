"""Kills every process of `manage.py node` in turn while a drop passes: its own supervisor has to bring all back.

In the end the node is asked to stop, and nothing may be left of it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.faults.every_failpoint import IMAGES, THROUGH_WITHIN, Result
from tests.faults.parts import children
from tests.faults.trial import Trial, examine_orthanc
from tests.peers import Orthanc, wait_for

PARTS = ("watcher", "worker", "sweeper")


def run(folder: Path, orthanc: Orthanc, seed: int) -> Result:
    """Run one node through a kill of each of its processes."""
    result = Result()
    with Trial(folder, orthanc, seed, supervised=True) as trial:
        trial.node.start()
        victims = {name: lambda name=name: trial.node.supervised_pid(name) for name in PARTS}
        victims |= {"pool process": lambda: _pool_process(trial), "supervisor": lambda: trial.node.parts["node"].pid}
        for name, pid_of in victims.items():
            trial.check("every process may be killed", _one(trial, name, pid_of, result))
        trial.node.parts["node"].stop()
        trial.examine()
        result.images = trial.producer.images
        result.findings = {**trial.findings, **examine_orthanc(orthanc, [trial])}
    return result


def _one(trial: Trial, name: str, pid_of: Callable[[], int | None], result: Result) -> list[str]:
    wait_for(lambda: all(trial.node.supervised_pid(part) for part in PARTS), "every part of the node running")
    wait_for(lambda: pid_of() is not None, f"a {name}")
    trial.producer.drop(IMAGES)
    pid = pid_of()
    died = time.monotonic()
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not trial.drain(THROUGH_WITHIN):
        return [f"{name}: not through after {THROUGH_WITHIN:.0f} s: {trial.progress()}"]
    result.seconds[name] = time.monotonic() - died
    return []


def _pool_process(trial: Trial) -> int | None:
    worker = trial.node.supervised_pid("worker")
    return next(iter(children(worker)), None) if worker else None
