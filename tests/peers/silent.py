"""Listeners that speak no DICOM: one that says nothing, one that hangs up, one that talks nonsense."""

from __future__ import annotations

import socket
import threading
from typing import Any, Literal, Self

Manner = Literal["silent", "hangs up", "talks nonsense", "drips"]

DRIP_EVERY = 0.2


class Listener:
    """Accepts TCP connections on 127.0.0.1 and then behaves by its `manner`.

    `drips` answers with an A-ASSOCIATE-AC header and then one byte now and then: it is never silent, and never done.
    """

    def __init__(self, manner: Manner = "silent") -> None:
        self.host = "127.0.0.1"
        self.ae_title = "LISTENER"
        self.manner = manner
        self._ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.dicom_port: int = self._socket.getsockname()[1]
        self._connections: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._ended.set()
        self._socket.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._behave, args=(connection,), daemon=True).start()

    def _behave(self, connection: socket.socket) -> None:
        try:
            match self.manner:
                case "hangs up":
                    connection.close()
                case "talks nonsense":
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)
                case "drips":
                    connection.sendall(b"\x02\x00\x00\x00\x01\x00")
                    while not self._ended.wait(DRIP_EVERY):
                        connection.sendall(b"\x00")
        except OSError:
            return
