"""What arrives on one connection, read through one buffer: PDUs, and the presentation data values in them.

Nothing is kept that is passed on, so memory does not grow with what a caller sends; no wait is without an end.
"""

from __future__ import annotations

import socket
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
QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class Stream:
    """Reads from `sock`; `name` is how the other side is called in errors."""

    def __init__(self, sock: socket.socket, name: str, limits: Limits) -> None:
        self.name = name
        self._socket, self._limits = sock, limits
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._left_in_pdu = 0
        self._left_in_pdv = 0
        self._pdu_until = 0.0

    def request(self, within: float) -> tuple[int, bytes]:
        """Return kind and body of the first PDU, which must be complete in `within` seconds.

        Raises
        ------
        AssociationError
            Also when the PDU is larger than any association request.
        """
        until = time.monotonic() + within
        kind, length = HEADER.unpack(self._exactly(HEADER.size, until))
        if length > LARGEST_REQUEST:
            raise self.broken(f"an association request of {length} bytes")
        return kind, self._exactly(length, until)

    def next_pdv(self, within: float) -> tuple[int, int] | None:
        """Go to the next presentation data value and return its context id and message control header.

        `within` is how long the other side may be silent before it begins. None: it asks to release.

        Raises
        ------
        AssociationError
            `aborted`, `timeout`, `closed`, or `protocol`.
        """
        while not self._left_in_pdu:
            self._fill(1, time.monotonic() + within)
            self._pdu_until = time.monotonic() + self._limits.pdu_within
            kind, length = HEADER.unpack(self._exactly(HEADER.size, self._pdu_until))
            if kind == A_RELEASE_RQ:
                return None
            if kind == A_ABORT:
                raise AssociationError("aborted", f"{self.name} aborted the association.")
            if kind != P_DATA_TF or length > LARGEST_PDU:
                raise self.broken(f"a PDU of type {kind} and {length} bytes in the middle of an association")
            self._left_in_pdu = length
        if self._left_in_pdu < PDV:
            raise self.broken("a P-DATA PDU that does not end with its last value")
        head = self._exactly(PDV, self._pdu_until)
        length = int.from_bytes(head[:4], "big")
        if length < 2 or length + 4 > self._left_in_pdu:
            raise self.broken("a presentation data value with a wrong length")
        self._left_in_pdv = length - 2
        self._left_in_pdu -= PDV
        return head[4], head[5]

    def content(self) -> Iterator[memoryview]:
        """Yield the bytes of the current value in pieces; each is valid until the next is asked for."""
        progress = self._limits.progress
        while self._left_in_pdv:
            if self._start == self._end:
                self._fill(1, min(self._pdu_until, time.monotonic() + progress))
            size = min(self._left_in_pdv, self._end - self._start)
            piece = self._view[self._start : self._start + size]
            self._start += size
            self._left_in_pdv -= size
            self._left_in_pdu -= size
            yield piece

    def broken(self, what: str) -> AssociationError:
        """Return the error for what is no DICOM: `what` completes the sentence."""
        return AssociationError("protocol", f"{self.name} does not keep to the protocol: {what}.")

    def _exactly(self, size: int, until: float) -> bytes:
        if size <= BUFFER:
            self._fill(size, until)
            data = bytes(self._view[self._start : self._start + size])
            self._start += size
            return data
        raise self.broken(f"{size} bytes where they do not belong")

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
        while self._end - self._start < size:
            left = until - time.monotonic()
            if left <= 0:
                raise AssociationError("timeout", f"{self.name} was silent or too slow and was cut off.")
            try:
                self._socket.settimeout(left)
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
