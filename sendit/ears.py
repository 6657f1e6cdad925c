"""Named pipes in the broker's folder, `ears/`: one for each worker that listens, so that an idle worker looks at once.

A byte in a pipe says that something was published, never what; losing one costs a worker a moment. What is published, and
where, is the business of `sendit/transport.py`.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

EARS = "ears"


class Ear:
    """A named pipe that is written to whenever somebody publishes."""

    def __init__(self, folder: Path) -> None:
        name = uuid4().hex
        self.path, hidden = folder / EARS / name, folder / EARS / f".{name}"
        os.mkfifo(hidden, 0o600)  # seen by `wake` only when it is open: one that nobody has open is taken away
        self.handle = os.open(hidden, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)  # to write too: so it has no end
        os.rename(hidden, self.path)

    def drain(self) -> None:
        """Forget what was heard so far."""
        with suppress(BlockingIOError):
            os.read(self.handle, 65536)

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self.path.unlink()
        os.close(self.handle)


def wake(folder: Path) -> None:
    """Let every worker that listens look now. Those who do not hear it look by themselves soon, so nothing is raised."""
    with suppress(OSError):
        for name in os.listdir(folder / EARS):
            if name.startswith("."):
                continue
            with suppress(OSError):  # full: it has heard enough
                try:
                    handle = os.open(folder / EARS / name, os.O_WRONLY | os.O_NONBLOCK)
                except OSError as error:
                    if error.errno == errno.ENXIO:  # nobody listens any more
                        (folder / EARS / name).unlink()
                    continue
                try:
                    os.write(handle, b"!")
                finally:
                    os.close(handle)
