"""Asks the kernel whether a program of this machine still has a file open for writing: a copy that stalls, a file server.

A read lease (fcntl(2), F_SETLEASE) is granted only while nobody writes; it is given back at once. Answers nothing about
writers on other machines, so it must not be asked on a network filesystem, some of which refuse every lease.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal

from main.names import is_system


def has_writer(path: str) -> bool:
    """Say whether something at or below a path is open for writing; what cannot be asked counts as not open."""
    pending = [path]
    while pending:
        place = pending.pop()
        try:
            if _is_open(place):
                return True
        except IsADirectoryError:
            try:
                with os.scandir(place) as listing:
                    pending += [item.path for item in listing if not item.is_symlink() and not is_system(item.name)]
            except OSError:
                continue
        except OSError:
            continue
    return False


def _is_open(path: str) -> bool:
    # O_NONBLOCK: a pipe must not make us wait for its other end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # Whoever opens the file in this very moment waits for us to let go, and we are sent a signal: SIGIO, which would
        # end the process, unless one is chosen that is ignored.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        if error.errno == errno.EINVAL and os.path.isdir(path):
            raise IsADirectoryError from None
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return False
