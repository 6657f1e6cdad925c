"""The search for text in the frames of an object or a series: which pictures the detector sees.

Few frames are looked at one by one, many in groups by their brightest and darkest values, so that the time has a bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

import numpy as np

from deidentify.pixels.boxes import Box, joined
from deidentify.pixels.codecs import Samples
from deidentify.pixels.detector import text_boxes
from deidentify.pixels.network import Picture
from deidentify.pixels.samples import pictures

_GROUPS = 6
_ROUNDS = 2


def search(frames: Iterable[Samples], count: int) -> tuple[Box, ...]:
    """Return where text is in any of the frames.

    Parameters
    ----------
    frames : iterable of array
        What is visible of each, one at a time.
    count : int
        How many there are.
    """
    found: list[Box] = []
    seen: set[bytes] = set()
    shape: tuple[int, ...] = (0, 0)
    for projection in _projections(frames, -(-count // _GROUPS)):
        shape = projection.shape
        for picture in pictures(projection):
            content = sha256(picture.tobytes()).digest()
            if content not in seen:
                seen.add(content)
                found += _all_text(picture)
    return joined(found, shape[1], shape[0])


def _projections(frames: Iterable[Samples], size: int) -> Iterator[Samples]:
    """Yield the frames when a group is of one, else the largest and smallest values of each group."""
    high: Samples | None = None
    low: Samples | None = None
    inside = 0
    for frame in frames:
        if high is None or low is None:
            high, low = frame, frame
        else:
            high, low = np.maximum(high, frame), np.minimum(low, frame)
        inside += 1
        if inside == size:
            yield high
            if size > 1:
                yield low
            high, low, inside = None, None, 0
    if high is not None and low is not None:
        yield high
        yield low


def _all_text(picture: Picture) -> list[Box]:
    """Return where text is; what was found is blanked and the rest looked at again, until nothing more comes."""
    found: list[Box] = []
    for _ in range(_ROUNDS + 1):
        more = text_boxes(picture)
        if not more:
            break
        found += more
        picture = picture.copy()
        darkest = picture.min()
        for box in joined(more, picture.shape[1], picture.shape[0]):
            picture[box.y : box.bottom, box.x : box.right] = darkest
    return found
