"""What arrives on one connection, read through one buffer: PDUs, and the presentation data values in them.

Nothing is kept that is passed on, so memory does not grow with what a caller sends; no wait is without an end.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Iterator

from dimse.connection import HEADER
from dimse.errors import AssociationError
from dimse.messages import A_ABORT, A_RELEASE_RQ, P_DATA_TF
from dimse.server.limits import Limits

BUFFER = 1 << 18
LARGEST_REQUEST = 1 << 18
LARGEST_PDU = 1 << 24
PDV = 6
NEAR = 0.9
QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class Stream:
    """Reads from and writes to `sock`; `name` is how the other side is called in errors; `stop` is readable to stop."""

    def __init__(self, sock: socket.socket, name: str, limits: Limits, stop: socket.socket) -> None:
        self.name = name
        self._socket, self._limits, self._stop = sock, limits, stop
        self._poll = select.poll()
        for one in (sock, stop):
            self._poll.register(one, select.POLLIN)
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._left_in_pdu = 0
        self._left_in_pdv = 0
        self._timeout = 0.0
        # How long the message in hand may still keep us waiting: waiting uses it up, bytes that arrive give it back.
        self._patience = limits.progress

    def request(self, within: float) -> tuple[int, bytes]:
        """Return kind and body of the first PDU, which must be complete in `within` seconds.

        Raises
        ------
        AssociationError
            Also when the PDU is larger than any association request.
        """
        until = time.monotonic() + within
        kind, length = HEADER.unpack(self._exactly(HEADER.size, until))
        if length > LARGEST_REQUEST - HEADER.size:
            raise self.broken(f"an association request of {length} bytes")
        return kind, self._exactly(length, until)

    def message_begins(self) -> bool:
        """Wait for a message; False when the listener stops, whether one waits or not.

        Raises
        ------
        AssociationError
            `timeout`, when nothing comes within the idle time.
        """
        waiting = self._start != self._end or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending())
        found = dict(self._poll.poll(0 if waiting else 1000 * self._limits.idle))
        if self._stop.fileno() in found:
            return False
        if not waiting and not found:
            raise self._silent()
        self._patience = self._limits.progress
        return True

    def next_pdv(self) -> tuple[int, int] | None:
        """Go to the next presentation data value and return its context id and message control header.

        None: the caller asks to release.

        Raises
        ------
        AssociationError
            `aborted`, `timeout`, `closed`, or `protocol`.
        """
        if not self._left_in_pdu:
            kind, length = HEADER.unpack(self._exactly(HEADER.size, time.monotonic() + self._patience))
            if kind == A_RELEASE_RQ:
                return None
            if kind == A_ABORT:
                raise AssociationError("aborted", f"{self.name} aborted the association.")
            if kind != P_DATA_TF or length > LARGEST_PDU:
                raise self.broken(f"a PDU of type {kind} and {length} bytes in the middle of an association")
            self._left_in_pdu = length
        if self._left_in_pdu < PDV:
            raise self.broken("a P-DATA PDU that does not end with its last value")
        head = self._exactly(PDV, time.monotonic() + self._patience)
        length = int.from_bytes(head[:4], "big")
        if length < 2 or length + 4 > self._left_in_pdu:
            raise self.broken("a presentation data value with a wrong length")
        self._left_in_pdv = length - 2
        self._left_in_pdu -= PDV
        return head[4], head[5]

    def content(self) -> Iterator[memoryview]:
        """Yield the bytes of the current value in pieces; each is valid until the next is asked for."""
        while self._left_in_pdv:
            if self._start == self._end:
                self._fill(1, time.monotonic() + self._patience)
            size = min(self._left_in_pdv, self._end - self._start)
            piece = self._view[self._start : self._start + size]
            self._start += size
            self._left_in_pdv -= size
            self._left_in_pdu -= size
            yield piece

    def send(self, data: bytes, within: float) -> None:
        """Hand all of `data` to the kernel within so many seconds.

        Raises
        ------
        AssociationError
            When the other side is gone, or takes nothing.
        """
        view = memoryview(data)
        until = time.monotonic() + within
        try:
            while view:
                self._wait_until(until)
                try:
                    view = view[self._socket.send(view) :]
                except TimeoutError:
                    continue
        except OSError:
            raise AssociationError("closed", f"{self.name} closed the connection.") from None

    def broken(self, what: str) -> AssociationError:
        """Return the error for what is no DICOM: `what` completes the sentence."""
        return AssociationError("protocol", f"{self.name} does not keep to the protocol: {what}.")

    def _silent(self) -> AssociationError:
        return AssociationError("timeout", f"{self.name} was silent or too slow and was cut off.")

    def _exactly(self, size: int, until: float) -> bytes:
        self._fill(size, until)
        data = bytes(self._view[self._start : self._start + size])
        self._start += size
        return data

    def _fill(self, size: int, until: float) -> None:
        """Have at least `size` bytes in the buffer."""
        if self._end - self._start >= size:
            return
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start + size > BUFFER:
            rest = self._end - self._start
            self._view[:rest] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, rest
        began, before = time.monotonic(), self._end
        while self._end - self._start < size:
            self._wait_until(until)
            try:
                if QUICKACK is not None:
                    # A caller that writes in two pieces with Nagle's delay on waits for our acknowledgement, which
                    # the kernel would hold back for 40 ms.
                    self._socket.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)
                count = self._socket.recv_into(self._view[self._end :])
            except TimeoutError:
                continue
            except OSError:
                raise AssociationError("closed", f"{self.name} closed the connection.") from None
            if not count:
                raise AssociationError("closed", f"{self.name} closed the connection.")
            self._end += count
        spent, earned = time.monotonic() - began, (self._end - before) / self._limits.slowest_rate
        self._patience = min(self._limits.progress, self._patience - spent + earned)

    def _wait_until(self, until: float) -> None:
        """Have the socket give up at about `until`; setting that is a system call, so one that is near enough stays."""
        left = until - time.monotonic()
        if left <= 0:
            raise self._silent()
        if not NEAR * self._timeout <= left <= self._timeout:
            self._timeout = left / NEAR
            self._socket.settimeout(self._timeout)
