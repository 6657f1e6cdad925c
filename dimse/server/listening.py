"""A port: connections are counted before a thread exists for them, and served one association each.

Several processes may listen on one port (SO_REUSEPORT); stopping finishes the messages in hand.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from cryptography.x509 import load_der_x509_certificate

from dimse.server.association import Association
from dimse.server.limits import Limits
from dimse.server.services import Caller, Services
from dimse.tls import close

log = logging.getLogger("dimse.server")

HANDSHAKE_WITHIN = 5.0
PAUSE = 0.1


class Listener:
    """Listens on `host`:`port` and serves callers with `services`.

    Parameters
    ----------
    port
        0 takes a free one; `port` says which.
    tls
        A server context; without one the port speaks plain DICOM.
    shared
        Whether other processes may listen on the same port.
    """

    def __init__(
        self,
        host: str,
        port: int,
        services: Services,
        limits: Limits | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        shared: bool = False,
    ) -> None:
        self.host, self.port = host, port
        self._services, self._limits, self._tls, self._shared = services, limits or Limits(), tls, shared
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._open: dict[int, tuple[str, Association | None]] = {}
        self._number = 0
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Begin to listen; raises OSError when the port is taken."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._socket = socket.create_server(
            (self.host, self.port),
            family=family,
            backlog=128,
            reuse_port=self._shared,
            dualstack_ipv6=family == socket.AF_INET6 and self.host == "::" and socket.has_dualstack_ipv6(),
        )
        self.port = self._socket.getsockname()[1]
        # Associations wait on `stop` beside their caller; it is readable when the other end is closed.
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, args=(self._socket,), name="listener", daemon=True)
        self._thread.start()
        return self

    def stop(self, within: float) -> None:
        """Listen no more; wait up to `within` seconds until the messages in hand are answered."""
        if self._socket is None or self._thread is None:
            return
        listening, self._socket = self._socket, None
        listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        listening.close()
        self._stopped.close()
        with self._ended:
            for _, one in self._open.values():
                if one is not None and not one.established:
                    one.hang_up()
            self._ended.wait_for(lambda: not any(self._associations()), timeout=within)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(self._limits.progress)

    def _listen(self, listening: socket.socket) -> None:
        while self._socket is listening:
            try:
                sock, peer = listening.accept()
            except OSError:
                if self._socket is listening:
                    time.sleep(PAUSE)  # out of file descriptors, say: those who wait in line keep their place
                continue
            address = str(peer[0]).removeprefix("::ffff:")
            try:
                number = self._admitted(address)
            except Exception as error:  # noqa: BLE001  # whatever our user raises, others are served
                log.error("A connection could not be admitted: %s.", type(error).__name__)
                number = None
            if number is None:
                sock.close()
                continue
            thread = threading.Thread(target=self._serve, args=(sock, address, number), name="association", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads
                sock.close()
                self._forget(number)

    def _admitted(self, address: str) -> int | None:
        """Count a connection and return its number; None when it is closed at once."""
        if not self._services.allows(address):
            self._services.refused(address, "address")
            return None
        with self._lock:
            from_there = Counter(other for other, _ in self._open.values())[address]
            if len(self._open) >= self._limits.connections or from_there >= self._limits.connections_per_address:
                full = True
            else:
                full = False
                self._number += 1
                self._open[self._number] = (address, None)
                number = self._number
        if full:
            log.info("Closed a connection from %s: too many at once.", address)
            self._services.refused(address, "connections")
            return None
        return number

    def _serve(self, sock: socket.socket, address: str, number: int) -> None:
        started = time.monotonic()
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            subject = ""
            if self._tls is not None:
                try:
                    sock.settimeout(min(HANDSHAKE_WITHIN, self._limits.request_within))
                    sock = self._tls.wrap_socket(sock, server_side=True)
                    subject = _subject(sock)
                except (OSError, ValueError):
                    self._services.refused(address, "tls")
                    return
            association = Association(sock, Caller(address, "", "", subject), self._services, self._limits, self._stop)
            with self._lock:
                self._open[number] = (address, association)
                if self._socket is None:  # stopped meanwhile
                    return
            association.serve(self._limits.request_within - (time.monotonic() - started))
        except OSError:
            return
        except Exception as error:  # noqa: BLE001  # as above; its text may have a value in it
            log.error("An association ended by an error of ours: %s.", type(error).__name__)
        finally:
            close(sock)
            self._forget(number)

    def _associations(self) -> Iterator[Association]:
        """Yield those that were accepted: nobody waits for a connection that has not asked for one yet."""
        return (one for _, one in self._open.values() if one is not None and one.established)

    def _forget(self, number: int) -> None:
        with self._ended:
            self._open.pop(number, None)
            self._ended.notify_all()


def _subject(sock: ssl.SSLSocket) -> str:
    """Return the subject of the client's certificate as RFC 4514 writes it."""
    certificate = sock.getpeercert(binary_form=True)
    return load_der_x509_certificate(certificate).subject.rfc4514_string() if certificate else ""
