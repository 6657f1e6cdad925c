"""An object written again with other values in elements that it has: how it was, as far as a table says it.

For tables that other programs kept; from a way back the original is made by `deidentify.restore`. Pixel data is copied
without being loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from deidentify import output
from deidentify.charset import encode
from deidentify.dictionary import keyword_of, vr_of
from deidentify.elements import Encoding, Piece, Stretch
from deidentify.gate import CHARACTER_SET, SOP_CLASS, SOP_INSTANCE
from deidentify.marks import file_meta
from deidentify.part10 import dataset_walk, read_head
from deidentify.source import opened
from deidentify.walk import ELEMENT, Limits
from deidentify.way_back import top_level


def put_back(
    source: str | os.PathLike[str],
    values: Mapping[str, str],
    target: str | os.PathLike[str],
    limits: Limits | None = None,
) -> tuple[str, ...]:
    """Write an object with `values` in those elements of its top level that it has.

    A file without preamble and File Meta gets both (PS3.10 7.1). The target is created exclusively and not synced; when
    this raises there is none.

    Parameters
    ----------
    source, target : path-like
        The object, and the path of a file that is not there yet.
    values : mapping of str to str
        By keyword; several values of one element are separated by a backslash.
    limits : Limits, optional
        When to refuse a file.

    Returns
    -------
    tuple of str
        Keywords of the elements that have another value now.

    Raises
    ------
    Refused
        ``bad-identifier`` when the object's character set cannot express a value; else what the walk refuses.
    OSError
        When the disk is full or fails, or the target is there already.
    """
    limits = limits or Limits()
    with opened(source, limits.size) as file:
        head = read_head(file)
        encoding = Encoding(implicit=head.implicit, little=head.little)
        with dataset_walk(file, head, limits) as walk:
            elements = top_level(walk)
            told = (CHARACTER_SET, SOP_CLASS, SOP_INSTANCE)
            raw = {event[1]: walk.source.read(event[4], event[5]) for event, _ in elements if event[1] in told}
            pieces, changed = list[Piece](), list[str]()
            for event, stop in elements:
                kind, tag, vr, start, _, _ = event
                keyword = keyword_of(tag)
                if kind == ELEMENT and keyword in values:
                    value = encode(values[keyword], raw.get(CHARACTER_SET, b""))
                    pieces.append(encoding.element(tag, vr or vr_of(tag).encode("ascii"), value))
                    changed.append(keyword)
                else:
                    pieces.append(Stretch(start, stop - start, pixels=False))
            before = file.read(0, head.dataset_offset)
            if not before:
                sop_class, instance = (raw.get(tag, b"").decode("ascii", "replace").strip("\0 ") for tag in told[1:])
                before = file_meta(sop_class, instance, head.transfer_syntax_uid)
            with output.created(Path(target)) as sink:
                output.write(sink, before, pieces, walk.source, deflated=head.deflated)
    return tuple(changed)
