"""Searching the elements of an output, and the blocks of what is copied into it, for needles and original UIDs.

It names the place of a hit and never the value. What is looked for is `deidentify.leak.needles`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

from deidentify.dictionary import TAGS, name_of, vr_of
from deidentify.elements import Piece, Stretch
from deidentify.errors import Refused
from deidentify.known import DATE, KNOWN
from deidentify.leak import hidden
from deidentify.leak.needles import ANYWHERE, ORDINARY, WHOLE, WORD, Needle, Needles, uid_needles
from deidentify.source import Source
from deidentify.walk import ELEMENT, END_SEQUENCE, FRAGMENTS, ITEM, SEQUENCE, Limits, Walk

_BLOCK, _OVERLAP = 1 << 20, 1 << 12
_TEXT = CUSTOMIZABLE_CHARSET_VR | {"AE", "UR", "UN", "OB"}
_FREE_TEXT = CUSTOMIZABLE_CHARSET_VR
_DATES = frozenset({"DA", "DT"})
_OPAQUE = frozenset({b"OB", b"UN", b"OW"})
_SHORTEST_DEFLATED = 32
_CODE_MEANING = TAGS["CodeMeaning"]
_UID = re.compile(rb"[0-9.]{10,}")
_UID_BYTES = frozenset(b"0123456789.")
_WORD_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789")
_PRINTABLE = bytes(range(32, 127)) + b"\r\n\t"
_MOSTLY = 0.85

Element = tuple[str, int, str, bytes]
"""Path, tag, VR and value."""


@dataclass(frozen=True, slots=True)
class Search:
    """One search of one output.

    Attributes
    ----------
    needles : Needles
        Of the patient.
    originals : set of bytes
        UIDs that were replaced.
    implicit, little : bool
        Encoding of the output.
    source : Source
        What its stretches are read from.
    """

    needles: Needles
    originals: AbstractSet[bytes]
    implicit: bool
    little: bool
    source: Source

    def run(self, parts: Iterable[tuple[int, list[Piece]]]) -> None:
        """Search everything.

        An element that was found clean is remembered with what looks like a UID in it, because the images of a series
        have most of their elements in common; only the UIDs to look for are new with each image.
        """
        clean = self.needles.clean
        new: list[tuple[int, list[Piece], bytes]] = []
        for tag, pieces in parts:
            if len(pieces) == 1 and isinstance(pieces[0], bytes):
                data = pieces[0]
                uids = clean.get(data)
                if uids is not None:
                    if uids and not uids.isdisjoint(self.originals):
                        self._check_part(tag, pieces, data, uid_needles(uids & self.originals))
                    continue
            else:
                data = b"".join(piece for piece in pieces if isinstance(piece, bytes))
            new.append((tag, pieces, data))
        present = self.needles.present(b"\n".join(data for _, _, data in new).lower())
        for tag, pieces, data in new:
            uids = uids_in(data)
            found = [*present, *uid_needles(uids & self.originals)]
            if found:
                self._check_part(tag, pieces, data, found)
            self._check_hidden(tag, pieces, data)
            if len(pieces) == 1:
                self.needles.remember(data, uids)
            for piece in pieces:
                if isinstance(piece, Stretch) and not piece.pixels:
                    self._check_stretch(tag, piece)

    def _check_part(self, tag: int, pieces: list[Piece], data: bytes, found: list[Needle]) -> None:
        lower = data.lower()
        found = [needle for needle in found if needle.value in lower]
        if not found:
            return
        for path, element, vr, value in self._elements(tag, pieces, data):
            lower = value.lower()
            for needle in found:
                if self._counts(needle, element, vr, lower):
                    _refuse(path)

    def _elements(self, tag: int, pieces: list[Piece], data: bytes) -> Iterator[Element]:
        """Yield every innermost element of an encoded one; what stands around bulk data is one text."""
        if any(isinstance(piece, Stretch) for piece in pieces):
            yield name_of(tag), tag, "UN", data
            return
        limits = Limits(depth=1 << 10)
        walk = Walk(Source.of_bytes(data), 0, len(data), implicit=self.implicit, little=self.little, limits=limits)
        stack: list[list[object]] = []
        for kind, element, vr, _, value, length in walk.events():
            if kind == SEQUENCE:
                stack.append([name_of(element), -1])
            elif kind == ITEM and stack:
                stack[-1][1] += 1  # type: ignore[operator]  # the second is a number
            elif kind == END_SEQUENCE:
                stack.pop()
            elif kind in (ELEMENT, FRAGMENTS):
                path = "".join(f"{name}[{number}]." for name, number in stack) + name_of(element)
                yield path, element, vr.decode("ascii") or vr_of(element), data[value : value + length]

    def _counts(self, needle: Needle, tag: int, vr: str, value: bytes) -> bool:
        """Tell whether a needle in the value of an element is a leak; the value is in lower case."""
        if needle.date and vr in _DATES:
            return KNOWN.get(tag) == DATE and value.startswith(needle.value)
        plain = value.strip(b"\0 ")
        if needle.reach in (WHOLE, ORDINARY):
            allowed = _TEXT if needle.reach == WHOLE else _FREE_TEXT
            if vr not in allowed or (needle.reach == ORDINARY and tag == _CODE_MEANING):
                return False
            return needle.value in (part.strip(b" ") for part in plain.split(b"\\"))
        if vr not in _TEXT and (needle.digits or needle.reach == WORD):
            return False
        return plain == needle.value or _stands_in(needle, value)

    def _check_hidden(self, tag: int, pieces: list[Piece], data: bytes) -> None:
        """Search what is encoded or compressed inside an element."""
        self._check_streams(name_of(tag), data)
        if len(data) >= _SHORTEST_DEFLATED and (self.implicit or any(vr in data for vr in _OPAQUE)):
            for path, _, vr, value in self._elements(tag, pieces, data):
                if vr.encode() in _OPAQUE:
                    self._check_plain(path, hidden.inflated_whole(value))

    def _check_streams(self, path: str, data: bytes) -> None:
        self._check_plain(path, hidden.decoded(data))
        for content in hidden.inflated(data):
            self._check_plain(path, content)
            self._check_plain(path, hidden.decoded(content))

    def _check_plain(self, path: str, content: bytes) -> None:
        """Search bytes without a VR: short needles count only where it is text."""
        if not content:
            return
        lower = content.lower()
        found = self.needles.present(lower) + uid_needles(uids_in(content) & self.originals)
        if not found:
            return
        is_text = len(content.translate(None, _PRINTABLE)) < (1 - _MOSTLY) * len(content)
        for needle in found:
            short = needle.reach != ANYWHERE or needle.digits
            if needle.reach <= WORD and (is_text or not short) and _stands_in(needle, lower):
                _refuse(path)

    def _check_stretch(self, tag: int, stretch: Stretch) -> None:
        """Search bulk data block by block."""
        end = stretch.offset + stretch.length
        for offset in range(stretch.offset, end, _BLOCK):
            block = self.source.read(offset, min(_BLOCK + _OVERLAP, end - offset))
            self._check_plain(name_of(tag), block)
            self._check_streams(name_of(tag), block)
            if offset == stretch.offset:
                self._check_plain(name_of(tag), hidden.inflated_whole(block))


def uids_in(data: bytes) -> frozenset[bytes]:
    """Return everything in `data` that looks like a UID, also where a length or a tag beside it looks like a digit."""
    found = set(_UID.findall(data))
    if b"\0.\0" in data:
        found.update(_UID.findall(data.replace(b"\0", b"")))
    for uid in list(found):
        found.update((uid[1:], uid[:-1], uid[1:-1]))
    return frozenset(found)


def _stands_in(needle: Needle, value: bytes) -> bool:
    edge = _UID_BYTES if needle.uid else _WORD_BYTES if needle.bounded else frozenset()
    at = value.find(needle.value)
    while at >= 0:
        after = at + len(needle.value)
        before_is_edge = at == 0 or value[at - 1] not in edge
        if before_is_edge and (after == len(value) or value[after] not in edge):
            return True
        at = value.find(needle.value, at + 1)
    return False


def _refuse(path: str) -> None:
    raise Refused("leak", f"A known value of the patient is still in element {path} of the output.")
