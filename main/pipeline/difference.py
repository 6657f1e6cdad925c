"""Says in which elements two files of one SOP instance differ: names of elements, never their values.

Two encodings of one content are equal: lengths of sequences, padding, and the order of how a copy travelled do not count.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pydicom
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

_LARGE = 1 << 16
_PIECE = 1 << 20
_TRAILING_PADDING = 0xFFFCFFFC


def differing_keywords(first: Path, second: Path) -> list[str]:
    """Keywords of the top-level elements in which two files differ, in order of tag; empty when the content is equal.

    Preamble, File Meta, group lengths and trailing padding do not count. Values are compared as they are encoded, without
    their padding, and sequences by their elements; a copy in another transfer syntax differs at least in its pixel data.
    """
    try:
        with open(first, "rb") as left, open(second, "rb") as right:
            one, other = (pydicom.dcmread(path, defer_size=_LARGE, force=True) for path in (first, second))
            return _differing(one, other, (left.fileno(), right.fileno()))
    except Exception:  # noqa: BLE001 - pydicom raises many kinds on damaged files; such a pair differs as a whole
        return ["(not comparable)"]


def _differing(one: Dataset, other: Dataset, files: tuple[int, int]) -> list[str]:
    tags = sorted({*one.keys(), *other.keys()})
    return [_name(tag) for tag in tags if _counts(tag) and not _same(one, other, tag, files)]


def _counts(tag: Any) -> bool:
    return tag.element != 0 and tag != _TRAILING_PADDING


def _name(tag: Any) -> str:
    if tag.is_private:
        return f"private ({tag.group:04X},{tag.element:04X})"
    return keyword_for_tag(tag) or f"({tag.group:04X},{tag.element:04X})"


def _same(one: Dataset, other: Dataset, tag: Any, files: tuple[int, int]) -> bool:
    if tag not in one or tag not in other:
        return False
    left, right = one.get_item(tag), other.get_item(tag)
    if isinstance(left, RawDataElement) and isinstance(right, RawDataElement):
        if left.value is None and right.value is None and left.length and right.length:
            return _same_deferred(left, right, files)
        if left.value is not None and right.value is not None and _trimmed(left) == _trimmed(right):
            return True
    left, right = one[tag], other[tag]
    if left.VR == "SQ" and right.VR == "SQ":
        return len(left.value) == len(right.value) and all(
            not _differing(a, b, files) for a, b in zip(left.value, right.value, strict=True)
        )
    if isinstance(left.value, bytes) and isinstance(right.value, bytes):
        return left.value.rstrip(b"\0") == right.value.rstrip(b"\0")
    return bool(left.value == right.value)


def _trimmed(element: RawDataElement) -> bytes:
    return bytes(element.value or b"").rstrip(b"\0 ")


def _same_deferred(left: RawDataElement, right: RawDataElement, files: tuple[int, int]) -> bool:
    """Compare values that were left in their files, piece by piece; only padding may follow the shorter one."""
    at, length = 0, min(left.length, right.length)
    while at < length:
        piece = min(_PIECE, length - at)
        if os.pread(files[0], piece, left.value_tell + at) != os.pread(files[1], piece, right.value_tell + at):
            return False
        at += piece
    return abs(left.length - right.length) <= 1
