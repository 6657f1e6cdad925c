"""How far a run is: a bar on a terminal, a line now and then elsewhere. Counts only, never a name."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

_SECONDS = 10.0


class Step(Protocol):
    """Counts one more file."""

    def __call__(self) -> None: ...


@contextmanager
def counting(what: str, total: int) -> Iterator[Step]:
    """Give a function to be called for each of `total` files."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn())
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total)
            yield lambda: bar.advance(task)
        return
    done, said = 0, time.monotonic()

    def step() -> None:
        nonlocal done, said
        done += 1
        if time.monotonic() - said >= _SECONDS:
            said = time.monotonic()
            print(f"{what}: {done:,} of {total:,} files", file=sys.stderr, flush=True)

    yield step
