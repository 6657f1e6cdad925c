"""What compressed frames carry beside the picture: comments, application data, bytes behind their end.

It says which bytes of the source become blank, so that nothing moves and every frame decodes to the same bits; the
streams are ITU-T T.81 (and T.87) and T.800, and the boxes of JP2 around the latter. Nothing is decoded.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from struct import unpack

from deidentify.errors import Refused
from deidentify.pixels.families import FAMILIES, HTJ2K, JPEG_2000, RLE
from deidentify.source import Source

Run = tuple[int, bytes]
"""Where in the pixel data, and what stands there instead."""

_ITEM = b"\xfe\xff\x00\xe0"
_CHUNK = 1 << 20
_ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_APPLICATION = range(0xE0, 0xF0)
_RESERVED = (*range(0xF0, 0xF7), *range(0xF9, 0xFE))
_SPIFF, _END_OF_SPIFF = 30, (b"\0\0\0\1", b"\0\0\0\1\xff\xd8")
_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_NEXT_JPEG, _NEXT_JPEG_2000 = b"\xff\xd8\xff", b"\xff\x4f\xff\x51"
_SOC, _SOT, _SOD, _EOC, _CME = 0x4F, 0x90, 0x93, 0xD9, 0x64
_JP2 = b"\0\0\0\x0cjP  "
_NEEDED_BOXES = frozenset((b"jP  ", b"ftyp", b"jp2h", b"jp2c"))
# What encoders write about themselves.
_ENCODER = re.compile(
    rb"(Created by |Creator: )?((GDCM|OpenJPEG|OpenJPH|JasPer|Kakadu|Grok|Aware|LEAD Technologies Inc\.|IJG)[/ -]?)+"
    rb"([Vv]ersion |[Vv])?\d{1,2}(\.\d{1,3}){0,2}[\0 ]*"
)
_UNKNOWN = "The compressed pixel data is built in a way that cannot be searched for comments."


def comments(source: Source, offset: int, length: int, transfer_syntax_uid: str) -> list[Run]:
    """Return what has to be replaced in encapsulated pixel data, in order; the picture stays the same bit by bit.

    Parameters
    ----------
    source : Source
        Where the pixel data is; it is read in pieces.
    offset, length : int
        Its extent, from the item of the basic offset table to the sequence delimiter.
    transfer_syntax_uid : str
        Tells how frames are compressed.

    Raises
    ------
    Refused
        ``pixels-undecided``, when it cannot be told where the picture ends and something else begins.
    """
    family = FAMILIES.get(transfer_syntax_uid)
    if family == RLE or transfer_syntax_uid == _ENCAPSULATED_UNCOMPRESSED:
        return []
    if family is None:
        raise Refused("pixels-undecided", _UNKNOWN)
    stream = _Stream(source, offset, length)
    try:
        found = _of_jpeg_2000(stream, 0, stream.size) if family in (JPEG_2000, HTJ2K) else _of_jpeg(stream)
        return [
            (place - offset, new[at : at + size])
            for start, new in found
            for place, at, size in stream.places(start, len(new))
        ]
    except (IndexError, ValueError):
        raise Refused("pixels-undecided", _UNKNOWN) from None


class _Stream:
    """The fragments of pixel data as one stream of bytes."""

    def __init__(self, source: Source, offset: int, length: int) -> None:
        self._source = source
        self._starts: list[int] = []
        self._fragments: list[tuple[int, int]] = []
        self.size = 0
        position, end, is_table = offset, offset + length, True
        while position + 8 <= end and (head := source.read(position, 8))[:4] == _ITEM:
            (size,) = unpack("<L", head[4:])
            if not is_table:
                self._starts.append(self.size)
                self._fragments.append((position + 8, size))
                self.size += size
            is_table = False
            position += 8 + size

    def places(self, at: int, length: int) -> Iterator[tuple[int, int, int]]:
        """Yield where in the source a part of the stream lies: offset, position in the part, and size."""
        done = 0
        number = bisect_right(self._starts, at) - 1
        while done < length:
            start, size = self._fragments[number]
            inside = at + done - self._starts[number]
            here = min(size - inside, length - done)
            if here > 0:
                yield start + inside, done, here
                done += here
            number += 1

    def read(self, at: int, length: int) -> bytes:
        """Return a part of the stream, shorter at its end."""
        length = min(length, self.size - at)
        return b"".join(self._source.read(place, size) for place, _, size in self.places(at, length))

    def word(self, at: int) -> int:
        """Return a number of two bytes."""
        high, low = self.read(at, 2)
        return high << 8 | low

    def find(self, pattern: re.Pattern[bytes], at: int) -> int:
        """Return where a pattern of two to four bytes is found next, or the end of the stream."""
        while at < self.size:
            found = pattern.search(block := self.read(at, _CHUNK))
            if found:
                return at + found.start()
            at += max(len(block) - 3, 1)
        return self.size

    def blank(self, at: int, end: int) -> Iterator[Run]:
        """Yield what makes a part of the stream zeros, unless it is padding already."""
        for start in range(at, end, _CHUNK):
            block = self.read(start, min(_CHUNK, end - start))
            if block.strip(b"\0\xff"):
                yield start, bytes(len(block))


def _of_jpeg(stream: _Stream) -> Iterator[Run]:
    """Yield what to replace in frames of ITU-T T.81 or T.87, one after the other."""
    at = 0
    while at + 2 <= stream.size:
        first, marker = stream.read(at, 2)
        if first != 0xFF:
            raise ValueError
        if marker == 0xFF:
            at += 1
        elif marker == _SOI or marker == 0x01 or 0xD0 <= marker < _SOI:
            at += 2
        elif marker == _EOI:
            following = stream.find(re.compile(re.escape(_NEXT_JPEG)), at + 2)
            yield from stream.blank(at + 2, following)
            at = following
        else:
            size = stream.word(at + 2)
            end = at + 2 + size
            if size < 2 or end > stream.size:
                raise ValueError
            if marker == _COM or marker in _APPLICATION or marker in _RESERVED:
                yield from stream.blank(at + 4 + _stays(marker, stream.read(at + 4, size - 2)), end)
            at = stream.find(_MARKER, end) if marker == _SOS else end
    if not at:
        raise ValueError


def _stays(marker: int, content: bytes) -> int:
    """Return how many bytes of a comment or of application data stay: what says how the samples are built, and by what."""
    if marker == _COM and _ENCODER.fullmatch(content):
        return len(content)
    if marker == 0xE0 and content.startswith(b"JFIF\0"):
        return 12
    if marker == 0xE8 and (content in _END_OF_SPIFF or (content.startswith(b"SPIFF\0") and len(content) == _SPIFF)):
        return len(content)
    if marker == 0xE8 and content.startswith(b"mrfx"):
        return 5
    if marker == 0xEE and content.startswith(b"Adobe"):
        return 12
    return 0


def _of_jpeg_2000(stream: _Stream, at: int, end: int) -> Iterator[Run]:
    """Yield what to replace in codestreams of ITU-T T.800, one after the other, in boxes or without."""
    if stream.read(at, len(_JP2)) == _JP2:
        yield from _of_boxes(stream, at, end)
        return
    start, part = at, 0
    while at + 2 <= end:
        marker = stream.word(at)
        if marker == 0xFF00 | _SOC:
            at += 2
        elif marker == 0xFF00 | _SOD:
            at = part or end
        elif marker == 0xFF00 | _EOC:
            following = stream.find(re.compile(re.escape(_NEXT_JPEG_2000)), at + 2)
            following = min(following, end)
            yield from stream.blank(at + 2, following)
            at = following
        elif marker >> 8 == 0xFF and at > start:
            size = stream.word(at + 2)
            if size < 2 or at + 2 + size > end:
                raise ValueError
            if marker == 0xFF00 | _SOT:
                (length,) = unpack(">L", stream.read(at + 6, 4))
                part = at + length if length else 0
                if length and not 14 <= length <= end - at:
                    raise ValueError
            elif marker == 0xFF00 | _CME:
                text = stream.read(at + 6, size - 4)
                if text.strip(b"\0 ") and not _ENCODER.fullmatch(text):
                    yield at + 6, (b" " if stream.word(at + 4) == 1 else b"\0") * len(text)
            at += 2 + size
        else:
            raise ValueError
    if at == start:
        raise ValueError


def _of_boxes(stream: _Stream, at: int, end: int) -> Iterator[Run]:
    """Yield what to replace in a JP2 file (T.800 Annex I): boxes that no decoder needs become free space."""
    while at + 8 <= end:
        size, kind = unpack(">L4s", stream.read(at, 8))
        content = at + 8
        if size == 1:
            (size,) = unpack(">Q", stream.read(content, 8))
            content += 8
        after = at + size if size else end
        if not content <= after <= end:
            raise ValueError
        if kind == b"jp2c":
            yield from _of_jpeg_2000(stream, content, after)
        elif kind not in _NEEDED_BOXES:
            if kind != b"free":
                yield at + 4, b"free"
            yield from stream.blank(content, after)
        at = after
