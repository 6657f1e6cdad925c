"""One receiver process: its ports, the thread that keeps its drops moving, the thread that tells how it is.

Files never wait for the database here: what cannot be told is told later.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence

from dimse.server import Listener
from receiver.services import Receiver

logger = logging.getLogger(__name__)

FILES_EVERY, TELL_EVERY = 0.5, 2.0
FINISH_WITHIN = 8.0


class Process:
    """Serves until it is told to stop.

    Parameters
    ----------
    receiver : Receiver
        What it offers.
    listeners : sequence of Listener
        Its ports, not yet open.
    tell : callable
        Says how it is; called from one thread only.
    """

    def __init__(self, receiver: Receiver, listeners: Sequence[Listener], tell: Callable[[], None]) -> None:
        self._receiver, self._listeners, self._tell = receiver, listeners, tell
        self._stop = threading.Event()
        self._failing: dict[str, str] = {}

    def run(self, until: Callable[[], object]) -> None:
        """Serve until `until` returns; then finish what is in hand, for at most `FINISH_WITHIN` seconds.

        Raises
        ------
        OSError
            When a port cannot be used.
        """
        drops, terms = self._receiver.offer.drops, self._receiver.offer.terms
        threads = [
            self._every(FILES_EVERY, "files", drops.hand_over_idle, terms.has_room),
            self._every(TELL_EVERY, "telling", self._tell),
        ]
        try:
            for listener in self._listeners:
                listener.start()
                logger.info("process %d listens on %s:%d", os.getpid(), listener.host, listener.port)
            until()
        finally:
            self._end(threads)

    def _end(self, threads: Sequence[threading.Thread]) -> None:
        stopping = [threading.Thread(target=one.stop, args=(FINISH_WITHIN,)) for one in self._listeners]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        self._receiver.offer.drops.close()
        self._stop.set()
        for thread in threads:
            thread.join(TELL_EVERY)

    def _every(self, seconds: float, name: str, *calls: Callable[[], object]) -> threading.Thread:
        def work() -> None:
            while not self._stop.wait(seconds):
                for call in calls:
                    self._try(name, call)

        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread

    def _try(self, name: str, call: Callable[[], object]) -> None:
        """Call; what fails is said once, and again when it fails in another way."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 - these threads live as long as the process
            if self._failing.get(name) != type(error).__name__:
                logger.error("receiver, %s: %s; it is tried again.", name, type(error).__name__)
            self._failing[name] = type(error).__name__
            return
        if self._failing.pop(name, None):
            logger.warning("receiver, %s: in order again.", name)
