"""What is hidden inside of values: base64, and streams of zlib, gzip, zip, raw deflate and PDF.

It only brings the bytes to light, within limits; they are searched by `deidentify.leak.search`.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Iterator

from deidentify.errors import Refused

LARGEST_STREAM, LARGEST_TOTAL, MOST_STREAMS = 1 << 24, 1 << 26, 1 << 12
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{8,}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_LINE_ENDS = b"\r\n\t "
_STREAM = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08|PK\x03\x04.{4}\x08", re.DOTALL)
_ZIP_HEADER = 30
_SHORTEST = 4
_SHOWN = re.compile(rb"\[((?:[^\[\]\\]|\\.)*)\]\s*TJ|(\((?:[^()\\]|\\.)*\))\s*(?:Tj|'|\")", re.DOTALL)
_STRING = re.compile(rb"\(((?:[^()\\]|\\.)*)\)|<([0-9A-Fa-f\s]*)>", re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"", b"f": b""}


def decoded(data: bytes) -> bytes:
    """Return everything in `data` that is base64, decoded: in one piece or in lines, from every place it may start at."""
    runs = set(_BASE64.findall(data))
    if b"\n" in data:
        runs.update(_BASE64.findall(data.translate(None, _LINE_ENDS)))
    return b"\n\n".join(_bytes_of(run[start:]) for run in runs for start in range(4))


def _bytes_of(run: bytes) -> bytes:
    run = run[: len(run) - len(run) % 4] + (run[-(len(run) % 4) :] + b"A==")[:4] * (len(run) % 4 > 1)
    try:
        return binascii.a2b_base64(run.translate(_URL_SAFE))
    except binascii.Error:
        return b""


def inflated(data: bytes) -> Iterator[bytes]:
    """Yield what the compressed streams in `data` hold, and the texts that PDF content among them shows.

    Raises
    ------
    Refused
        ``too-large``, when there is more than can be searched.
    """
    total = past = 0
    for count, found in enumerate(_STREAM.finditer(data)):
        if found.start() < past:
            continue
        content, used = _inflate(data, found.start(), found[0])
        if len(content) < _SHORTEST:
            continue
        past = found.start() + used
        total += len(content)
        if total > LARGEST_TOTAL or count > MOST_STREAMS or len(content) >= LARGEST_STREAM:
            raise Refused("too-large", "A kept element inflates to more than can be searched for known values.")
        yield content
        yield shown(content)
    if b"%PDF" in data[:1024]:
        yield shown(data)


def inflated_whole(value: bytes) -> bytes:
    """Return what a value holds that is one raw deflate stream from its start, as far as it can be read."""
    return _inflate(value, 0, b"")[0]


def _inflate(data: bytes, start: int, signature: bytes) -> tuple[bytes, int]:
    """Return what a stream holds, as far as it can be read, and how long it is."""
    if signature.startswith(b"PK"):
        names = int.from_bytes(data[start + 26 : start + 28], "little") + int.from_bytes(
            data[start + 28 : start + 30], "little"
        )
        start += _ZIP_HEADER + names
    bits = 31 if signature.startswith(b"\x1f") else 15 if signature.startswith(b"\x78") else -15
    stream = zlib.decompressobj(bits)
    content = bytearray()
    view = memoryview(data)[start:]
    try:
        for at in range(0, len(view), 1 << 16):
            content += stream.decompress(view[at : at + (1 << 16)], LARGEST_STREAM - len(content))
            if stream.eof or len(content) >= LARGEST_STREAM:
                break
    except zlib.error:
        pass
    return bytes(content), len(view) - len(stream.unused_data) if stream.eof else 0


def shown(content: bytes) -> bytes:
    """Return the strings that a PDF content stream shows, those of one operator joined (ISO 32000-1 9.4.3)."""
    lines = []
    for array, single in _SHOWN.findall(content):
        parts = []
        for literal, digits in _STRING.findall(array or single):
            if digits:
                packed = b"".join(digits.split())
                parts.append(bytes.fromhex((packed + b"0" * (len(packed) % 2)).decode("ascii")))
            else:
                parts.append(_ESCAPE.sub(_unescaped, literal))
        lines.append(b"".join(parts))
    return b"\n".join(lines)


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1].isdigit():
        return bytes([int(found[1], 8) & 0xFF])
    return _ESCAPED.get(found[1], found[1])
