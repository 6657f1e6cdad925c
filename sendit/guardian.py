"""A process that ends what a supervisor has started, should the supervisor itself be killed.

It knows process groups and one pipe, nothing else. It keeps the supervisor's lock until it has finished, so that the
next supervisor never meets leftovers of the last one.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress


class Guardian:
    """The supervisor's side: name each process group when it is started and take it back when it has ended.

    The two are joined by a pipe of which only the supervisor holds the writing end; its closing, by whatever end of the
    supervisor, is the guardian's cue. Use it from a process with a single thread: the guardian is a fork.
    """

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._start()

    def watch(self, group: int) -> None:
        """End `group` should this process end."""
        self._groups.add(group)
        self._tell("+", group)

    def release(self, group: int) -> None:
        """Forget `group`; its id may belong to somebody else from now on."""
        self._groups.discard(group)
        self._tell("-", group)

    def renew(self) -> None:
        """Start another guardian if somebody has ended this one."""
        if os.waitpid(self._pid, os.WNOHANG)[0]:
            os.close(self._leash)
            self._start()
            for group in self._groups:
                self._tell("+", group)

    def dismiss(self) -> None:
        """Let the guardian do its work and end."""
        os.close(self._leash)
        os.waitpid(self._pid, 0)

    def _start(self) -> None:
        theirs, self._leash = os.pipe2(os.O_CLOEXEC)
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(self._leash)
                _guard(theirs)
            finally:
                os._exit(0)
        os.close(theirs)

    def _tell(self, sign: str, group: int) -> None:
        with suppress(BrokenPipeError):  # it was ended a moment ago, and will be renewed
            os.write(self._leash, f"{sign}{group}\n".encode())


def _guard(leash: int) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    groups: set[int] = set()
    with open(leash) as lines:
        for line in lines:
            (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
