"""What an override is for: a keyword or tag, a VR, a private element or a private creator, and which actions fit it.

It checks one line; that no two lines contradict each other is `deidentify.recipe.reader`.
"""

from __future__ import annotations

import re

from deidentify.dictionary import TAGS, name_of, vr_of
from deidentify.recipe.policies import Override

ACTIONS = ("keep", "remove", "empty", "replace-dummy", "clean", "shift", "replace-uid")
FIXED = frozenset(
    {
        "SpecificCharacterSet",
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "PatientID",
        "PatientIdentityRemoved",
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
        "LongitudinalTemporalInformationModified",
    }
)
TEXT_VRS = frozenset({"AE", "AS", "CS", "DS", "IS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
TEMPORAL_VRS = frozenset({"DA", "DT", "TM"})
_VRS = TEXT_VRS | TEMPORAL_VRS | {"UI"}

_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_PRIVATE = re.compile(r"\(?([0-9A-Fa-f]{3}[13579BDFbdf]),?xx([0-9A-Fa-f]{2})\)?\s+(\S.{0,63})")
_CREATOR = re.compile(r"private:\s*(\S.{0,63})")
_VR = re.compile(r"VR:\s*([A-Z]{2})")


def override(key: str, action: str) -> Override:
    """Return the override that ``key: action`` is.

    Raises
    ------
    ValueError
        With a sentence on what is wrong with it.
    """
    if match := _VR.fullmatch(key):
        if match[1] not in _VRS:
            raise ValueError(f"{key!r}: an override by VR is for one of {', '.join(sorted(_VRS))}")
        _check(key, {match[1]}, action)
        return Override(action, vr=match[1])
    if match := _CREATOR.fullmatch(key):
        _check_private(key, action)
        return Override(action, creator=match[1].strip())
    if match := _PRIVATE.fullmatch(key):
        _check_private(key, action)
        return Override(action, tag=int(match[1] + "00" + match[2], 16), creator=match[3].strip())
    tag = _standard(key)
    _check(key, set(vr_of(tag).split(" or ")), action)
    return Override(action, tag=tag)


def _standard(key: str) -> int:
    match = _TAG.fullmatch(key)
    tag = int(match[1] + match[2], 16) if match else TAGS.get(key)
    if tag is None:
        raise ValueError(
            f"{key!r} is no keyword of PS3.6, no tag written as '0010,0020', no 'VR:UT', no 'private: CREATOR' and no "
            f"private element written as '(0029,xx10) CREATOR'"
        )
    if tag >> 16 & 1:
        raise ValueError(f"{key!r}: a private element is named with its creator, as '(0029,xx10) CREATOR'")
    if name_of(tag) in FIXED:
        raise ValueError(f"{name_of(tag)} follows from the profile and the identifiers and takes no override")
    if tag >> 16 < 8 or not vr_of(tag):
        raise ValueError(f"{key!r} is no attribute of a data set in PS3.6")
    return tag


def _check(key: str, vrs: set[str], action: str) -> None:
    if action == "shift" and not vrs & TEMPORAL_VRS:
        raise ValueError(f"{key!r} is no date or time that could be shifted")
    if action == "replace-uid" and "UI" not in vrs:
        raise ValueError(f"{key!r} is no UID that could be replaced")
    if action == "clean" and not vrs & (TEXT_VRS | {"SQ"}):
        raise ValueError(f"{key!r} is no text or sequence that could be cleaned")


def _check_private(key: str, action: str) -> None:
    if action in ("replace-dummy", "shift", "replace-uid"):
        raise ValueError(f"{key!r}: a private element is kept, removed, emptied or cleaned")
