"""The way of a data set from its file into the connection, as P-DATA-TF PDUs, without ever holding all of it.

The PDU headers stand ready in a buffer and the file is read straight into the gaps between them, so that a batch of
PDUs costs one system call to read and one to write.
"""

from __future__ import annotations

import os
import time

from dimse.connection import Connection
from dimse.messages import COMMAND, LAST, P_DATA_TF, PDV_HEADER, Command, encode_command, largest_fragment, pdus
from dimse.peer import Peer

BATCH = 1 << 20
ROOM_FOR_COMMAND = 1024


class DatasetChanged(Exception):
    """A file became shorter, or unreadable, while it was sent."""


class DatasetSender:
    """Sends C-STORE requests over `connection`, whose other side receives PDUs of up to `max_pdu` bytes."""

    def __init__(self, connection: Connection, max_pdu: int, peer: Peer) -> None:
        self._connection = connection
        self._peer = peer
        self._max_pdu = max_pdu
        self._chunk = largest_fragment(max_pdu)
        self._stride = PDV_HEADER.size + self._chunk
        count = max(1, min(BATCH // self._stride, 1000))
        self._buffer = memoryview(bytearray(ROOM_FOR_COMMAND + count * self._stride))
        starts = range(ROOM_FOR_COMMAND, len(self._buffer), self._stride)
        self._gaps = [self._buffer[start + PDV_HEADER.size : start + self._stride] for start in starts]
        self._context_id = 0

    def send(self, context_id: int, command: Command, file: int, offset: int, size: int) -> None:
        """Send the command set and then `size` bytes of `file` from `offset` on.

        Raises
        ------
        DatasetChanged
            When the file ends before that; the message cannot be completed any more.
        AssociationError
            When the peer stops taking them.
        """
        deadline = time.monotonic() + self._peer.silence_timeout + size / self._peer.slowest_rate
        begin = self._write_command(context_id, command)
        self._write_headers(context_id)
        end = offset + size
        while offset < end:
            read = self._read(file, offset, end - offset)
            offset += read
            filled = ROOM_FOR_COMMAND + self._framed(read)
            if offset == end:
                self._write_last_header(read)
            self._connection.send(self._buffer[begin:filled], deadline)
            begin = ROOM_FOR_COMMAND

    def _write_command(self, context_id: int, command: Command) -> int:
        """Write the command's PDUs so that they end where the data begins; return where they begin."""
        encoded = b"".join(pdus(context_id, encode_command(command), COMMAND, self._max_pdu))
        begin = ROOM_FOR_COMMAND - len(encoded)
        self._buffer[begin:ROOM_FOR_COMMAND] = encoded
        return begin

    def _write_headers(self, context_id: int) -> None:
        """Write the header of a full PDU before every gap, unless they stand there since the last data set."""
        if self._context_id != context_id:
            for number in range(len(self._gaps)):
                self._write_header(number, context_id, self._chunk, 0)
            self._context_id = context_id

    def _write_header(self, number: int, context_id: int, length: int, flags: int) -> None:
        at = ROOM_FOR_COMMAND + number * self._stride
        PDV_HEADER.pack_into(self._buffer, at, P_DATA_TF, length + 6, length + 2, context_id, flags)

    def _write_last_header(self, read: int) -> None:
        """Mark the last of the PDUs that carry `read` bytes; all headers are written anew for the next data set."""
        number, before = divmod(read - 1, self._chunk)
        self._write_header(number, self._context_id, before + 1, LAST)
        self._context_id = 0

    def _framed(self, length: int) -> int:
        """Return how many bytes the PDUs take that carry `length` bytes."""
        return length + PDV_HEADER.size * -(-length // self._chunk)

    def _read(self, file: int, offset: int, left: int) -> int:
        """Fill the gaps from `offset` on and return how many bytes that were: all that fit, or all that are left."""
        wanted = min(left, self._chunk * len(self._gaps))
        whole, rest = divmod(wanted, self._chunk)
        gaps = self._gaps[:whole]
        if rest:
            gaps.append(self._gaps[whole][:rest])
        try:
            read = os.preadv(file, gaps, offset)
        except OSError as error:
            raise DatasetChanged(f"The file of an image cannot be read ({os.strerror(error.errno or 0)}).") from None
        if read != wanted:
            raise DatasetChanged("The file of an image became shorter while it was sent.")
        return read
