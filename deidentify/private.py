"""Private elements that the standard holds to be safe (PS3.15 Table E.3.10-1).

Only the look-up; what becomes of one is `deidentify.plan`.
"""

from __future__ import annotations

from functools import cache

from deidentify.tables import table_e3_10_1

_NUMBERS = "FD"  # of the few whose VR nobody states, times and vectors of an ultrasound device; text in them is no fit


@cache
def safe_private() -> dict[tuple[str, int], str]:
    """Return the VR of each safe element by Private Creator and tag, the block byte of the tag being 0."""
    return {(creator, int(tag.replace("x", "0"), 16)): vr or _NUMBERS for tag, creator, vr in table_e3_10_1()}
