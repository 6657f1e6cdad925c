"""One object's pixels: read, searched and blanked in every frame, and written again in the syntax they came in.

What is searched and blanked is decided in `deidentify.pixels.risk`; this module carries it out and refuses what it cannot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from deidentify.elements import Piece
from deidentify.errors import Refused
from deidentify.pixels.boxes import Box, joined
from deidentify.pixels.comments import comments
from deidentify.pixels.facts import PixelFacts
from deidentify.pixels.families import FAMILIES, JPEG
from deidentify.pixels.pieces import Patched, Spool, held
from deidentify.pixels.risk import REFUSE, SEARCH, Decision
from deidentify.source import Source

if TYPE_CHECKING:
    from deidentify.pixels.codecs import Samples

LARGEST_FRAME = 1 << 26
"""Pixels of a frame that is looked at, at most."""
LARGEST_BITS = 1 << 29
_COMMENTS = "comments in the compressed pixel data blanked"
_UNUSUAL = "The pixel data is built in a way that cannot be searched for text."


@dataclass(frozen=True)
class PixelSource:
    """Where the pixel data of an object is.

    Attributes
    ----------
    source : Source
        What holds it.
    offset, length : int
        The extent of its value; of fragments from the first item to the end of the sequence delimiter.
    encapsulated : bool
        Whether it is made of fragments.
    vr : bytes
        As written, or nothing.
    extended : bytes
        Value of (7FE0,0001) Extended Offset Table, where there is one.
    floating : bool
        Whether it is Float or Double Float Pixel Data.
    """

    source: Source
    offset: int
    length: int
    encapsulated: bool
    vr: bytes = b""
    extended: bytes = b""
    floating: bool = False


@dataclass(frozen=True)
class CleanedPixels:
    """What became of the pixel data of an object.

    Attributes
    ----------
    pieces : list of Piece, or None
        The new value, of even length, or all fragments with their delimiter; None when nothing was changed and the old
        value may be copied.
    encapsulated : bool
        Whether `pieces` are fragments, so that the element has no length.
    vr : bytes
        VR of the new value in explicit encodings.
    transfer_syntax_uid : str
        Of the output.
    header : dict of int to (bytes or None)
        Raw values of elements of the top level that have to be put in, or removed where None.
    boxes : tuple of Box
        What is blanked now, in every frame.
    searched : bool
        Whether text was looked for.
    notes : tuple of str
        What was done besides, in words for the certificate.
    """

    pieces: list[Piece] | None
    encapsulated: bool
    vr: bytes
    transfer_syntax_uid: str
    header: dict[int, bytes | None] = field(default_factory=dict)
    boxes: tuple[Box, ...] = ()
    searched: bool = False
    notes: tuple[str, ...] = ()


def cleaned(pixels: PixelSource, facts: PixelFacts, decision: Decision) -> CleanedPixels:
    """Carry out a decision about the pixels of an object (PS3.15 E.3.1).

    Parameters
    ----------
    pixels : PixelSource
        Where they are.
    facts : PixelFacts
        How they are built.
    decision : Decision
        From `decide`; one to keep searches nothing, but still removes what is hidden besides the picture.

    Raises
    ------
    Refused
        ``pixels-undecided``, when they cannot be decoded or searched, or a person has to decide.
    """
    if decision.kind == REFUSE:
        raise Refused("pixels-undecided", f"The image may carry text in its pixels: {decision.reason}.")
    frames = Frames(pixels, facts)
    boxes = joined(decision.boxes, facts.columns, facts.rows)
    if decision.kind == SEARCH:
        boxes = joined([*boxes, *frames.text()], facts.columns, facts.rows)
    return frames.written(boxes, searched=decision.kind == SEARCH)


def hides_something(pixels: PixelSource, facts: PixelFacts) -> bool:
    """Tell whether pixel data that would be kept holds more than its picture: bytes behind it, unused bits, comments.

    About 0.1 ms for each megabyte where it is not compressed.

    Raises
    ------
    Refused
        ``pixels-undecided``, when compressed pixel data cannot be told from what else is in it.
    """
    if pixels.encapsulated:
        return bool(comments(pixels.source, pixels.offset, pixels.length, facts.transfer_syntax_uid))
    if pixels.floating:
        return False
    frames = Frames(pixels, facts)
    if not frames.expected or frames.expected > pixels.length:
        return False
    if pixels.length > frames.expected + frames.expected % 2:
        return True
    return bool(frames.facts.stored < frames.facts.allocated and frames.hidden)


class Frames:
    """The frames of one object."""

    def __init__(self, pixels: PixelSource, facts: PixelFacts) -> None:
        full = facts.rows * facts.columns * 3 * max(facts.frames, 1)
        if facts.photometric == "YBR_FULL_422" and not pixels.encapsulated and pixels.length >= full:
            facts = replace(facts, photometric="YBR_FULL")
        self.pixels, self.facts = pixels, facts
        self.swapped = not facts.little and facts.allocated == 8 and pixels.vr != b"OB"
        self.expected = -(-facts.frame_bits * facts.frames // 8)
        if self.swapped and facts.frames == 1:
            self.expected += self.expected % 2

    def _refuse_unusual(self) -> None:
        """Refuse what is too large, or built in a way that this package does not know."""
        facts, native = self.facts, not self.pixels.encapsulated
        size = facts.rows * facts.columns
        if not size or not facts.frames or facts.samples not in (1, 3) or self.pixels.floating:
            raise Refused("pixels-undecided", _UNUSUAL)
        if facts.allocated not in (1, 8, 16, 32) or not facts.stored <= facts.high_bit + 1 <= facts.allocated:
            raise Refused("pixels-undecided", _UNUSUAL)
        if size > LARGEST_FRAME:
            raise Refused("pixels-undecided", f"An image of more than {LARGEST_FRAME} pixels is not searched for text.")
        if native and self.expected > self.pixels.length:
            raise Refused("pixels-undecided", "The pixel data is shorter than the header says.")
        odd = facts.photometric == "YBR_FULL_422" and (facts.columns % 2 or facts.allocated != 8)
        one_bit = facts.allocated == 1 and (facts.samples > 1 or self.expected * 8 > LARGEST_BITS)
        if native and (odd or one_bit or (self.swapped and self.expected // facts.frames % 2)):
            raise Refused("pixels-undecided", _UNUSUAL)

    @cached_property
    def family(self) -> str:
        """The family of codecs of encapsulated pixel data."""
        family = FAMILIES.get(self.facts.transfer_syntax_uid)
        if family is None or self.facts.allocated == 1:
            raise Refused("pixels-undecided", "No decoder is known for the transfer syntax, or it is video.")
        return family

    def streams(self) -> Iterator[bytes]:
        """Yield the frames of encapsulated pixel data as they are."""
        from deidentify.pixels.fragments import frames_of

        pixels, read = self.pixels, self.pixels.source.read
        for frame in frames_of(pixels.source, pixels.offset, pixels.length, self.facts.frames, pixels.extended):
            yield b"".join(read(at, size) for at, size in frame)

    def samples(self) -> Iterator[Samples]:
        """Yield the samples of each frame."""
        import numpy as np

        from deidentify.pixels.codecs import decoded
        from deidentify.pixels.samples import of_bytes

        self._refuse_unusual()
        facts, pixels = self.facts, self.pixels
        if pixels.encapsulated:
            for stream in self.streams():
                yield decoded(self.family, stream, facts)
        elif facts.allocated == 1:
            bits = np.unpackbits(np.frombuffer(self._value(), np.uint8), bitorder="little")
            size = facts.rows * facts.columns
            yield from bits[: size * facts.frames].reshape(facts.frames, facts.rows, facts.columns)
        else:
            for frame in self._native():
                yield of_bytes(frame, facts)

    def _value(self) -> bytes:
        return self.pixels.source.read(self.pixels.offset, self.expected)

    def _native(self) -> Iterator[bytes]:
        import numpy as np

        size = self.expected // self.facts.frames
        for number in range(self.facts.frames):
            frame = self.pixels.source.read(self.pixels.offset + number * size, size)
            if self.swapped:
                frame = np.frombuffer(frame, np.uint16).byteswap().tobytes()[: self.facts.frame_bits // 8]
            yield frame

    def __iter__(self) -> Iterator[Samples]:
        """Yield what a person sees of each frame."""
        from deidentify.pixels.samples import visible

        is_rgb = self.facts.photometric in ("YBR_RCT", "YBR_ICT") or (self.pixels.encapsulated and self.family == JPEG)
        for samples in self.samples():
            yield visible(samples, self.facts, rgb=is_rgb)

    def text(self) -> tuple[Box, ...]:
        """Return where text is, in the picture and in bits that no picture uses."""
        from deidentify.pixels.search import search

        return search(self, self.facts.frames)

    @cached_property
    def hidden(self) -> bool:
        """Whether bits that belong to no picture hold something."""
        from deidentify.pixels.samples import unused_bits

        if self.facts.stored >= self.facts.allocated:
            return False
        return any(unused_bits(samples, self.facts) for samples in self.samples())

    @cached_property
    def darkest(self) -> int:
        """The stored value of the darkest pixels where no value is black by definition."""
        from deidentify.pixels.samples import palette, visible

        facts = self.facts
        if facts.photometric == "PALETTE COLOR" and facts.palette:
            first, colours = palette(facts)
            return first + int(colours.sum(axis=1, dtype="int64").argmin())
        if not facts.signed or facts.samples > 1:
            return 0
        values = [visible(samples, facts, rgb=False) for samples in self.samples()]
        if facts.photometric == "MONOCHROME1":
            return max(int(value.max()) for value in values)
        return min(int(value.min()) for value in values)

    def written(self, boxes: tuple[Box, ...], *, searched: bool) -> CleanedPixels:
        """Return the pixel data with boxes blanked, in the same syntax where that can be done without loss."""
        facts, pixels = self.facts, self.pixels
        vr = pixels.vr or (b"OB" if facts.allocated <= 8 and not self.swapped else b"OW")
        same = CleanedPixels(None, pixels.encapsulated, vr, facts.transfer_syntax_uid, {}, boxes, searched)
        if pixels.encapsulated:
            hidden = searched and self.hidden
            if not boxes and not hidden:
                return self._without_comments(same)
            self._refuse_unusual()
            from deidentify.pixels.compressed import written

            return written(self, same, hidden=hidden)
        tail = pixels.length > self.expected + self.expected % 2
        if boxes or (facts.stored < facts.allocated and searched):
            self._refuse_unusual()
        hidden = facts.allocated > 1 and bool(facts.frame_bits) and self.expected <= pixels.length and self.hidden
        if not boxes and not hidden and not tail:
            return same
        notes = ("bytes behind the last frame removed",) * tail + ("unused bits cleared",) * hidden
        return replace(same, pieces=[*self._blanked(boxes, hidden=hidden), *_padding(self.expected)], notes=notes)

    def _without_comments(self, same: CleanedPixels) -> CleanedPixels:
        """Return compressed pixel data that stays, with what is in it beside the picture blank."""
        pixels = self.pixels
        found = comments(pixels.source, pixels.offset, pixels.length, self.facts.transfer_syntax_uid)
        if not found:
            return same
        return replace(same, pieces=self._patched(pixels.length, pixels.length, tuple(found)), notes=(_COMMENTS,))

    def _patched(self, length: int, frame: int, runs: tuple[tuple[int, bytes], ...]) -> list[Piece]:
        patched = Patched(self.pixels.offset, length, True, frame, runs)
        source = self.pixels.source
        return [patched] if source.fd >= 0 else held(b"".join(map(bytes, patched.blocks(source))))

    def _blanked(self, boxes: tuple[Box, ...], *, hidden: bool) -> list[Piece]:
        import numpy as np

        from deidentify.pixels.native import bits_blanked, black, runs
        from deidentify.pixels.samples import only_used_bits

        facts = self.facts
        if facts.allocated == 1:
            return held(bits_blanked(self._value(), facts, boxes))
        replaced = runs(
            facts, boxes, black(facts, self.darkest) if boxes else (0,) * facts.samples, swapped=self.swapped
        )
        if hidden:
            if self.swapped:
                raise Refused("pixels-undecided", _UNUSUAL)
            spool = Spool()
            for frame in self._native():
                plain = np.frombuffer(frame, f"{'<' if facts.little else '>'}u{facts.allocated // 8}")
                block = bytearray(only_used_bits(plain, facts).tobytes())
                for at, new in replaced:
                    block[at : at + len(new)] = new
                spool.write(bytes(block))
            return spool.pieces()
        return self._patched(self.expected, self.expected // facts.frames, replaced)


def _padding(length: int) -> list[Piece]:
    return [b"\0"] if length % 2 else []
