"""The search for text in the frames of an object or a series: which pictures the detector sees.

What is the same in all frames is seen once, in the brightest and the darkest value that each pixel has; what changes is
seen frame by frame. Of very many frames, neighbours are looked at together, so that the time has a bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from deidentify.pixels.boxes import Box, joined
from deidentify.pixels.codecs import Samples
from deidentify.pixels.detector import text_beside, text_boxes
from deidentify.pixels.network import Picture
from deidentify.pixels.samples import pictures, whole

_FEW, _GROUPS = 6, 48
_ROUNDS = 2
# Grey levels that differ less than this part of their range are the same to a reader.
_SAME = 0.02
_AROUND = 24
# So many grey levels a screen shows all at once.
_LEVELS = 256


def search(frames: Iterable[Samples], count: int) -> tuple[Box, ...]:
    """Return where text is in any of the frames.

    Up to six frames are looked at one by one. Of more, their brightest and darkest projection are, and then each frame,
    as far as it differs from the others, without the largest size and without what was found before: so text is found
    too that stands in one frame only, and in other frames lies under what is brighter and over what is darker.

    Parameters
    ----------
    frames : iterable of array
        What is visible of each, one at a time; it is gone through twice where there are many.
    count : int
        How many there are.
    """
    found: list[Box] = []
    if count <= _FEW:
        shape: tuple[int, ...] = (0, 0)
        for frame in frames:
            shape = frame.shape
            found += _all_text(frame)
        return joined(found, shape[1], shape[0])
    high, low = _projections(frames)
    rows, columns = high.shape[:2]
    found += _all_text(high)
    found += _all_text(_without(low, joined(found, columns, rows)))
    moving = _moving(*(_without(one, joined(found, columns, rows)) for one in (high, low)))
    if moving is not None:
        for picture in _groups(frames, -(-count // _GROUPS)):
            found += _more_text(picture, moving, joined(found, columns, rows))
    return joined(found, columns, rows)


def _projections(frames: Iterable[Samples]) -> tuple[Samples, Samples]:
    """Return the largest and the smallest value of each pixel."""
    high = low = None
    for frame in frames:
        high = frame if high is None else np.maximum(high, frame)
        low = frame if low is None else np.minimum(low, frame)
    assert high is not None, "there are frames"
    assert low is not None, "there are frames"
    return high, low


def _groups(frames: Iterable[Samples], size: int) -> Iterator[Samples]:
    """Yield each frame when a group is of one, else the projections of each group."""
    if size == 1:
        yield from frames
        return
    following = iter(frames)
    while group := list(islice(following, size)):
        yield from _projections(group)


def _moving(high: Samples, low: Samples) -> Box | None:
    """Return the part of the picture in which frames differ."""
    least, most = float(low.min()), float(high.max())
    differences = high.astype(np.float32) - low.astype(np.float32)
    if differences.ndim == 3:
        differences = differences.max(axis=2)
    changes = differences > (most - least) * _SAME
    rows, columns = np.flatnonzero(changes.any(axis=1)), np.flatnonzero(changes.any(axis=0))
    if not rows.size:
        return None
    box = Box(int(columns[0]), int(rows[0]), int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1)
    return box.grown(_AROUND).clipped(high.shape[1], high.shape[0])


def _all_text(frame: Samples) -> list[Box]:
    """Return where text is; what was found is blanked and the rest looked at again, until nothing more comes.

    Then the ends of what was found are looked at close up, with all of the grey values.
    """
    found: list[Box] = []
    for picture in pictures(frame):
        for _ in range(_ROUNDS + 1):
            more = text_boxes(picture)
            if not more:
                break
            found += more
            picture = _without(picture, joined(more, picture.shape[1], picture.shape[0]))
    return [*found, *text_beside(whole(frame), found)] if found else []


def _more_text(frame: Samples, part: Box, known: tuple[Box, ...]) -> list[Box]:
    """Return where text is in a part of a frame, besides what is known."""
    rest = _without(frame, known)[part.y : part.bottom, part.x : part.right]
    shown = pictures(rest)
    if int(rest.max()) - int(rest.min()) < _LEVELS:
        shown = shown[-1:]
    return [
        Box(part.x + box.x, part.y + box.y, box.width, box.height)
        for picture in shown
        for box in text_boxes(picture, enlarged=False)
    ]


def _without(picture: Picture | Samples, boxes: tuple[Box, ...]) -> Samples:
    """Return a copy with boxes as dark as the darkest pixel."""
    result, darkest = picture.copy(), picture.min()
    for box in boxes:
        result[box.y : box.bottom, box.x : box.right] = darkest
    return result
