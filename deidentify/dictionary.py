"""What the data dictionary (PS3.6) says about a tag, as flat look-ups made once from pydicom's and from Table E.1-1.

No rule lives here: whether an attribute may stay is said by `deidentify.plan`.
"""

from __future__ import annotations

from functools import lru_cache

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom.datadict import mask_match

from deidentify.tables import table_e1_1

UNKNOWN = ""


def _vrs() -> dict[int, str]:
    known = {
        int(row.tag, 16): row.vr for row in table_e1_1().rows if row.vr and row.tag != "private" and "x" not in row.tag
    }
    known.update({tag: entry[0] for tag, entry in DicomDictionary.items()})
    return known


def _keywords() -> dict[int, str]:
    known = {
        int(row.tag, 16): row.keyword
        for row in table_e1_1().rows
        if row.keyword and row.tag != "private" and "x" not in row.tag
    }
    known.update({tag: entry[4] for tag, entry in DicomDictionary.items() if entry[4]})
    return known


VRS = _vrs()
KEYWORDS = _keywords()
TAGS = {keyword: tag for tag, keyword in KEYWORDS.items()}
_SEQUENCES = frozenset(tag for tag, vr in VRS.items() if vr == "SQ")


def is_sequence(tag: int) -> bool:
    """Tell whether the dictionary's VR of `tag` is SQ."""
    return tag in _SEQUENCES


@lru_cache(maxsize=4096)
def vr_of(tag: int) -> str:
    """Return the dictionary's VR of `tag`, such as ``OB or OW``, or `UNKNOWN`."""
    vr = VRS.get(tag)
    if vr is None:
        mask = mask_match(tag) if tag >> 16 & 1 == 0 else None
        vr = RepeatersDictionary[mask][0] if mask else UNKNOWN
    return vr


@lru_cache(maxsize=4096)
def keyword_of(tag: int) -> str:
    """Return the keyword of `tag`, or an empty string."""
    keyword = KEYWORDS.get(tag)
    if keyword is None:
        mask = mask_match(tag) if tag >> 16 & 1 == 0 else None
        keyword = RepeatersDictionary[mask][4] if mask else ""
    return keyword


def name_of(tag: int) -> str:
    """Return the keyword of `tag` or, without one, ``(gggg,eeee)``; safe to show, it holds no value."""
    return keyword_of(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
