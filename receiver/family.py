"""The processes of a receiver: started together, started again when one dies, ended together.

The parent has one thread and opens neither port nor database; what its children do is in `receiver.process`.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT, HEALTHY = 0.5, 30.0, 60.0  # seconds before a restart; a life that makes it a first one again
GRACE = 9.0
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_PR_SET_PDEATHSIG = 1


class Family:
    """Keeps `count` processes running.

    Parameters
    ----------
    count : int
        How many.
    live : callable
        What the child with this number (from 1) does; it is given a call that returns when it is time to end.
    """

    def __init__(self, count: int, live: Callable[[int, Callable[[], object]], None]) -> None:
        self._live = live
        self._due = dict.fromkeys(range(1, count + 1), 0.0)
        self._waits = dict.fromkeys(self._due, 0.0)
        self._children: dict[int, tuple[int, float]] = {}

    def run(self) -> None:
        """Keep them running until SIGTERM or SIGINT."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        while True:
            alive = {number for number, _ in self._children.values()}
            waiting = [due - time.monotonic() for number, due in self._due.items() if number not in alive]
            heard = signal.sigtimedwait(SIGNALS, max(0.0, min(waiting, default=3600.0)))
            if heard is not None and heard.si_signo != signal.SIGCHLD:
                break
            self._bury(again=True)
            self._bear_who_is_due()
        self._end()

    def _bear_who_is_due(self) -> None:
        alive = {number for number, _ in self._children.values()}
        for number, due in self._due.items():
            if number not in alive and due <= time.monotonic():
                self._bear(number)

    def _bear(self, number: int) -> None:
        parent, pid = os.getpid(), os.fork()
        if pid:
            self._children[pid] = number, time.monotonic()
            return
        status = 1
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == parent:
                self._live(number, lambda: signal.sigwait((signal.SIGTERM, signal.SIGINT)))
                status = 0
        except BaseException as error:  # noqa: BLE001 - a child never goes on with its parent's work
            logger.error("receiver process %d ends: %s", number, _said(error))
        finally:
            logging.shutdown()
            os._exit(status)

    def _bury(self, *, again: bool) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            number, born = self._children.pop(pid)
            if again:
                healthy = time.monotonic() - born >= HEALTHY
                wait = FIRST_WAIT if healthy else min(LONGEST_WAIT, 2 * self._waits[number] or FIRST_WAIT)
                self._waits[number], self._due[number] = wait, time.monotonic() + wait
                how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {os.WEXITSTATUS(status)}"
                logger.error("receiver process %d ended with %s; it is started again in %g s.", number, how, wait)

    def _end(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while self._children and (left := deadline - time.monotonic()) > 0:
            signal.sigtimedwait((signal.SIGCHLD,), left)
            self._bury(again=False)
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _said(error: BaseException) -> str:
    """An error of the system as it says itself, anything else by its class alone."""
    return error.strerror or "OSError" if isinstance(error, OSError) else type(error).__name__
