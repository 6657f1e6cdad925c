"""Pixel data that is made while it is written: stretches of the source with runs of bytes replaced, and spooled frames.

They take the place of a plain stretch in an output, so that a large object is never in memory; they decide nothing.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO

from deidentify.elements import Made, Piece
from deidentify.errors import Refused
from deidentify.source import Source

_CHUNK = 1 << 20
_IN_MEMORY = 1 << 24


@dataclass(frozen=True, slots=True)
class Patched(Made):
    """A stretch of the source that is made of frames, in each of which the same runs of bytes are replaced.

    Attributes
    ----------
    frame : int
        Bytes of a frame.
    runs : tuple of (int, bytes)
        Where in a frame, in order and without overlaps, and what stands there instead.
    """

    frame: int
    runs: tuple[tuple[int, bytes], ...]

    def blocks(self, source: Source) -> Iterator[bytes | memoryview]:
        """Yield the bytes, a megabyte at a time."""
        starts = [at for at, _ in self.runs]
        for start in range(0, self.length, _CHUNK):
            block = bytearray(source.read(self.offset + start, min(_CHUNK, self.length - start)))
            end = start + len(block)
            for frame in range(start // self.frame * self.frame, end, self.frame):
                first = max(bisect_right(starts, start - frame) - 1, 0)
                for at, new in self.runs[first : bisect_left(starts, end - frame)]:
                    left, right = max(frame + at, start), min(frame + at + len(new), end)
                    if left < right:
                        block[left - start : right - start] = new[left - frame - at : right - frame - at]
            yield memoryview(block)


@dataclass(frozen=True, slots=True)
class Spooled(Made):
    """Bytes in a nameless temporary file, which goes away with this."""

    file: IO[bytes]

    def blocks(self, source: Source) -> Iterator[bytes | memoryview]:
        """Yield the bytes; `source` is not looked at."""
        offset, end = self.offset, self.offset + self.length
        while offset < end:
            block = os.pread(self.file.fileno(), min(_CHUNK, end - offset), offset)
            if not block:
                raise Refused("truncated", "A temporary file became shorter while it was read.")
            yield block
            offset += len(block)


@dataclass(frozen=True, slots=True)
class Held(Made):
    """Bytes in memory."""

    data: bytes

    def blocks(self, source: Source) -> Iterator[bytes | memoryview]:
        """Yield the bytes; `source` is not looked at."""
        yield self.data


def held(data: bytes) -> list[Piece]:
    """Return pixel data in memory as pieces, so that it is told from the elements around it."""
    return [Held(0, len(data), True, data)]


class Spool:
    """Takes blocks and gives them back as pieces; what does not fit into memory goes into a temporary file."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._size = self._waiting = 0

    def write(self, block: bytes) -> None:
        """Append a block."""
        self._blocks.append(block)
        self._size += len(block)
        self._waiting += len(block)
        if self._waiting > _IN_MEMORY:
            self._flush()

    def _flush(self) -> None:
        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115  # it lives as long as the pieces do
        self._file.writelines(self._blocks)
        self._blocks.clear()
        self._waiting = 0

    def pieces(self) -> list[Piece]:
        """Return everything that was written."""
        if self._file is None:
            return held(b"".join(self._blocks))
        self._flush()
        self._file.flush()
        return [Spooled(0, self._size, True, self._file)]
