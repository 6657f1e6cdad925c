"""Rings the workers' bells after a commit, from a side thread, best effort: a dead or hung broker delays nobody.

A bell carries nothing; what is due stands in the database, and the sweeper rings again.
"""

from __future__ import annotations

import logging
import os
import threading
import time

from django.db import transaction

from main.errors import Transient, describe

log = logging.getLogger(__name__)

STAGES = ("register", "identify", "deidentify", "deliver", "commitment", "cleanup")

BROKER_AWAY = "The broker does not answer, or refuses: is it running, and is CELERY_BROKER_URL right?"

_LIFETIME_SECONDS = 60
_wanted: set[str] = set()
_change = threading.Condition()
_thread: threading.Thread | None = None
_busy = False


def ring(stage: str) -> None:
    """Ring the bell of `stage` once the current transaction (if any) is committed."""
    transaction.on_commit(lambda: _want(stage))


def ring_now(stage: str) -> None:
    """Publish the bell of `stage` here and now; for the sweeper, which has nothing to delay.

    Raises
    ------
    Transient
        The broker did not take it.
    """
    from kombu.exceptions import OperationalError

    from main.tasks import BELLS

    try:
        BELLS[stage].apply_async(expires=_LIFETIME_SECONDS, ignore_result=True, retry=False)
    except OperationalError as error:
        raise Transient("broker", BROKER_AWAY) from error


def flush(seconds: float) -> None:
    """Wait until the bells that were asked for are published, `seconds` at most; for commands that are about to end."""
    deadline = time.monotonic() + seconds
    with _change:
        while (_wanted or _busy) and (left := deadline - time.monotonic()) > 0:
            _change.wait(left)


def _want(stage: str) -> None:
    global _thread
    with _change:
        _wanted.add(stage)
        _change.notify_all()
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_publish, name="bells", daemon=True)
            _thread.start()


def _publish() -> None:
    global _busy
    while True:
        with _change:
            _busy = False
            _change.notify_all()
            while not _wanted:
                _change.wait()
            stages = sorted(_wanted, key=STAGES.index)
            _wanted.clear()
            _busy = True
        for stage in stages:
            try:
                ring_now(stage)
            except Exception as error:  # noqa: BLE001 - whatever the broker does, ingest goes on; the sweeper rings again
                log.warning("The bell of %s could not be rung (%s).", stage, describe(error)[0])


def _forget_after_fork() -> None:
    global _thread, _change, _busy
    _thread, _change, _busy = None, threading.Condition(), False
    _wanted.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
