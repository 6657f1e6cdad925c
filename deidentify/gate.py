"""The structural gate: proves that a file is a whole object before anything else reads it, and how it is built.

It looks at tags, VRs and lengths only, never at pixel data, and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field

from deidentify.charset import decode
from deidentify.errors import Refused
from deidentify.part10 import Head, dataset_walk, read_head
from deidentify.source import opened
from deidentify.walk import ELEMENT, Limits

__all__ = ["Limits", "Structure", "read_structure", "text"]

CHARACTER_SET, SOP_CLASS, SOP_INSTANCE = 0x00080005, 0x00080016, 0x00080018
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_DIRECTORY_RECORDS = 0x00041220
_DICOMDIR = b"1.2.840.10008.1.3.10"
_ALWAYS = frozenset({CHARACTER_SET, SOP_CLASS, SOP_INSTANCE, _DIRECTORY_RECORDS, *_PIXELS})
_LARGEST_VALUE = 1 << 16


@dataclass(frozen=True, slots=True)
class Structure:
    """A file that is a whole object.

    Attributes
    ----------
    size : int
        Of the file, in bytes.
    has_preamble : bool
        Whether it is a Part 10 file with preamble and prefix.
    transfer_syntax_uid : str
        How the data set is encoded.
    dataset_offset : int
        Where the data set starts.
    pixel_data_offset : int or None
        Where the element with the pixel data starts; None without one, or when the data set is deflated.
    elements : int
        Data elements at every depth.
    is_dicomdir : bool
        Whether this is a media directory (PS3.10 8.6) and not an object to store.
    values : dict of int to bytes
        Raw values of the wanted top-level elements that are there, shorter than 64 KiB.
    vrs : dict of int to str
        Their VRs as written; empty in implicit VR.
    """

    size: int
    has_preamble: bool
    transfer_syntax_uid: str
    dataset_offset: int
    pixel_data_offset: int | None
    elements: int
    is_dicomdir: bool
    values: dict[int, bytes] = field(repr=False)
    vrs: dict[int, str] = field(repr=False)


def read_structure(
    path: str | os.PathLike[str], wanted: Collection[int] = (), limits: Limits | None = None
) -> Structure:
    """Walk a file from its first to its last byte.

    A file without preamble is accepted when it walks cleanly from its first byte and names its SOP class and
    instance. Up to 64 KiB of zeros after the last element are taken for padding of the storage.

    Parameters
    ----------
    path : path-like
        A regular file; links are not followed.
    wanted : collection of int
        Tags of top-level elements, group 0002 included, whose raw values are collected on the way.
    limits : Limits, optional
        When to refuse; the defaults fit every object that a modality writes.

    Raises
    ------
    Refused
        With one of the codes ``unreadable``, ``empty``, ``too-large``, ``archive``, ``encrypted-zip``, ``not-dicom``,
        ``no-transfer-syntax``, ``truncated``, ``trailing-bytes``, ``malformed``, ``too-deep``, ``too-many-elements``.
    """
    limits = limits or Limits()
    tags = _ALWAYS.union(wanted)
    values: dict[int, bytes] = {}
    vrs: dict[int, str] = {}
    pixel_data: int | None = None
    is_dicomdir = False
    with opened(path, limits.size) as source:
        head = read_head(source)
        for tag in wanted:
            if tag in head.meta:
                values[tag] = head.meta[tag]
        try:
            with dataset_walk(source, head, limits) as walk:
                for kind, tag, vr, start, value, length in walk.events(tags):
                    if tag in _PIXELS:
                        pixel_data = start
                    elif tag == _DIRECTORY_RECORDS:
                        is_dicomdir = True
                    elif kind == ELEMENT and length <= _LARGEST_VALUE:
                        values[tag] = walk.source.read(value, length)
                        vrs[tag] = vr.decode("ascii")
                elements = walk.elements
        except Refused as refused:
            raise _for_bare_file(refused, head) from None
    if not head.has_preamble and not (values.get(SOP_CLASS) and values.get(SOP_INSTANCE)):
        raise Refused("not-dicom", "The file has no preamble and names no SOP class and instance.")
    return Structure(
        source.size,
        head.has_preamble,
        head.transfer_syntax_uid,
        head.dataset_offset,
        None if head.deflated else pixel_data,
        elements,
        is_dicomdir or head.meta.get(0x00020002, b"").rstrip(b"\0 ") == _DICOMDIR,
        values,
        vrs,
    )


def text(structure: Structure, tag: int) -> str:
    """Return a collected value as text, decoded with the object's character set; an empty string when it is absent.

    Never raises: bytes that do not fit the character set are replaced. Several values stay separated by a backslash.
    """
    return decode(structure.values.get(tag, b""), structure.values.get(CHARACTER_SET, b""))


def _for_bare_file(refused: Refused, head: Head) -> Refused:
    """A file without preamble and meta that does not walk is most likely no DICOM at all."""
    if head.has_preamble or head.meta or refused.code not in ("malformed", "truncated", "trailing-bytes"):
        return refused
    return Refused("not-dicom", "This is not a DICOM object, or it is damaged and has no preamble.")
