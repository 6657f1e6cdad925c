"""The text detector: PP-OCR's detection network over tiles of a picture, at several sizes, upright and turned.

It says where text is, never what it says; which pictures it sees is decided in `deidentify.pixels.search`.
"""

from __future__ import annotations

import numpy as np

from deidentify.pixels.boxes import Box, joined
from deidentify.pixels.network import DETECTION, RECOGNITION, Map, Picture, characters, resized, run

_TILE, _OVERLAP, _STEP = 448, 96, 32
_CELL = 4
_THRESHOLD, _CERTAIN = 0.25, 0.5
_LARGE, _SMALL = 1024, 400
_MARGIN, _WIDEST_MARGIN = 3, 24
# How much of a picture may lie in a box without being text; of what leaves more free, line by line is taken.
_FREE = 0.01
# What an edge is, as a part of the range of grey in a box, and how many pairs of neighbours are one where text is.
_EDGE, _EDGES = 0.2, 0.035
# How far to look beside a line, in its heights, how many rows it has then, and how much of a window may be known already.
_BEYOND, _CLOSE, _COVERED, _LARGEST = 6, (48, 16), 0.8, 3.0
_LINE, _LONGEST_LINE = 48, 960
_READABLE, _LETTERS = 0.5, 2


def text_boxes(picture: Picture, *, enlarged: bool = True) -> list[Box]:
    """Return where text is in a picture of rows by columns, or rows by columns by red, green and blue.

    Without `enlarged` the largest of the sizes is left out, which takes most of the time.

    Raises
    ------
    Refused
        ``pixels-undecided``, when the detector is not installed.
    """
    if picture.min() == picture.max():
        return []
    columns = picture.shape[1]
    boxes: list[Box] = []
    turned = np.rot90(picture)
    for scale in _scales(*picture.shape[:2])[0 if enlarged else 1 :]:
        boxes += _found(picture, scale)
        boxes += [Box(columns - box.bottom, box.x, box.height, box.width) for box in _found(turned, scale)]
    return boxes


def text_beside(picture: Picture, lines: list[Box]) -> list[Box]:
    """Return where text goes on beside lines that were found.

    Close up, the network sees letters that it overlooks in a large picture, so both ends of each line are looked at.
    """
    rows, columns = picture.shape[:2]
    covered = np.zeros((rows, columns), bool)
    for line in lines:
        covered[line.y : line.bottom, line.x : line.right] = True
    boxes: list[Box] = []
    for line in dict.fromkeys(lines):
        for end in _ends(line):
            window = end.clipped(columns, rows)
            place = slice(window.y, window.bottom), slice(window.x, window.right)
            if covered[place].mean() > _COVERED:
                continue
            covered[place] = True
            boxes += _close_up(picture[place], window, min(line.width, line.height))
    return boxes


def _ends(line: Box) -> tuple[Box, Box]:
    """Return what lies before and behind a line, with some of its letters."""
    high, long = min(line.width, line.height), _BEYOND * min(line.width, line.height)
    if line.width >= line.height:
        y, height = line.y - high // 2, 2 * high
        return Box(line.x - long, y, long + high, height), Box(line.right - high, y, long + high, height)
    x, width = line.x - high // 2, 2 * high
    return Box(x, line.y - long, width, long + high), Box(x, line.bottom - high, width, long + high)


def _close_up(picture: Picture, window: Box, height: int) -> list[Box]:
    """Return what the network finds in a window around letters of about a height."""
    boxes = []
    for rows in _CLOSE:
        scale = min(rows / height, _LARGEST)
        if window.width >= window.height:
            boxes += _found(picture, scale)
        else:
            turned = _found(np.rot90(picture), scale)
            boxes += [Box(window.width - box.bottom, box.x, box.height, box.width) for box in turned]
    return [Box(window.x + box.x, window.y + box.y, box.width, box.height) for box in boxes]


def _scales(rows: int, columns: int) -> tuple[float, ...]:
    """Return at which sizes to look: the network knows letters of 10 to 60 rows."""
    longest = max(rows, columns)
    if longest > _LARGE:
        return (1.0, 0.5, 0.25)
    return (3.0, 2.0, 1.0) if longest <= _SMALL else (2.0, 1.0, 0.5)


def _found(picture: Picture, scale: float) -> list[Box]:
    """Return what the network finds at one size, in pixels of the picture, with the margin that it leaves around."""
    rows, columns = picture.shape[:2]
    cells = _cells(resized(picture, max(round(rows * scale), 1), max(round(columns * scale), 1)))
    size = _CELL / scale
    boxes: list[Box] = []
    for island in _islands(cells):
        whole = _around(island)
        margin = round(min(min(whole.width, whole.height) * size / 2, _WIDEST_MARGIN) + _MARGIN)
        box, *parts = (_scaled(one, size).grown(margin).clipped(columns, rows) for one in (whole, *island))
        inside = picture[box.y : box.bottom, box.x : box.right]
        if inside.size and (_has_edges(inside) or _is_readable(inside)):
            free = box.width * box.height * (1 - _filled(box, parts))
            boxes += joined(parts, columns, rows) if free > _FREE * rows * columns else (box,)
    return boxes


