"""Writing an output: its blocks and the stretches of the source between them, hashed on the way.

Writes what it is given; whether it may be written was decided before.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from deidentify.elements import Made, Piece, joined
from deidentify.errors import Refused
from deidentify.source import Source

_CHUNK = 1 << 17


class Sink(Protocol):
    """Where an output is written to."""

    def write(self, data: bytes | memoryview, /) -> object: ...


class Hashed:
    """A sink that knows the size and the SHA-256 of what went through it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Pass `data` on."""
        self._hash.update(data)
        self.size += len(data)
        self._sink.write(data)

    @property
    def sha256(self) -> str:
        """Of everything so far, in hexadecimal."""
        return self._hash.hexdigest()


class _File:
    """A file descriptor that takes all that it is given."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]


@contextmanager
def created(target: Path) -> Iterator[Hashed]:
    """Give a new file to write to; when that fails nothing is left of it.

    Raises
    ------
    OSError
        When the file is there already, or cannot be made or filled.
    """
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            yield Hashed(_File(fd))
        finally:
            os.close(fd)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def write(sink: Sink, head: bytes, pieces: Iterable[Piece], source: Source, *, deflated: bool = False) -> None:
    """Write `head` and `pieces`, the latter deflated if asked.

    Raises
    ------
    Refused
        ``truncated``, when the source became shorter meanwhile.
    """
    if not deflated:
        for block in _blocks(joined([head, *pieces]), source):
            sink.write(block)
        return
    sink.write(head)
    size = 0
    for block in _deflated(_blocks(joined(pieces), source)):
        size += len(block)
        sink.write(block)
    if size % 2:
        sink.write(b"\0")


def copy(sink: Sink, source: Source) -> None:
    """Write the whole of `source`, as it is."""
    for block in _stretch(source, 0, source.size):
        sink.write(block)


def _blocks(pieces: Iterable[Piece], source: Source) -> Iterator[bytes | memoryview]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        elif isinstance(piece, Made):
            yield from piece.blocks(source)
        else:
            yield from _stretch(source, piece.offset, piece.length)


def _stretch(source: Source, offset: int, length: int) -> Iterator[memoryview]:
    """Yield a stretch of a file in blocks that share one buffer."""
    buffer = memoryview(bytearray(min(length, _CHUNK)))
    while length:
        count = os.preadv(source.fd, [buffer[: min(length, _CHUNK)]], offset)
        if not count:
            raise Refused("truncated", "The file became shorter while it was read.")
        yield buffer[:count]
        offset += count
        length -= count


def _deflated(blocks: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    for block in blocks:
        yield deflater.compress(block)
    yield deflater.flush()
