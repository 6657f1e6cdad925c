"""A way to a port of a real peer that can be broken: what the peer answers is late, cut off, or never comes."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any, Literal, Self

Manner = Literal["passes", "refuses", "hangs", "drips", "cuts"]

DRIP_EVERY = 0.2
CUT_AFTER = 60_000  # more than a list, less than two files


class Relay:
    """Passes connections to 127.0.0.1:`port` on, by its `manner`, which may change at any time.

    `hangs` keeps every answer back, `drips` passes a byte now and then, `cuts` closes in the middle of an answer. `passed`
    counts the bytes of all answers.
    """

    def __init__(self, port: int, manner: Manner = "passes") -> None:
        self.manner = manner
        self.passed = 0
        self._to = port
        self._ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._ended.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with suppress(OSError):
                near, _ = self._socket.accept()
                if self.manner == "refuses":
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to))
                threading.Thread(target=self._pass, args=(near, far), daemon=True).start()
                threading.Thread(target=self._pass_back, args=(far, near), daemon=True).start()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, suppress(OSError):
            while data := near.recv(1 << 16):
                far.sendall(data)

    def _pass_back(self, far: socket.socket, near: socket.socket) -> None:
        passed = 0
        with near, far, suppress(OSError):
            while data := far.recv(1 if self.manner == "drips" else 1 << 16):
                if self.manner == "cuts" and passed + len(data) > CUT_AFTER:
                    near.shutdown(socket.SHUT_RDWR)
                    return
                while self.manner in ("hangs", "drips") and not self._ended.wait(DRIP_EVERY):
                    if self.manner == "drips":
                        break
                near.sendall(data)
                passed += len(data)
                self.passed += len(data)
