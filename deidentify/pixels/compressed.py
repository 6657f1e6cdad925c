"""Compressed pixel data with boxes blanked: the same syntax without further loss, or uncompressed where that fails.

Lossy JPEG keeps every block outside of the boxes as it is; all other syntaxes are decoded and encoded without loss.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from deidentify.dictionary import TAGS
from deidentify.part10 import EXPLICIT_LITTLE
from deidentify.pixels import jpeg
from deidentify.pixels.blank import CleanedPixels, Frames
from deidentify.pixels.boxes import Box, joined
from deidentify.pixels.codecs import Samples, decoded, encoded, form_of
from deidentify.pixels.families import JPEG, WRITTEN_AS
from deidentify.pixels.fragments import DELIMITER, even, fragment_head, table_item
from deidentify.pixels.native import black
from deidentify.pixels.pieces import Spool
from deidentify.pixels.samples import only_used_bits

_EXTENDED_TABLES = (0x7FE00001, 0x7FE00002)
_SAME = "blocks of lossy JPEG under the boxes replaced, all others untouched"
_AGAIN = "decoded and encoded again without loss"
_PLAIN = "decoded and stored uncompressed, because it cannot be encoded again without loss"


class _NotPossible(Exception):
    """A frame cannot be written again in its own syntax."""


def written(frames: Frames, same: CleanedPixels, *, hidden: bool) -> CleanedPixels:
    """Return encapsulated pixel data with the boxes of `same` blanked and unused bits cleared.

    Raises
    ------
    Refused
        ``pixels-undecided``.
    """
    try:
        return _in_its_syntax(frames, same, hidden=hidden)
    except (_NotPossible, jpeg.Unsupported):
        return _uncompressed(frames, same, hidden=hidden)


def _in_its_syntax(frames: Frames, same: CleanedPixels, *, hidden: bool) -> CleanedPixels:
    facts, family = frames.facts, frames.family
    spool, lengths, boxes = Spool(), list[int](), list[Box]()
    for stream in frames.streams():
        if family == JPEG:
            bright, rgb = facts.photometric == "MONOCHROME1", facts.photometric == "RGB"
            frame, done = jpeg.blanked(stream, same.boxes, bright=bright, rgb=rgb)
            boxes += done
        else:
            form = form_of(family, stream, facts)
            samples = _blanked(frames, decoded(family, stream, facts), same.boxes, form.precision, hidden=hidden)
            again = encoded(family, samples, form, facts)
            if again is None:
                raise _NotPossible
            frame = again
        frame = even(frame)
        lengths.append(len(frame))
        spool.write(fragment_head(len(frame)) + frame)
    header: dict[int, bytes | None] = dict.fromkeys(_EXTENDED_TABLES)
    if facts.photometric == "YBR_ICT":
        header[TAGS["PhotometricInterpretation"]] = b"YBR_RCT "
    return replace(
        same,
        pieces=[table_item(lengths), *spool.pieces(), DELIMITER],
        vr=b"OB",
        transfer_syntax_uid=WRITTEN_AS.get(facts.transfer_syntax_uid, facts.transfer_syntax_uid),
        header=header,
        boxes=tuple(dict.fromkeys(boxes)) or same.boxes,
        notes=(_SAME if family == JPEG else _AGAIN,) + ("unused bits cleared",) * hidden,
    )


def _uncompressed(frames: Frames, same: CleanedPixels, *, hidden: bool) -> CleanedPixels:
    facts, family = frames.facts, frames.family
    if facts.samples > 1 and (family == JPEG or facts.photometric in ("YBR_RCT", "YBR_ICT")):
        frames.facts = replace(facts, photometric="RGB")
    spool, size = Spool(), 0
    for stream in frames.streams():
        samples = decoded(family, stream, facts)
        precision = form_of(family, stream, facts).precision
        samples = _blanked(frames, samples, same.boxes, precision, hidden=hidden)
        block = samples.astype(f"<u{facts.allocated // 8}").tobytes()
        size += len(block)
        spool.write(block)
    header: dict[int, bytes | None] = dict.fromkeys(_EXTENDED_TABLES)
    if facts.samples > 1:
        name = frames.facts.photometric.encode()
        header[TAGS["PhotometricInterpretation"]] = name + b" " * (len(name) % 2)
        header[TAGS["PlanarConfiguration"]] = b"\0\0"
    return replace(
        same,
        pieces=[*spool.pieces(), *([b"\0"] if size % 2 else [])],
        encapsulated=False,
        vr=b"OW" if facts.allocated > 8 else b"OB",
        transfer_syntax_uid=EXPLICIT_LITTLE,
        header=header,
        boxes=joined(same.boxes, facts.columns, facts.rows),
        notes=(_PLAIN,) + ("unused bits cleared",) * hidden,
    )


def _blanked(frames: Frames, samples: Samples, boxes: tuple[Box, ...], precision: int, *, hidden: bool) -> Samples:
    """Return the samples of a codestream with the boxes black."""
    samples = only_used_bits(samples, frames.facts) if hidden else samples.copy()
    values = np.array(black(frames.facts, frames.darkest)) & ((1 << precision) - 1)
    if samples.dtype.kind == "i":
        values = np.where(values >> (precision - 1) == 1, values - (1 << precision), values)
    for box in boxes:
        samples[box.y : box.bottom, box.x : box.right] = values.astype(samples.dtype)
    return samples
