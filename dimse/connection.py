"""One TCP connection that carries PDUs, on which no wait is without an end.

It knows the six bytes in front of every PDU (PS3.8 9.3.1) and time; what is in a PDU is known elsewhere.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import ssl
import struct
import termios
import threading
import time
from typing import Any

from dimse import tls
from dimse.errors import AssociationError
from dimse.peer import Peer

HEADER = struct.Struct(">BxI")
LARGEST_PDU = 1 << 20
GLANCE = 0.25


class Connection:
    """A connected socket to `name`, whose every wait ends `silence` seconds after the last progress.

    Progress is a byte received, a byte taken by the kernel, or a byte acknowledged by the other side.
    """

    def __init__(self, sock: socket.socket, name: str, silence: float) -> None:
        self.name = name
        self.silence = silence
        self._socket = sock
        self._inbox = bytearray()
        sock.settimeout(GLANCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            ("TCP_USER_TIMEOUT", int(silence * 1000)),
            ("TCP_KEEPIDLE", max(1, int(silence / 2))),
            ("TCP_KEEPINTVL", max(1, int(silence / 4))),
            ("TCP_KEEPCNT", 3),
        ):
            if hasattr(socket, option):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def send(self, data: bytes | memoryview, deadline: float | None = None) -> None:
        """Hand all of `data` to the kernel; `deadline` (monotonic) also ends a transfer that only trickles."""
        view = memoryview(data)
        progress, waiting = time.monotonic(), None
        while view:
            try:
                view = view[self._socket.send(view) :]
                progress, waiting = time.monotonic(), None
            except TimeoutError as error:
                left = self._unsent(error)
                if waiting is not None and left < waiting:
                    progress = time.monotonic()
                waiting = left
            except OSError as error:
                raise self.lost(error) from None
            now = time.monotonic()
            if view and now - progress > self.silence:
                raise self.silent()
            if view and deadline is not None and now > deadline:
                raise self.too_slow()

    def send_if_possible(self, data: bytes) -> None:
        """Hand `data` to the kernel if it takes it at once; a last word to somebody who may not listen any more."""
        try:
            self._socket.settimeout(0)
            self._socket.send(data)
        except OSError:
            return

    def receive(self, within: float) -> tuple[int, bytes]:
        """Return type and body of the next PDU, which must be complete `within` seconds after our bytes arrived there.

        Raises
        ------
        AssociationError
            When the peer is silent, too slow, gone, or announces a PDU larger than any that we agreed to.
        """
        progress, waiting = time.monotonic(), None
        while True:
            size = self._complete_size()
            if size is not None:
                kind = self._inbox[0]
                body = bytes(self._inbox[HEADER.size : size])
                del self._inbox[:size]
                return kind, body
            left = progress + within - time.monotonic()
            if left <= 0:
                raise self.too_slow() if self._inbox else self.silent()
            try:
                self._receive_some(min(GLANCE, left))
            except TimeoutError as error:
                unsent = self._unsent(error)
                if waiting is not None and unsent < waiting:
                    progress = time.monotonic()
                waiting = unsent

    def close(self) -> None:
        tls.close(self._socket)

    def silent(self) -> AssociationError:
        return AssociationError("timeout", f"{self.name} went silent and was cut off. Will retry.")

    def too_slow(self) -> AssociationError:
        return AssociationError("timeout", f"{self.name} is too slow and was cut off. Will retry.")

    def lost(self, error: OSError) -> AssociationError:
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            return tls.failure(self.name, error)
        return AssociationError(
            "closed", f"{self.name} closed the connection in the middle of an exchange. Will retry."
        )

    def broken(self, what: str) -> AssociationError:
        """Return the error for an answer that is no DICOM: `what` completes the sentence."""
        return AssociationError("protocol", f"{self.name} does not keep to the protocol: {what}.")

    def _complete_size(self) -> int | None:
        if len(self._inbox) < HEADER.size:
            return None
        kind, length = HEADER.unpack_from(self._inbox)
        if not 1 <= kind <= 7:
            raise self.broken("it answered with something that is not DICOM; is this the DICOM port?")
        if length > LARGEST_PDU:
            raise self.broken(f"it announced a PDU of {length} bytes")
        size = HEADER.size + int(length)
        return size if len(self._inbox) >= size else None

    def _receive_some(self, wait: float) -> None:
        if wait < GLANCE:
            self._socket.settimeout(wait)
        if hasattr(socket, "TCP_QUICKACK"):
            # A peer that writes its answer in two pieces (dcmtk, Orthanc) holds back the second until the first is
            # acknowledged, which the kernel delays by 40 ms unless it is told otherwise before each wait.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        try:
            data = self._socket.recv(65_536)
        except TimeoutError:
            raise
        except OSError as error:
            raise self.lost(error) from None
        finally:
            if wait < GLANCE:
                self._socket.settimeout(GLANCE)
        if not data:
            raise AssociationError("closed", f"{self.name} closed the connection without an answer. Will retry.")
        self._inbox += data

    def _unsent(self, timeout: TimeoutError) -> int:
        """Return how many bytes the other side has not acknowledged yet, after a glance that saw nothing move.

        A socket is writable again only when a third of its buffer is free, so on a slow link a long wait is no
        silence: the peer still acknowledges. The kernel's own timeout (TCP_USER_TIMEOUT, keepalive) is one.
        """
        if timeout.errno is not None:
            raise self.silent() from None
        try:
            return int(struct.unpack("i", fcntl.ioctl(self._socket, termios.TIOCOUTQ, b"\0\0\0\0"))[0])
        except OSError:
            return 0


def connect(peer: Peer) -> Connection:
    """Open a TCP connection to `peer`, trying each of its addresses within its connect timeout.

    Raises
    ------
    AssociationError
        `refused`, `timeout`, `tls` or `unreachable`, always transient.
    """
    deadline = time.monotonic() + peer.connect_timeout
    failure = AssociationError("unreachable", f"The name of {peer} could not be resolved. Will retry; check the host.")
    for family, kind, protocol, _, address in _addresses(peer, deadline):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(0.01, deadline - time.monotonic()))
            sock.connect(address)
            return Connection(_wrapped(sock, peer, deadline), str(peer), peer.silence_timeout)
        except ConnectionRefusedError:
            sentence = f"{peer} refused the connection: nothing listens on that port. Will retry; check that it runs."
            failure = AssociationError("refused", sentence)
        except TimeoutError:
            within = f"{peer.connect_timeout:g} s"
            sentence = f"{peer} did not answer within {within}. Will retry; check the host, the port and the firewall."
            failure = AssociationError("timeout", sentence)
        except (ssl.SSLError, ConnectionResetError) as error:
            failure = tls.failure(str(peer), error)
        except OSError:
            failure = AssociationError("unreachable", f"{peer} cannot be reached. Will retry; check host and network.")
        sock.close()
    raise failure


def _wrapped(sock: socket.socket, peer: Peer, deadline: float) -> socket.socket:
    """Shake hands where the peer is to be spoken to by TLS."""
    if peer.tls is None:
        return sock
    sock.settimeout(max(0.01, deadline - time.monotonic()))
    return peer.tls.wrap_socket(sock, server_hostname=peer.host)


def _addresses(peer: Peer, deadline: float) -> list[tuple[Any, ...]]:
    """Resolve the peer's name in a thread of its own: the system's resolver knows no deadline."""
    try:
        ipaddress.ip_address(peer.host)
    except ValueError:
        found: list[tuple[Any, ...]] = []
        thread = threading.Thread(target=lambda: found.extend(_resolve(peer)), daemon=True)
        thread.start()
        thread.join(max(0.0, deadline - time.monotonic()))
        return list(found)
    return _resolve(peer)


def _resolve(peer: Peer) -> list[tuple[Any, ...]]:
    try:
        return list(socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM))
    except OSError:
        return []
