"""Text in overlays and icons: small bitmaps that are looked at by the same detector as images (PS3.3 C.9.2, C.7.6.1.1.6).

It says whether there is text; what becomes of the overlay or icon is the caller's affair.
"""

from __future__ import annotations

from deidentify.errors import Refused
from deidentify.pixels.blank import Frames, PixelSource
from deidentify.pixels.facts import PixelFacts

LARGEST_OVERLAY = 1 << 26


def overlay_has_text(data: bytes, rows: int, columns: int, frames: int = 1) -> bool:
    """Tell whether the bitmap of an overlay holds text; what cannot be read counts as text.

    Parameters
    ----------
    data : bytes
        Value of (60xx,3000) Overlay Data, one bit for each pixel.
    rows, columns, frames : int
        Values of (60xx,0010), (60xx,0011) and (60xx,0015).
    """
    size = rows * columns
    if not size or frames < 1 or size * frames > min(LARGEST_OVERLAY, 8 * len(data)):
        return True
    import numpy as np

    from deidentify.pixels.search import search

    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[: size * frames]
    bitmaps = bits.reshape(frames, rows, columns) * np.uint8(255)
    try:
        return bool(search(iter(bitmaps), frames))
    except Refused:
        return True


def icon_has_text(pixels: PixelSource, facts: PixelFacts) -> bool:
    """Tell whether an icon image holds text; what cannot be decoded counts as text."""
    try:
        return bool(Frames(pixels, facts).text())
    except Refused:
        return True
