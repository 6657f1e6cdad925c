"""Boxes in the pixel matrix: rounding outwards to a grid, joining, clipping.

Plain integers; what is in a box and why it is blanked is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

GRID = 8


class Box(NamedTuple):
    """Columns `x` to `x + width` and rows `y` to `y + height`, the ends not included."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    def grown(self, margin: int) -> Box:
        """Return the box with `margin` more on every side."""
        return Box(self.x - margin, self.y - margin, self.width + 2 * margin, self.height + 2 * margin)

    def clipped(self, columns: int, rows: int) -> Box:
        """Return what lies inside of an image; it may be empty."""
        x, y = min(max(self.x, 0), columns), min(max(self.y, 0), rows)
        return Box(x, y, max(min(self.right, columns) - x, 0), max(min(self.bottom, rows) - y, 0))


def joined(boxes: Iterable[Box], columns: int, rows: int, across: int = GRID, down: int = GRID) -> tuple[Box, ...]:
    """Return boxes on a grid that cover what `boxes` cover of an image, without overlaps, in order.

    Two sets of boxes that cover the same squares of the grid give the same result.
    """
    lines: dict[int, int] = {}
    for box in boxes:
        box = box.clipped(columns, rows)
        if box.width and box.height:
            first, end = box.x // across, -(-box.right // across)
            for line in range(box.y // down, -(-box.bottom // down)):
                lines[line] = lines.get(line, 0) | (1 << end) - (1 << first)
    done: list[Box] = []
    open_runs: dict[tuple[int, int], int] = {}
    next_line = -1
    for line in [*sorted(lines), -1]:
        runs = set(_runs(lines.get(line, 0)))
        for (first, end), start in list(open_runs.items()):
            height = next_line - start
            if line != next_line or (first, end) not in runs:
                box = Box(first * across, start * down, (end - first) * across, height * down)
                done.append(box.clipped(columns, rows))
                del open_runs[first, end]
        for run in runs:
            open_runs.setdefault(run, line)
        next_line = line + 1
    return tuple(sorted(done, key=lambda box: (box.y, box.x)))


def _runs(bits: int) -> Iterator[tuple[int, int]]:
    """Yield first and end of each run of ones."""
    place = 0
    while bits:
        zeros = (bits & -bits).bit_length() - 1
        bits >>= zeros
        ones = (~bits & (bits + 1)).bit_length() - 1
        yield place + zeros, place + zeros + ones
        bits >>= ones
        place += zeros + ones


def outside(boxes: Iterable[Box], columns: int, rows: int) -> tuple[Box, ...]:
    """Return what of an image lies outside of all boxes."""
    inside = [box.clipped(columns, rows) for box in boxes]
    edges = sorted({0, rows, *(box.y for box in inside), *(box.bottom for box in inside)})
    found: list[Box] = []
    for top, bottom in pairwise(edges):
        at = 0
        for left, right in sorted((box.x, box.right) for box in inside if box.y <= top and bottom <= box.bottom):
            if left > at:
                found.append(Box(at, top, left - at, bottom - top))
            at = max(at, right)
        if at < columns:
            found.append(Box(at, top, columns - at, bottom - top))
    return tuple(found)


def rows_of(boxes: Iterable[Box]) -> list[tuple[int, int, int]]:
    """Return (row, first column, end column) of every row that boxes without overlaps cover, in order."""
    return sorted((row, box.x, box.right) for box in boxes for row in range(box.y, box.bottom))