def _around(boxes: list[Box]) -> Box:
    """Return the smallest box around boxes."""
    x, y = min(box.x for box in boxes), min(box.y for box in boxes)
    return Box(x, y, max(box.right for box in boxes) - x, max(box.bottom for box in boxes) - y)


def _scaled(box: Box, size: float) -> Box:
    """Return what lies in a box of cells, each of `size` pixels."""
    x, y = int(box.x * size), int(box.y * size)
    return Box(x, y, -int(-box.right * size // 1) - x, -int(-box.bottom * size // 1) - y)


def _filled(box: Box, parts: list[Box]) -> float:
    """Return how much of a box its parts fill: lines of different length that hang together leave much of it free."""
    filled = np.zeros((box.height, box.width), bool)
    for part in parts:
        filled[part.y - box.y : part.bottom - box.y, part.x - box.x : part.right - box.x] = True
    return float(filled.mean())


def _has_edges(inside: Picture) -> bool:
    """Tell whether neighbours differ as in letters; smooth anatomy that looks like one has no such pairs."""
    levels = [inside[..., at] for at in range(inside.shape[2])] if inside.ndim == 3 else [inside]
    for level in levels:
        value = level.astype(np.int16)
        least = (int(value.max()) - int(value.min()) + 1) * _EDGE
        across, down = np.abs(np.diff(value, axis=1)), np.abs(np.diff(value, axis=0))
        pairs = across.size + down.size
        if pairs and int((across > least).sum()) + int((down > least).sum()) > _EDGES * pairs:
            return True
    return False


def _is_readable(inside: Picture) -> bool:
    """Tell whether the recognition network reads letters in a box, whichever way it is turned."""
    for turns in range(4):
        line = np.rot90(inside, turns)
        width = min(max(round(line.shape[1] * _LINE / line.shape[0]), 16), _LONGEST_LINE)
        chances = run(RECOGNITION, resized(line, _LINE, width))[0]
        best, places = chances.max(axis=1), chances.argmax(axis=1)
        known = characters()
        letters = [
            float(chance)
            for chance, place, before in zip(best, places, [0, *places[:-1]], strict=True)
            if place and place != before and known[place].strip()
        ]
        if len(letters) >= _LETTERS and sum(letters) >= _READABLE * len(letters):
            return True
    return False


def _cells(picture: Picture | Map) -> Map:
    """Return the probability of text in each square of `_CELL` pixels."""
    rows, columns = picture.shape[:2]
    result = np.zeros((-(-rows // _CELL), -(-columns // _CELL)), np.float32)
    for top in _starts(rows):
        for left in _starts(columns):
            tile = picture[top : top + _TILE, left : left + _TILE]
            down, across = -tile.shape[0] % _STEP, -tile.shape[1] % _STEP
            padded: Map = np.pad(tile.astype(np.float32), ((0, down), (0, across), (0, 0))[: tile.ndim], mode="edge")
            found = run(DETECTION, padded)[0, 0]
            height, width = found.shape
            found = found.reshape(height // _CELL, _CELL, width // _CELL, _CELL).max(axis=(1, 3))
            into = result[top // _CELL : (top + _TILE) // _CELL, left // _CELL : (left + _TILE) // _CELL]
            np.maximum(into, found[: into.shape[0], : into.shape[1]], out=into)
    return result


def _starts(length: int) -> list[int]:
    """Return where tiles start so that they cover `length` pixels and overlap."""
    return [0, *range(_TILE - _OVERLAP, length - _OVERLAP, _TILE - _OVERLAP)] if length > _TILE else [0]


def _islands(cells: Map) -> list[list[Box]]:
    """Return what hangs together above the threshold and is certain somewhere, as the runs of cells in its rows."""
    mask = cells > _THRESHOLD
    parent: list[int] = []
    runs: list[Box] = []
    certain: list[bool] = []

    def root(label: int) -> int:
        while parent[label] != label:
            parent[label] = label = parent[parent[label]]
        return label

    before: list[int] = []
    for row in np.flatnonzero(mask.any(axis=1)).tolist():
        edges = np.flatnonzero(np.diff(np.concatenate(([0], mask[row].view(np.int8), [0])))).tolist()
        here: list[int] = []
        for left, right in zip(edges[::2], edges[1::2], strict=True):
            label = len(parent)
            parent.append(label)
            runs.append(Box(left, row, right - left, 1))
            certain.append(bool((cells[row, left:right] > _CERTAIN).any()))
            for other in before:
                if runs[other].bottom >= row and runs[other].x <= right and left <= runs[other].right:
                    old, new = root(other), root(label)
                    if old != new:
                        parent[old] = new
            here.append(label)
        before = here
    islands: dict[int, list[Box]] = {}
    for label, one in enumerate(runs):
        islands.setdefault(root(label), []).append(one)
    sure = {root(label) for label, is_sure in enumerate(certain) if is_sure}
    return [island for label, island in islands.items() if label in sure]
