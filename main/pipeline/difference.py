"""Says in which elements two files with one SOP Instance UID differ: names of elements, never their values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement

_LARGE = 65536
_PIECE = 1 << 20


def differing_keywords(first: Path, second: Path) -> list[str]:
    """Keywords of the top-level elements in which two files differ, in order of tag; empty when the data sets are equal.

    Preamble and File Meta do not count: they tell how a copy travelled. Elements of the same bytes are equal, whatever
    their syntax; a copy in another transfer syntax therefore differs, at least in its pixel data.
    """
    try:
        one, other = (pydicom.dcmread(path, defer_size=_LARGE, force=True) for path in (first, second))
        tags = sorted({*one.keys(), *other.keys()})
        return [
            _name(tag)
            for tag in tags
            if _content(one, tag, first) != _content(other, tag, second)
            or not _same_large(one, other, tag, first, second)
        ]
    except Exception:  # noqa: BLE001 - pydicom raises many kinds on damaged files; such a pair differs as a whole
        return ["(not comparable)"]


def _name(tag: Any) -> str:
    if tag.is_private:
        return f"private ({tag.group:04X},{tag.element:04X})"
    return keyword_for_tag(tag) or f"({tag.group:04X},{tag.element:04X})"


def _content(dataset: pydicom.Dataset, tag: Any, path: Path) -> Any:
    if tag not in dataset:
        return None
    element = dataset.get_item(tag)
    if isinstance(element, RawDataElement):
        return element.length if element.value is None else element.value
    return element.to_json(None, 0) if element.VR == "SQ" else element.value


def _same_large(one: pydicom.Dataset, other: pydicom.Dataset, tag: Any, first: Path, second: Path) -> bool:
    """Compare values that were left in their files, piece by piece."""
    elements = one.get_item(tag), other.get_item(tag)
    if not all(
        isinstance(element, RawDataElement) and element.value is None and element.length for element in elements
    ):
        return True
    length = elements[0].length
    with open(first, "rb") as left, open(second, "rb") as right:
        left.seek(elements[0].value_tell)
        right.seek(elements[1].value_tell)
        while length > 0:
            piece = min(_PIECE, length)
            if left.read(piece) != right.read(piece):
                return False
            length -= piece
    return True
