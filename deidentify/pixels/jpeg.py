"""Blanking inside lossy JPEG (ITU-T T.81, sequential, 8 and 12 bits): blocks under the boxes become black, no other changes.

The Huffman codes of every other block are copied as they are; only the first difference after a blanked run is written
anew. Comments and application data, which may hold anything, are left out. Knows no DICOM.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from struct import unpack

import numpy as np

from deidentify.pixels.boxes import Box, joined

_SOF, _DHT, _DQT, _DRI, _SOS, _EOI = (0xC0, 0xC1), 0xC4, 0xDB, 0xDD, 0xDA, 0xD9
_END_OF_BLOCK = 0
_BROKEN = 1 << 28 | 255


class Unsupported(Exception):
    """The stream is not sequential JPEG, or has no code for what would have to be written."""


@dataclass(slots=True)
class _Table:
    """A Huffman table: (length, symbol) by the next 16 bits, and (code, length) by symbol."""

    lengths: list[int]
    symbols: list[int]
    steps: list[int]
    codes: dict[int, tuple[int, int]]


@dataclass(slots=True)
class _Component:
    name: int
    across: int
    down: int
    quantizer: int
    old: int = 0
    new: int = 0
    black: int = 0
    wide: int = 0
    dc: _Table | None = None
    ac: _Table | None = None
    blanked: dict[int, bytearray] = field(default_factory=dict)


class _Bits:
    """Collects bits and stuffs what looks like a marker."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.rest, self.count = 0, 0

    def add(self, value: int, count: int) -> None:
        value |= self.rest << count
        count += self.count
        self.count = count % 8
        self.rest = value & ((1 << self.count) - 1)
        self.bytes += (value >> self.count).to_bytes(count // 8, "big")

    def finished(self) -> bytes:
        if self.count:
            self.add((1 << (8 - self.count)) - 1, 8 - self.count)
        return bytes(self.bytes).replace(b"\xff", b"\xff\0")


def blanked(frame: bytes, boxes: Iterable[Box], *, bright: bool, rgb: bool) -> tuple[bytes, tuple[Box, ...]]:
    """Return the frame with boxes blanked, and the boxes that really are: whole blocks.

    Parameters
    ----------
    frame : bytes
        One JPEG image.
    boxes : iterable of Box
        What to blank.
    bright : bool
        Whether the largest value is black (MONOCHROME1).
    rgb : bool
        Whether three components are red, green and blue where the stream does not say so.

    Raises
    ------
    Unsupported
        When that cannot be done in this stream.
    """
    try:
        return _Stream(frame, bright=bright, rgb=rgb).blanked(list(boxes))
    except (IndexError, KeyError, ValueError, OverflowError, ZeroDivisionError) as error:
        raise Unsupported from error


class _Stream:
    def __init__(self, frame: bytes, *, bright: bool, rgb: bool) -> None:
        self.frame, self.bright, self.rgb = frame, bright, rgb
        self.quantizers: dict[int, int] = {}
        self.tables: dict[int, _Table] = {}
        self.components: list[_Component] = []
        self.rows = self.columns = self.precision = self.interval = 0
        self.transform = -1

    def blanked(self, boxes: list[Box]) -> tuple[bytes, tuple[Box, ...]]:
        frame, at = self.frame, 2
        out = bytearray(frame[:2])
        done: tuple[Box, ...] = ()
        while True:
            if frame[at] != 0xFF:
                raise Unsupported
            marker = frame[at + 1]
            if marker == 0xFF:
                at += 1
                continue
            if marker == _EOI:
                return bytes(out + frame[at : at + 2]), done
            size = int.from_bytes(frame[at + 2 : at + 4], "big")
            segment = frame[at + 4 : at + 2 + size]
            if marker == _DHT:
                out += self._tables(segment)
            elif self._read(marker, segment):
                out += frame[at : at + 2 + size]
            at += 2 + size
            if marker in _SOF:
                done = self._mark(boxes)
            elif marker == _SOS:
                end = self._scan_end(at)
                out += self._scan(segment, frame[at:end])
                at = end

    def _read(self, marker: int, segment: bytes) -> bool:
        """Take in a segment; tell whether it stays in the frame."""
        if marker == _DQT:
            at = 0
            while at < len(segment):
                wide = segment[at] >> 4
                self.quantizers[segment[at] & 15] = int.from_bytes(segment[at + 1 : at + 2 + wide], "big")
                at += 1 + 64 * (1 + wide)
        elif marker == _DRI:
            (self.interval,) = unpack(">H", segment[:2])
        elif marker in _SOF:
            self.precision, self.rows, self.columns, count = unpack(">BHHB", segment[:6])
            self.components = [
                _Component(segment[at], segment[at + 1] >> 4, segment[at + 1] & 15, segment[at + 2])
                for at in range(6, 6 + 3 * count, 3)
            ]
        elif marker == 0xE0:
            return segment[:5] == b"JFIF\0" and len(segment) == 14
        elif marker == 0xEE:
            self.transform = segment[11] if segment[:5] == b"Adobe" and len(segment) > 11 else -1
            return segment[:5] == b"Adobe" and len(segment) <= 12
        elif marker == 0xFE or 0xE0 <= marker <= 0xEF:
            return False
        elif marker != _SOS:
            raise Unsupported
        return True

    def _tables(self, segment: bytes) -> bytes:
        """Take in Huffman tables; return them with codes for what a blanked block needs, where they lack them."""
        at, out = 0, bytearray()
        while at < len(segment):
            kind, counts = segment[at], list(segment[at + 1 : at + 17])
            symbols = segment[at + 17 : at + 17 + sum(counts)]
            at += 17 + len(symbols)
            needed = range(16 if self.precision > 8 else 12) if kind < 16 else (_END_OF_BLOCK,)
            more = bytes(symbol for symbol in needed if symbol not in symbols)
            used = sum(count << (16 - length) for length, count in enumerate(counts, 1))
            if more and used + len(more) < 1 << 16:
                counts[15] += len(more)
                symbols += more
            self.tables[kind] = _table(counts, symbols)
            out += bytes((kind, *counts)) + symbols
        return bytes((0xFF, _DHT)) + (len(out) + 2).to_bytes(2, "big") + out

    def _mark(self, boxes: list[Box]) -> tuple[Box, ...]:
        """Note which blocks of each component are blanked; return what these cover, with what chroma next to it reaches."""
        most_across = max(component.across for component in self.components)
        most_down = max(component.down for component in self.components)
        boxes = list(joined(boxes, self.columns, self.rows, 8 * most_across, 8 * most_down))
        for component in self.components:
            if most_across % component.across or most_down % component.down:
                raise Unsupported
            width, height = 8 * most_across // component.across, 8 * most_down // component.down
            component.wide = -(-self.columns // (8 * most_across)) * component.across
            for box in boxes:
                for line in range(box.y // height, -(-box.bottom // (8 * most_down)) * component.down):
                    marks = component.blanked.setdefault(line, bytearray(component.wide))
                    first, end = box.x // width, -(-box.right // (8 * most_across)) * component.across
                    marks[first:end] = b"\1" * (end - first)
        reach = 0 if most_across == most_down == 1 else 2 * max(most_across, most_down)
        return tuple(box.grown(reach).clipped(self.columns, self.rows) for box in boxes)

    def _black(self, component: _Component) -> int:
        """Return the quantized mean that makes a block of a component as dark as it can be, or colourless."""
        names = [component.name for component in self.components]
        is_rgb = self.transform == 0 or (self.transform < 0 and (self.rgb or names == [82, 71, 66]))
        if component is not self.components[0] and not is_rgb:
            return 0
        level, step = 8 << (self.precision - 1), self.quantizers[component.quantizer]
        return -(-level // step) if self.bright else -level // step

    def _scan_end(self, at: int) -> int:
        """Return where entropy-coded data ends: at a marker that is no restart and no stuffed byte."""
        while True:
            at = self.frame.index(b"\xff", at)
            if self.frame[at + 1] != 0 and not 0xD0 <= self.frame[at + 1] <= 0xD7:
                return at
            at += 2

    def _scan(self, segment: bytes, data: bytes) -> bytes:
        """Return the entropy-coded data of a scan with the marked blocks replaced."""
        count = segment[0]
        if segment[1 + 2 * count : 4 + 2 * count] != b"\x00\x3f\x00":
            raise Unsupported
        chosen: list[_Component] = []
        for at in range(1, 1 + 2 * count, 2):
            component = next(component for component in self.components if component.name == segment[at])
            component.dc, component.ac = self.tables[segment[at + 1] >> 4], self.tables[16 | segment[at + 1] & 15]
            component.black = self._black(component)
            chosen.append(component)
        most_across = max(component.across for component in self.components)
        most_down = max(component.down for component in self.components)
        if count == 1:
            only = chosen[0]
            wide = -(-self.columns * only.across // (8 * most_across))
            high = -(-self.rows * only.down // (8 * most_down))
            layout = [(only, 0, 0, 1, 1)]
        else:
            wide, high = -(-self.columns // (8 * most_across)), -(-self.rows // (8 * most_down))
            layout = [
                (component, x, y, component.across, component.down)
                for component in chosen
                for y in range(component.down)
                for x in range(component.across)
            ]
        parts, interval = _intervals(data), self.interval or wide * high
        if len(parts) != -(-wide * high // interval):
            raise Unsupported
        out = bytearray()
        for number, part in enumerate(parts):
            if number:
                out += bytes((0xFF, 0xD0 + (number - 1) % 8))
            units = range(number * interval, min((number + 1) * interval, wide * high))
            out += _replaced(part.replace(b"\xff\0", b"\xff"), units, wide, layout)
        return bytes(out)


def _intervals(data: bytes) -> list[bytes]:
    """Split entropy-coded data at its restart markers."""
    parts, start, at = [], 0, data.find(b"\xff")
    while at >= 0:
        if data[at + 1] != 0:
            parts.append(data[start:at])
            start = at + 2
        at = data.find(b"\xff", at + 2)
    return [*parts, data[start:]]


def _replaced(data: bytes, units: range, wide: int, layout: list[tuple[_Component, int, int, int, int]]) -> bytes:
    """Return one restart interval with the marked blocks replaced."""
    padded = np.frombuffer(data + b"\xff" * 64, np.uint8).astype(np.uint32)
    words = array("I", (padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]).tobytes())
    end, out, copied, at = 8 * len(data), _Bits(), 0, 0

    def copy(upto: int) -> None:
        if upto > copied:
            whole = int.from_bytes(data[copied >> 3 : (upto + 7) >> 3], "big") >> (-upto % 8)
            out.add(whole & ((1 << (upto - copied)) - 1), upto - copied)

    for component, *_ in layout:
        component.old = component.new = 0
    for unit in units:
        line, column = divmod(unit, wide)
        for component, x, y, across, down in layout:
            dc, ac = component.dc, component.ac
            assert dc is not None  # a scan names the tables of its components
            assert ac is not None  # as above
            start, before = at, component.old
            peek = (words[at >> 3] >> (8 - (at & 7))) & 0xFFFF
            at += dc.lengths[peek]
            size = dc.symbols[peek]
            if size:
                value = (words[at >> 3] >> (24 - (at & 7) - size)) & ((1 << size) - 1)
                at += size
                component.old += value if value >> (size - 1) else value - (1 << size) + 1
            after = at
            place, steps = 1, ac.steps
            while place < 64:
                step = steps[(words[at >> 3] >> (8 - (at & 7))) & 0xFFFF]
                at += step >> 8
                place += step & 255
            if at > end:
                raise Unsupported
            marks = component.blanked.get(line * down + y)
            if marks is not None and marks[column * across + x]:
                copy(start)
                _difference(out, dc, component.black - component.new)
                out.add(*ac.codes[_END_OF_BLOCK])
                component.new, copied = component.black, at
            else:
                if component.new != before:
                    copy(start)
                    _difference(out, dc, component.old - component.new)
                    copied = after
                component.new = component.old
    copy(at)
    return out.finished()


def _difference(out: _Bits, table: _Table, value: int) -> None:
    """Write the difference of two DC coefficients (T.81 F.1.2.1)."""
    size = abs(value).bit_length()
    out.add(*table.codes[size])
    if size:
        out.add(value if value > 0 else value + (1 << size) - 1, size)


def _table(counts: list[int], symbols: bytes) -> _Table:
    """Build a Huffman table (T.81 Annex C)."""
    lengths, known, steps = [0] * 65536, [0] * 65536, [_BROKEN] * 65536
    codes: dict[int, tuple[int, int]] = {}
    code = number = 0
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            symbol = symbols[number]
            first, last = code << (16 - length), (code + 1) << (16 - length)
            span = last - first
            run, size = symbol >> 4, symbol & 15
            step = 64 if symbol == _END_OF_BLOCK else run + 1
            lengths[first:last], known[first:last] = [length] * span, [symbol] * span
            steps[first:last] = [(length + size) << 8 | step] * span
            codes[symbol] = code, length
            code += 1
            number += 1
        code <<= 1
    if len(lengths) != 65536:
        raise Unsupported
    used = code >> 1
    lengths[used:] = [_BROKEN >> 8] * (65536 - used)
    return _Table(lengths, known, steps, codes)
