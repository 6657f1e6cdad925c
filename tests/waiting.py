"""Waiting for what other processes do: look until it is so, with a deadline that a busy machine does not break."""

from __future__ import annotations

import time
from collections.abc import Callable

# Tests run side by side on two cores: deadlines are for what never happens, not for how fast it does.
PATIENCE = 4


def eventually(condition: Callable[[], object], seconds: float = 10.0, what: str = "what was waited for") -> None:
    """Return as soon as `condition` holds; fail when it does not within `seconds` of an idle machine."""
    deadline = time.monotonic() + seconds * PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds * PATIENCE} s"
        time.sleep(0.01)
