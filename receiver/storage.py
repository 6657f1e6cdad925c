"""Which SOP classes are objects of a study that can be stored: those of the standard, and private ones.

From pydicom's table of the standard; a UID that is younger than the table is judged by where it lies.
"""

from __future__ import annotations

import re

from pydicom.uid import UID_dictionary

UID = re.compile(r"[0-9.]{1,64}")

_STANDARD, _STORAGE = "1.2.840.10008.", "1.2.840.10008.5.1.4.1.1."
# They carry "Storage" in their names and are no objects of a patient's study.
_OTHERS = (
    "1.2.840.10008.1.3.10",  # media directories
    "1.2.840.10008.1.20.",  # storage commitment
    "1.2.840.10008.5.1.4.38.",  # hanging protocols
    "1.2.840.10008.5.1.4.39.",  # colour palettes
    "1.2.840.10008.5.1.4.43.",  # implant templates
    "1.2.840.10008.5.1.4.44.",
    "1.2.840.10008.5.1.4.45.",
)


def is_storage(sop_class_uid: str) -> bool:
    """Tell whether objects of this SOP class are stored; a private class may be anything and is believed to be."""
    if not UID.fullmatch(sop_class_uid) or sop_class_uid.startswith(_OTHERS):
        return False
    known = UID_dictionary.get(sop_class_uid)
    if known is not None and known[0]:
        return known[1] == "SOP Class" and "Storage" in known[0]
    return sop_class_uid.startswith(_STORAGE) or not sop_class_uid.startswith(_STANDARD)
