"""SIGINT and SIGTERM end a run between two files, not in the middle of what belongs together."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self


class Stop:
    """While entered, either signal raises KeyboardInterrupt in the main thread: at once, or when a `put_off` ends."""

    def __init__(self) -> None:
        self._asked = self._waits = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._heard) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """Let what is inside end first: an output is in its place, in the ledger and in the mapping, or in none."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
        if self._asked:
            raise KeyboardInterrupt

    def _heard(self, *_: object) -> None:
        self._asked = True
        if not self._waits:
            raise KeyboardInterrupt
