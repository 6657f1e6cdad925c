"""Writing an output: its blocks and the stretches of the source between them, hashed on the way.

Writes what it is given; whether it may be written was decided before.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deidentify.elements import Piece, joined
from deidentify.errors import Refused
from deidentify.source import Source

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """Size and SHA-256 of a file that was written."""

    size: int
    sha256: str


class Sink(Protocol):
    """Where an output is written to."""

    def write(self, data: bytes | memoryview, /) -> object: ...


class _File:
    """A file and its hash."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        self._hash.update(data)
        self.size += len(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def written(self) -> Written:
        return Written(self.size, self._hash.hexdigest())


def write(target: Path, head: bytes, pieces: Iterable[Piece], source: Source, *, deflated: bool = False) -> Written:
    """Write `head` and `pieces` to the new file `target`; when that fails nothing is left of it.

    Raises
    ------
    OSError
        When the file is there already, or cannot be made or filled.
    Refused
        ``truncated``, when the source became shorter meanwhile.
    """
    with _created(target) as sink:
        write_to(sink, head, pieces, source, deflated=deflated)
        return sink.written()


def write_to(sink: Sink, head: bytes, pieces: Iterable[Piece], source: Source, *, deflated: bool) -> None:
    """Write `head` and `pieces`, the latter deflated if asked, to anything that has ``write``."""
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


def copy(target: Path, source: Source) -> Written:
    """Write the whole of `source` to the new file `target`, as it is."""
    with _created(target) as sink:
        for block in _stretch(source, 0, source.size):
            sink.write(block)
        return sink.written()


@contextmanager
def _created(target: Path) -> Iterator[_File]:
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            yield _File(fd)
        finally:
            os.close(fd)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _blocks(pieces: Iterable[Piece], source: Source) -> Iterator[bytes | memoryview]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
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
