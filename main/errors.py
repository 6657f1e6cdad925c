"""The vocabulary of failure: what a worker does next follows from the class that was raised.

Every error carries a stable `code` and a `sentence` for the person on call. Neither ever holds a patient's value.
"""

from __future__ import annotations

import errno
import os

from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError


class PipelineError(Exception):
    """Something a stage refuses or cannot do."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


class Transient(PipelineError):
    """Goes away by itself: try again later, with backoff."""


class Permanent(PipelineError):
    """Stays until a person changes something: blocked, visible, not retried."""


class Quarantine(PipelineError):
    """A person must look at this image; its file is kept."""


class Excluded(PipelineError):
    """A rule of the recipe says that this image is not sent; no person needs to look."""


class LostLease(Exception):  # noqa: N818 - not an error of the item: somebody else has it now
    """Another worker holds the item now; what this one did must not be written."""


_OUTAGES = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.ETIMEDOUT}


def goes_away(error: BaseException) -> bool:
    """Whether an error says nothing about the item that was worked on: it waits, and nothing is held against it."""
    if isinstance(error, (Transient, ImproperlyConfigured)):
        return True
    return isinstance(error, OSError) and error.errno in _OUTAGES


def describe(error: BaseException) -> tuple[str, str]:
    """Code and sentence of any exception, without its message: messages of parsers and peers hold values.

    The sentence of an unexpected error names its class and the place in our code where it came out.
    """
    if isinstance(error, PipelineError):
        return error.code, error.sentence
    if isinstance(error, ImproperlyConfigured):
        return "settings", str(error)  # names settings and keys, holds no values
    if isinstance(error, OperationalError):
        return "database", "The database does not answer, or is not up to date."
    if isinstance(error, OSError) and error.errno:
        return f"os-{errno.errorcode.get(error.errno, error.errno)}".lower(), f"{os.strerror(error.errno)}."
    trace = error.__traceback__
    place = "?"
    while trace is not None:
        place = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return "internal-error", f"{type(error).__name__} at {place}. This is a fault of sendit: please report it."
