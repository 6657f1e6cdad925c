"""A real HTTP server that stands in for a service of identifiers and fails when told to: what is common to all of them."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# How any HTTP service fails.
FAULTS = (
    "400",
    "408",
    "429",
    "500",
    "500-once",
    "hang",
    "drip-header",
    "drip-body",
    "hang-up",
    "redirect",
    "html",
    "nested",
    "huge",
)


class Standin:
    """Answers on a port of 127.0.0.1; `fault` is how it fails from now on, `failures` how often it did."""

    handler: type[Handler]

    def __init__(self) -> None:
        self.fault = ""
        self.failures = 0
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.listener = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (self.handler,), {"service": self}))
        self.listener.daemon_threads = True
        self._thread = threading.Thread(target=self.listener.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.listener.server_address[1]

    def start(self) -> Any:
        """Answer from now on."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Be down: the port refuses connections from now on."""
        if not self.ended.is_set():
            self.ended.set()
            self.listener.shutdown()
            self.listener.server_close()
            self._thread.join()


class Handler(BaseHTTPRequestHandler):
    """Fails as its service is told; what it answers otherwise is said by those who derive from it."""

    service: Any
    media_type = "application/json"

    def log_message(self, *args: object) -> None:
        """Stay quiet: what is asked is not for a log."""

    def fails(self) -> bool:
        """Fail as told; True when the request has had its end."""
        fault = self.service.fault
        if fault.endswith("-once"):
            self.service.fault = ""
        if fault in {"400", "401", "401-once", "401-always", "403", "404", "408", "429", "500", "500-once"}:
            # Services like to repeat what was wrong: this one repeats everything it was sent.
            self.send(int(fault[:3]), {"error": "refused", "headers": dict(self.headers)})
        elif fault == "hang":
            self.service.ended.wait(60)
        elif fault == "drip-header":
            self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x")
        elif fault == "drip-body":
            self._drip(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n", b" ")
        elif fault == "hang-up":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault == "redirect":
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.service.port}/elsewhere")
            self.end_headers()
        elif fault == "html":
            self.send(200, b"<html>Please log in to the network</html>")
        elif fault == "nested":
            self.send(200, b"[" * 100_000)
        elif fault == "huge":
            self.send(200, b'{"results": "' + b"x" * 9_000_000 + b'"}')
        else:
            return False
        self.service.failures += 1
        return True

    def _drip(self, start: bytes, drop: bytes) -> None:
        try:
            self.wfile.write(start)
            while not self.service.ended.wait(0.05):
                self.wfile.write(drop)
        except OSError:
            return

    def send(self, status: int, answer: object) -> None:
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", self.media_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            return
