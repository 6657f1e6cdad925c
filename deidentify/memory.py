"""What elements of the top level became, by their bytes: the images of a series have most of their elements in common.

It only remembers; whether an element may be remembered at all is said in `deidentify.rewrite`.
"""

from __future__ import annotations

from typing import NamedTuple

from deidentify.frames import Part

LONGEST = 1 << 12
_MOST, _ENTRY = 1 << 20, 200

Key = bytes | tuple[str, bytes]
"""An encoded element, with the creator of its block when it is private."""


class Became(NamedTuple):
    """What one element became, with everything in it.

    Attributes
    ----------
    parts : tuple of (int, Part)
        What is written; nothing, when it was removed.
    names : tuple of str
        The rules that acted on it and on what is in it.
    originals : frozenset of bytes
        The UIDs in it that were replaced or removed.
    same : bool
        Whether it became what it was.
    """

    parts: tuple[tuple[int, Part], ...]
    names: tuple[str, ...]
    originals: frozenset[bytes]
    same: bool


class Memory(dict[Key, Became]):
    """What was made of elements under one plan, for one patient, in one encoding; forgotten when it grows too large."""

    def __init__(self) -> None:
        super().__init__()
        self._size = 0

    def remember(self, key: Key, size: int, became: Became) -> None:
        """Note what an element of `size` bytes became."""
        if self._size + size > _MOST:
            self.clear()
            self._size = 0
        self._size += size + _ENTRY
        self[key] = became
