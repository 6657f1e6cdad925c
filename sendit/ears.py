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
        self.path = folder / EARS / uuid4().hex
        os.mkfifo(self.path, 0o600)
        self.handle = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)  # to write too: so it has no end

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
