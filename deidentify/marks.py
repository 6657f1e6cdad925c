"""The marks of a de-identified object and its new file meta information (PS3.15 E.1.1, PS3.10 7.1).

They say what was really done, and nothing of the source goes into them.
"""

from __future__ import annotations

from struct import pack

from deidentify.dictionary import TAGS, vr_of
from deidentify.elements import Encoding
from deidentify.identifiers import Identifiers
from deidentify.plan import weakened
from deidentify.recipe import Recipe

IMPLEMENTATION_CLASS_UID = "2.25.18983104435449589263263869225256031798"
IMPLEMENTATION_VERSION = "SENDIT_1"
BASIC_PROFILE = (("CodeValue", "113100"), ("CodingSchemeDesignator", "DCM"))
BASIC_PROFILE_MEANING = "Basic Application Confidentiality Profile"

_PLAIN = Encoding(implicit=False, little=True)


def marks(recipe: Recipe, identifiers: Identifiers, encoding: Encoding) -> dict[int, bytes]:
    """Return the encoded elements that say how an object was de-identified (PS3.3 C.12.1, C.7.6.2).

    A recipe whose overrides keep what the profile removes does not claim the profile's code, only its own name. The
    temporal information counts as modified when a date was supplied, and as unmodified when an override kept one.
    """
    kept = weakened(recipe)
    dates = {"DA", "TM", "DT"}
    temporal = "REMOVED"
    if any(vr in dates for tag, vr, value in identifiers.elements() if value and tag != TAGS["PatientBirthDate"]):
        temporal = "MODIFIED"
    if any(vr_of(TAGS[keyword]) in dates for keyword in kept):
        temporal = "UNMODIFIED"
    method = f"sendit {recipe.name}; PS3.15 {recipe.edition}"
    if recipe.overrides:
        method = f"{method}; {len(recipe.overrides)} overrides"
    result = dict(
        [
            _element(encoding, "PatientIdentityRemoved", "YES"),
            _element(encoding, "DeidentificationMethod", method),
            _element(encoding, "LongitudinalTemporalInformationModified", temporal),
        ]
    )
    if not kept:
        code = b"".join(_element(encoding, keyword, value)[1] for keyword, value in BASIC_PROFILE)
        code += _element(encoding, "CodeMeaning", BASIC_PROFILE_MEANING)[1]
        sequence = encoding.sequence(
            TAGS["DeidentificationMethodCodeSequence"], b"SQ", encoding.item([code], undefined=False), undefined=False
        )
        result[TAGS["DeidentificationMethodCodeSequence"]] = b"".join(p for p in sequence if isinstance(p, bytes))
    return result


def file_meta(sop_class: str, sop_instance: str, transfer_syntax: str) -> bytes:
    """Return a preamble of zeros, the prefix and the file meta information of an output."""
    elements = (
        _PLAIN.element(0x00020001, b"OB", b"\0\1")
        + _PLAIN.element(0x00020002, b"UI", sop_class.encode())
        + _PLAIN.element(0x00020003, b"UI", sop_instance.encode())
        + _PLAIN.element(0x00020010, b"UI", transfer_syntax.encode())
        + _PLAIN.element(0x00020012, b"UI", IMPLEMENTATION_CLASS_UID.encode())
        + _PLAIN.element(0x00020013, b"SH", IMPLEMENTATION_VERSION.encode())
    )
    return bytes(128) + b"DICM" + _PLAIN.element(0x00020000, b"UL", pack("<L", len(elements))) + elements


def _element(encoding: Encoding, keyword: str, value: str) -> tuple[int, bytes]:
    tag = TAGS[keyword]
    return tag, encoding.element(tag, vr_of(tag).encode(), value.encode("ascii"))
