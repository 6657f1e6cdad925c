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
        victims: dict[str, Callable[[], list[int]]] = {
            "watcher": lambda: _part(trial, "watcher"),
            "worker": lambda: _part(trial, "worker"),
            "sweeper": lambda: _part(trial, "sweeper"),
            "idle pool": lambda: [child for worker in _part(trial, "worker") for child in children(worker)],
            "supervisor": lambda: [trial.node.parts["node"].pid],
        }
        for name, pids in victims.items():
            trial.check("every process may be killed", _one(trial, name, pids, result))
        trial.node.parts["node"].stop()
        trial.examine()
        result.images = trial.producer.images
        result.findings = {**trial.findings, **examine_orthanc(orthanc, [trial])}
    return result


def _one(trial: Trial, name: str, victims: Callable[[], list[int]], result: Result) -> list[str]:
    """Kill while a drop is on its way in, and see the drop through."""
    wait_for(lambda: all(_part(trial, part) for part in PARTS), "every part of the node running")
    wait_for(lambda: bool(victims()), f"a process to kill as {name}")
    trial.producer.drop(IMAGES)
    died = time.monotonic()
    for pid in victims():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not trial.drain(THROUGH_WITHIN):
        return [f"{name}: not through after {THROUGH_WITHIN:.0f} s: {trial.progress()}"]
    result.seconds[name] = time.monotonic() - died
    return []


def _part(trial: Trial, name: str) -> list[int]:
    """Return the pid of a part, none while it does not run."""
    pid = trial.node.supervised_pid(name)
    return [pid] if pid else []
