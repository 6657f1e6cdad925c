"""Bytes to read from: a regular file through a small window, or a block of memory.

Nothing is interpreted here except the signatures of archives; files are opened without following links.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deidentify.errors import Refused

FIRST = 1 << 16
NEXT = 1 << 14

_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"BZh", b"\xfd7zXZ\x00")
_NOT_READABLE = {
    errno.ELOOP: "This is a symbolic link; links are not followed.",
    errno.EACCES: "The file may not be read: permission denied.",
    errno.EPERM: "The file may not be read: permission denied.",
    errno.ENXIO: "This is no regular file: links, folders, devices and pipes are not read.",
    errno.ENAMETOOLONG: "The file name is too long to be opened.",
}


class Source:
    """Random access to bytes, with the last window that was read kept.

    Parameters
    ----------
    fd : int
        An open file, or -1 when `memory` holds everything.
    size : int
        How many bytes there are.
    memory : bytes
        The whole content, for data that is already in memory.
    """

    __slots__ = ("_first", "base", "buffer", "fd", "size")

    def __init__(self, fd: int, size: int, memory: bytes = b"") -> None:
        self.fd = fd
        self.size = size
        self.base = 0
        self.buffer = self._first = memory if fd < 0 else os.pread(fd, FIRST, 0)

    @classmethod
    def of_bytes(cls, data: bytes) -> Source:
        """Return a source over `data`."""
        return cls(-1, len(data), data)

    def window(self, offset: int) -> bytes:
        """Move the window to `offset` and return it; `base` tells where it starts."""
        if self.fd >= 0:
            self.buffer = os.pread(self.fd, NEXT, offset)
            self.base = offset
        return self.buffer

    def rewind(self) -> None:
        """Move the window back to the start, without reading again."""
        self.buffer, self.base = self._first, 0

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes; the window follows one who reads small values one after the other.

        Raises
        ------
        Refused
            ``truncated``, when the file became shorter while it was read.
        """
        at = offset - self.base
        if at >= 0 and at + length <= len(self.buffer):
            return self.buffer[at : at + length]
        if 0 <= at < len(self.buffer) + NEXT and length <= NEXT >> 1 and self.fd >= 0:
            block = self.window(offset)
            if length <= len(block):
                return block[:length]
        data = b"" if self.fd < 0 else os.pread(self.fd, length, offset)
        while self.fd >= 0 and len(data) < length:
            more = os.pread(self.fd, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        if len(data) != length:
            raise Refused("truncated", "The file ends inside an element.")
        return data


@contextmanager
def opened(path: str | os.PathLike[str], largest: int) -> Iterator[Source]:
    """Open a regular file without following links.

    Raises
    ------
    Refused
        ``unreadable``, ``empty`` or ``too-large``.
    OSError
        When the storage fails, or has no such file; trying again may help.
    """
    try:
        fd = os.open(Path(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in _NOT_READABLE:
            raise
        raise Refused("unreadable", _NOT_READABLE[error.errno]) from None
    except ValueError:
        raise Refused("unreadable", "The file name is not one that can be opened.") from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise Refused("unreadable", "This is no regular file: links, folders, devices and pipes are not read.")
        if status.st_size == 0:
            raise Refused("empty", "The file has no bytes.")
        if status.st_size > largest:
            raise Refused("too-large", f"The file is larger than the limit of {largest} bytes.")
        yield Source(fd, status.st_size)
    finally:
        os.close(fd)


def refuse_archive(head: bytes) -> None:
    """Refuse when `head`, the first bytes of a file, are those of an archive.

    Raises
    ------
    Refused
        ``encrypted-zip`` or ``archive``.
    """
    if head[:4] == b"PK\x03\x04" and len(head) > 7 and head[6] & 1:
        raise Refused("encrypted-zip", "This is a zip archive with a password; unpack it and drop its files.")
    if head.startswith(_ARCHIVES) or head[257:262] == b"ustar":
        raise Refused("archive", "This is an archive; unpack it and drop its files.")
