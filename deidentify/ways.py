"""The ways back of many releases as one block of bytes: what they have in common is there once, and everything is deflated.

Bytes only. Nothing is sealed here: whoever stores a block seals it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from struct import pack, unpack_from

from deidentify.way_back import WayBack

_VERSION = 1
_LEVEL = 1  # what repeats is taken out before
_LARGE = 1 << 12  # what is longer is compared with the last one of its length, which is quicker than hashing it


class Ways:
    """Ways back by the SOP Instance UIDs of the releases.

    Attributes
    ----------
    size : int
        Bytes that are held.
    """

    def __init__(self) -> None:
        self._blobs: list[bytes] = []
        self._numbers: dict[bytes, int] = {}
        self._last: dict[int, int] = {}
        self._ways: dict[str, list[int]] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self._ways)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ways)

    def add(self, sop_instance_uid: str, way: WayBack) -> None:
        """Put a way back in, in place of one under the same UID."""
        place = self._place
        self._ways[sop_instance_uid] = [
            place(way.head),
            place(way.transfer_syntax_uid.encode("ascii")),
            place(way.tags),
            place(way.vrs),
            way.padding,
            len(way.lost),
            *way.lost,
            *map(place, way.runs),
        ]

    def get(self, sop_instance_uid: str) -> WayBack | None:
        """Return the way back to the original of a release, or None."""
        numbers = self._ways.get(sop_instance_uid)
        if numbers is None:
            return None
        blobs = self._blobs
        head, syntax, tags, vrs, padding, count, *rest = numbers
        return WayBack(
            blobs[head],
            blobs[syntax].decode("ascii"),
            blobs[tags],
            blobs[vrs],
            tuple(blobs[number] for number in rest[count:]),
            tuple(rest[:count]),
            padding,
        )

    def without(self, uids: set[str]) -> Ways:
        """Return the others."""
        left = Ways()
        for uid in self._ways.keys() - uids:
            way = self.get(uid)
            assert way is not None
            left.add(uid, way)
        return left

    def packed(self) -> bytes:
        """Return everything as one block."""
        words = [_VERSION, len(self._blobs), *map(len, self._blobs), len(self._ways)]
        names = []
        for uid, numbers in self._ways.items():
            name = uid.encode("ascii")
            words += [len(name), len(numbers), *numbers]
            names.append(name)
        return zlib.compress(pack(f"<L{len(words)}L", len(words), *words) + b"".join([*names, *self._blobs]), _LEVEL)

    @classmethod
    def unpacked(cls, block: bytes) -> Ways:
        """Return what `packed` was made of."""
        data = zlib.decompress(block)
        (count,) = unpack_from("<L", data)
        words = iter(unpack_from(f"<{count}L", data, 4))
        at = 4 + 4 * count
        if next(words) != _VERSION:
            raise ValueError("This block was packed by a later version.")
        lengths = [next(words) for _ in range(next(words))]
        ways = cls()
        for _ in range(next(words)):
            long, numbers = next(words), next(words)
            ways._ways[data[at : at + long].decode("ascii")] = [next(words) for _ in range(numbers)]
            at += long
        for length in lengths:
            ways._blobs.append(data[at : at + length])
            at += length
        ways.size = len(data)
        return ways

    def _place(self, blob: bytes) -> int:
        large = len(blob) > _LARGE
        found = self._last.get(len(blob)) if large else self._numbers.get(blob)
        if found is not None and (not large or self._blobs[found] == blob):
            return found
        number = len(self._blobs)
        self._blobs.append(blob)
        self.size += len(blob)
        if large:
            self._last[len(blob)] = number
        else:
            self._numbers[blob] = number
        return number
