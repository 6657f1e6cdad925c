"""Worker processes that a file may kill: one that dies or hangs costs its file and its process, never the run.

It knows nothing of DICOM: jobs go in, and what `Job.do` gave or why it did not come out.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import resource
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from types import TracebackType

import psutil

from deidentify.cli.jobs import Failure, Job, Made, Seen
from deidentify.engine import Deidentifier
from deidentify.errors import Refused
from deidentify.recipe import Recipe

Outcome = Seen | Made | Failure | None

# Enough that a worker never waits for the next job, few enough that little is done again after one died.
_AHEAD = 16
_READY = "ready"
_OUT_OF_MEMORY = 77
_TO_START = 60.0
_SPAWN = multiprocessing.get_context("spawn")


class Worker:
    """One process and the jobs that it was given, in order."""

    def __init__(self, recipe: Recipe, key: bytes, memory: int) -> None:
        self.connection, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_work, args=(theirs, recipe, key, memory), daemon=True)
        ours = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: Ctrl-C is the parent's to handle
        try:
            self.process.start()
        finally:
            signal.signal(signal.SIGINT, ours)
        theirs.close()
        self.jobs: deque[Job] = deque()
        self.since = time.monotonic() + _TO_START

    def give(self, job: Job) -> None:
        """Add a job; one that died meanwhile takes nothing, which shows when its answer is read."""
        if not self.jobs:
            self.since = max(self.since, time.monotonic())
        self.jobs.append(job)
        with suppress(OSError):
            self.connection.send(job)

    def end(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.join()
        self.connection.close()


class Pool:
    """Processes that work on jobs under one recipe and key.

    Parameters
    ----------
    recipe, key
        Of the `Deidentifier` that each worker makes.
    workers : int
        How many processes.
    memory : int
        MiB that a process may need for a file, beyond what it has before, until the file is given up.
    seconds : float
        How long one file may take.
    """

    def __init__(self, recipe: Recipe, key: bytes, *, workers: int, memory: int, seconds: float) -> None:
        self._recipe, self._key = recipe, key
        self._memory, self._seconds = memory, seconds
        self._workers = [Worker(recipe, key, memory) for _ in range(workers)]

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.end()

    def run(self, groups: Iterator[list[Job]]) -> Iterator[tuple[int, Outcome]]:
        """Yield number and outcome of each job, as they come; the jobs of a group are done in order.

        Raises
        ------
        OSError
            A worker met a disk that is full or fails.
        """
        more = True
        while True:
            while more and (free := min(self._workers, key=lambda one: len(one.jobs))) and len(free.jobs) < _AHEAD:
                group = next(groups, None)
                more = group is not None
                for job in group or ():
                    free.give(job)
            busy = {one.connection: one for one in self._workers if one.jobs}
            if not busy:
                return
            for connection in wait(list(busy), timeout=1.0):
                yield from self._answers(busy[connection])  # type: ignore[index]  # they are what was passed in
            for one in list(busy.values()):
                if one.jobs and time.monotonic() - one.since > self._seconds:
                    one.process.kill()

    def _answers(self, worker: Worker) -> Iterator[tuple[int, Outcome]]:
        """Yield what a worker has finished; when it died, its first job is given up and a new one goes on."""
        try:
            while worker.jobs and worker.connection.poll():
                outcome = worker.connection.recv()
                if isinstance(outcome, OSError):
                    raise outcome
                worker.since = time.monotonic()
                if outcome == _READY:
                    continue
                yield worker.jobs.popleft().number, outcome
        except (EOFError, ConnectionResetError):
            yield worker.jobs.popleft().number, Failure("killed-worker", self._why(worker))
            following = Worker(self._recipe, self._key, self._memory)
            for job in worker.jobs:
                following.give(job)
            worker.end()
            self._workers[self._workers.index(worker)] = following

    def _why(self, worker: Worker) -> str:
        worker.process.join(timeout=10)
        if worker.process.exitcode == _OUT_OF_MEMORY:
            return f"The work on this file needs more than {self._memory} MiB of memory."
        if time.monotonic() - worker.since > self._seconds:
            return f"The work on this file took more than {self._seconds:g} seconds."
        return "The work on this file ended its process."


def _work(connection: Connection, recipe: Recipe, key: bytes, memory: int) -> None:
    """Do jobs until there are no more; the main function of a worker."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(connection, jobs), daemon=True).start()
    engine = Deidentifier(recipe, key)
    most = psutil.Process().memory_info().data + (memory << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    connection.send(_READY)
    while (job := jobs.get()) is not None:
        try:
            answer: Outcome | OSError = job.do(engine)
        except Refused as refused:
            answer = Failure(refused.code, refused.sentence)
        except OSError as error:
            answer = error
        except MemoryError:
            os._exit(_OUT_OF_MEMORY)
        except Exception as error:  # noqa: BLE001 - one file that breaks the engine must not stop the others
            answer = Failure("internal-error", f"{type(error).__name__} at {_place(error)}. Please report this fault.")
        try:
            connection.send(answer)
        except BrokenPipeError:  # the run has ended
            return


def _read(connection: Connection, jobs: queue.SimpleQueue[Job | None]) -> None:
    """Take jobs out of the pipe at once, so that neither side ever waits for the other to read."""
    with suppress(EOFError, OSError):
        while True:
            jobs.put(connection.recv())
    jobs.put(None)


def _place(error: BaseException) -> str:
    """Name where in the code an exception came out; its message may hold a value."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        place = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
