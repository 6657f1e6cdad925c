"""What the leak check looks for: every spelling of every known value as bytes, and where each of them counts.

Nothing is searched here (`deidentify.leak.search`); which spellings there are is `deidentify.known`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from deidentify.charset import spellings
from deidentify.known import ANYWHERE, WHOLE, WORD, Known
from deidentify.spelling import is_alphabetic
from deidentify.text.vocabulary import safe

# Of a name that is also an ordinary word of descriptors: the whole value of a free text, and nothing coded.
ORDINARY = 3
_ASCII_WORD = re.compile(rb"[a-z0-9]+")
_SHORTEST_CORE = 3
_MOST_CLEAN, _LARGEST_CLEAN, _ENTRY = 1 << 22, 1 << 18, 200


class Needle(NamedTuple):
    """Bytes to look for, in lower case, and where they count.

    Attributes
    ----------
    value : bytes
        Lower case as `bytes.lower` makes it.
    reach : int
        One of `ANYWHERE`, `WORD`, `WHOLE` and `ORDINARY`.
    digits : bool
        A number only counts in text.
    date : bool
        A date of birth.
    uid : bool
        An original UID.
    bounded : bool
        No letter or digit may stand beside it; does not hold for scripts without spaces.
    """

    value: bytes
    reach: int
    digits: bool = False
    date: bool = False
    uid: bool = False
    bounded: bool = True


class Needles:
    """Everything to look for of one patient, by the longest run of letters and digits that each has.

    The runs are few, and a search for one is fast; only where one is, its needles are tried.

    Attributes
    ----------
    clean : dict of bytes to frozenset of bytes
        Encoded elements that were searched already, with what looks like a UID in each; up to four megabytes.
    """

    def __init__(self, needles: Iterable[Needle]) -> None:
        self._by_core: dict[bytes, list[Needle]] = {}
        self._always: list[Needle] = []
        for needle in sorted(needles):
            core = max(_ASCII_WORD.findall(needle.value.replace(b"\0", b"")), key=len, default=b"")
            if len(core) < _SHORTEST_CORE:
                self._always.append(needle)
            else:
                self._by_core.setdefault(core, []).append(needle)
        self.clean: dict[bytes, frozenset[bytes]] = {}
        self._size = 0

    def remember(self, element: bytes, uids: frozenset[bytes]) -> None:
        """Note that an encoded element holds no needle, and what in it looks like a UID."""
        size = len(element) + _ENTRY
        if size <= _LARGEST_CLEAN:
            if self._size + size > _MOST_CLEAN:
                self.clean.clear()
                self._size = 0
            self.clean[element] = uids
            self._size += size

    def present(self, text: bytes) -> list[Needle]:
        """Return the needles that are in `text`, which is in lower case."""
        bare = text.replace(b"\0", b"")
        found = [needle for needle in self._always if needle.value in text]
        for core, needles in self._by_core.items():
            if core in bare:
                found += [needle for needle in needles if needle.value in text]
        return found


@lru_cache(maxsize=64)
def needles_of(known: Known, legitimate: frozenset[str]) -> Needles:
    """Return what to look for of a patient, without dates that were put in on purpose."""
    return Needles({
        Needle(
            spelling,
            ORDINARY if form in safe() and reach != WHOLE else reach,
            digits=form.isdecimal(),
            date=form in known.dates,
            bounded=is_alphabetic(form),
        )
        for form, reach in known.forms.items()
        if form not in legitimate
        for spelling in spellings(form, known.character_set)
        if len(spelling) > 1
    })  # fmt: skip


def uid_needles(uids: Iterable[bytes]) -> list[Needle]:
    """Return what to look for when a UID was noticed: itself, and itself in UTF-16."""
    return [
        Needle(value, ANYWHERE, uid=True)
        for uid in uids
        for value in (uid, b"\0".join(uid[at : at + 1] for at in range(len(uid))))
    ]


__all__ = ["ANYWHERE", "ORDINARY", "WHOLE", "WORD", "Needle", "Needles", "needles_of", "uid_needles"]
