"""The kinds of faults a storm is made of: what each does to the node or its neighbours, and how it is undone.

A fault is a function of a `Storm`'s trial and its dice. It returns what must be done later, and after how many seconds.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from main.failpoints import NAMES
from tests.faults.trial import Trial
from tests.peers.server import Server

HANG = 3.0


@dataclass(frozen=True)
class Later:
    """What ends a fault, and when; until then the fault lasts."""

    seconds: float
    do: Callable[[], object]


Fault = Callable[[Trial, random.Random], Later | None]


def _kill(part: str) -> Fault:
    def fault(trial: Trial, dice: random.Random) -> None:
        trial.node.parts[part].kill()

    return fault


def _kill_a_worker(trial: Trial, dice: random.Random) -> None:
    """The main process only; what it started is ended when it is started again, as the supervisor does."""
    dice.choice(trial.node.workers).kill()


def _kill_a_pool_process(trial: Trial, dice: random.Random) -> None:
    if (pid := _pool_process(trial, dice)) is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _stop_a_pool_process(trial: Trial, dice: random.Random) -> Later | None:
    """For longer than its lease, so that another one takes its work over; then it goes on."""
    if (pid := _pool_process(trial, dice)) is None:
        return None
    born = _birth(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        if born is not None and _birth(pid) == born:  # else it was killed meanwhile, and its id may be another's
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return Later(float(trial.node.environment["SENDIT_LEASE_SECONDS"]) + dice.uniform(1.0, 4.0), go_on)


def _arm_a_failpoint(trial: Trial, dice: random.Random) -> None:
    trial.node.arm(dice.choice([name for name in NAMES if not name.startswith("cleanup:")]))


def _restart(server: Server) -> Callable[[], object]:
    return lambda: None if server.running else server.start()


def _kill_orthanc(trial: Trial, dice: random.Random) -> Later:
    trial.orthanc.kill()
    return Later(dice.uniform(0.2, 2.0), _restart(trial.orthanc))


def _hang_orthanc(trial: Trial, dice: random.Random) -> Later | None:
    return _hang(trial.orthanc)


def _remove_the_broker(trial: Trial, dice: random.Random) -> None:
    shutil.rmtree(trial.node.data / "broker", ignore_errors=True)


def _empty_redis(trial: Trial, dice: random.Random) -> None:
    redis = trial.node.redis
    if redis is not None and redis.running:
        with suppress(OSError):  # it hangs just now
            redis.flush()


def _kill_redis(trial: Trial, dice: random.Random) -> Later:
    assert trial.node.redis is not None
    trial.node.redis.kill()
    return Later(dice.uniform(0.2, 2.0), _restart(trial.node.redis))


def _hang_redis(trial: Trial, dice: random.Random) -> Later | None:
    assert trial.node.redis is not None
    return _hang(trial.node.redis)


def _cut_the_database(trial: Trial, dice: random.Random) -> None:
    assert trial.node.postgres is not None
    trial.node.postgres.cut_connections()


EVERYWHERE: dict[str, tuple[int, Fault]] = {
    "watcher killed": (2, _kill("watcher")),
    "sweeper killed": (2, _kill("sweeper")),
    "worker killed": (3, _kill_a_worker),
    "pool process killed": (4, _kill_a_pool_process),
    "pool process stopped beyond its lease": (3, _stop_a_pool_process),
    "process ended at a failpoint": (4, _arm_a_failpoint),
    "Orthanc killed": (2, _kill_orthanc),
    "Orthanc hung": (1, _hang_orthanc),
}
EMBEDDED = EVERYWHERE | {"broker's folder removed": (3, _remove_the_broker)}
PRODUCTION = EVERYWHERE | {
    "Redis emptied": (2, _empty_redis),
    "Redis killed": (2, _kill_redis),
    "Redis hung": (1, _hang_redis),
    "PostgreSQL's connections cut": (2, _cut_the_database),
}


def _hang(server: Server) -> Later | None:
    if not server.running:
        return None
    server.hang()
    return Later(HANG, lambda: server.resume() if server.running else None)


def _pool_process(trial: Trial, dice: random.Random) -> int | None:
    pool = [pid for part in trial.node.workers for pid in part.children()]
    return dice.choice(pool) if pool else None


def _birth(pid: int) -> str | None:
    """Return what tells this process from a later one with the same id: when it was started."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None
