"""The marks of a de-identified object and its new file meta information (PS3.15 E.1.1, PS3.10 7.1).

They say what was really done, and nothing of the source goes into them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from struct import pack

from deidentify.dictionary import TAGS, vr_of
from deidentify.elements import Encoding, Piece
from deidentify.plan import Plan
from deidentify.recipe.targets import TEMPORAL_VRS
from deidentify.tables import CLEAN_PIXELS
from deidentify.walk import UNDEFINED

IMPLEMENTATION_CLASS_UID = "2.25.18983104435449589263263869225256031798"
IMPLEMENTATION_VERSION = "SENDIT_1"
_SOFTWARE = {"Manufacturer": "sendit", "ManufacturerModelName": "sendit", "SoftwareVersions": IMPLEMENTATION_VERSION}
BASIC_PROFILE = "basic"
# CID 7050 of PS3.16, in the order in which they are written.
METHODS = {
    BASIC_PROFILE: ("113100", "Basic Application Confidentiality Profile"),
    CLEAN_PIXELS: ("113101", "Clean Pixel Data Option"),
    "clean-graphics": ("113103", "Clean Graphics Option"),
    "clean-structured-content": ("113104", "Clean Structured Content Option"),
    "clean-descriptors": ("113105", "Clean Descriptors Option"),
    "retain-full-dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "retain-modified-dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "retain-patient-characteristics": ("113108", "Retain Patient Characteristics Option"),
    "retain-device-identity": ("113109", "Retain Device Identity Option"),
    "retain-uids": ("113110", "Retain UIDs Option"),
    "retain-safe-private": ("113111", "Retain Safe Private Option"),
    "retain-institution-identity": ("113112", "Retain Institution Identity Option"),
}
_DEIDENTIFYING = ("109104", "De-identifying Equipment")
_TEMPORAL = {"remove": "REMOVED", "shift": "MODIFIED", "keep": "UNMODIFIED"}
_LONGEST_METHOD = 64
_UNDEFINED = pack("<L", UNDEFINED)  # the same in both byte orders

EQUIPMENT = TAGS["ContributingEquipmentSequence"]
_PLAIN = Encoding(implicit=False, little=True)


@dataclass(frozen=True, slots=True)
class Done:
    """What was done to an object, for those who say so.

    Attributes
    ----------
    plan : Plan
        That was carried out; it knows its recipe and which overrides were in effect.
    supplied : collection of str
        Keywords of the identifiers that were put in with a value.
    pixels_cleaned : bool
        Whether text that is burned in was searched in every frame, or the places where the device writes it were blanked.
    """

    plan: Plan
    supplied: Collection[str] = ()
    pixels_cleaned: bool = False

    @property
    def methods(self) -> tuple[str, ...]:
        """The profile and the options that may be claimed; none when an override keeps what they act on."""
        if self.plan.weakened:
            return ()
        done = {BASIC_PROFILE, *self.plan.recipe.options} - {CLEAN_PIXELS}
        if self.pixels_cleaned:
            done.add(CLEAN_PIXELS)
        return tuple(method for method in METHODS if method in done)

    @property
    def temporal(self) -> str:
        """REMOVED, MODIFIED or UNMODIFIED (PS3.3 C.12.1): what is true of the date or time that was changed least."""
        if self.plan.keeps_dates:
            return "UNMODIFIED"
        kept = _TEMPORAL[self.plan.recipe.dates.mode]
        put_in = any(vr_of(TAGS[name]) in TEMPORAL_VRS for name in self.supplied if name != "PatientBirthDate")
        return "MODIFIED" if kept == "REMOVED" and put_in else kept


def marks(done: Done, encoding: Encoding, equipment: list[Piece] | None = None) -> dict[int, bytes | list[Piece]]:
    """Return the encoded elements that say how an object was de-identified (PS3.3 C.12.1, C.7.6.1, C.7.5.1.1).

    Parameters
    ----------
    done : Done
        What was done.
    encoding : Encoding
        Of the top level of the object.
    equipment : list of bytes or Stretch, optional
        The ContributingEquipmentSequence of the output so far, encoded; an item is appended to it.

    Returns
    -------
    dict of int to bytes or list
        Encoded elements by tag. ``BurnedInAnnotation`` is among them only when pixels were cleaned; whether features
        are recognizable is not known here, so nothing is said about it.
    """
    recipe = done.plan.recipe
    method = f"sendit {recipe.name}; PS3.15 {recipe.edition}"
    overrides = len(recipe.overrides) + sum(len(when.overrides) for when in recipe.when)
    if overrides:
        method = f"{method}; {overrides} overrides"
    result: dict[int, bytes | list[Piece]] = dict(
        [
            _element(encoding, "PatientIdentityRemoved", "YES"),
            _element(encoding, "DeidentificationMethod", method[:_LONGEST_METHOD]),
            _element(encoding, "LongitudinalTemporalInformationModified", done.temporal),
        ]
    )
    if done.methods:
        result[TAGS["DeidentificationMethodCodeSequence"]] = _sequence(
            encoding, "DeidentificationMethodCodeSequence", [_code(encoding, *METHODS[name]) for name in done.methods]
        )
    if done.pixels_cleaned:
        result.update([_element(encoding, "BurnedInAnnotation", "NO")])
    result[EQUIPMENT] = _with_item(encoding, equipment or [])
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


def _with_item(encoding: Encoding, before: list[Piece]) -> list[Piece]:
    """Return ContributingEquipmentSequence with this software appended (PS3.3 C.12.1)."""
    head = before[0] if before and isinstance(before[0], bytes) else b""
    hidden = not encoding.implicit and head[4:6] == b"UN"  # PS3.5 6.2.2: implicit VR, little endian inside
    content = Encoding(implicit=True, little=True) if hidden else encoding
    parts = dict(_element(content, keyword, value) for keyword, value in _SOFTWARE.items())
    purpose = _code(content, *_DEIDENTIFYING)
    parts[TAGS["PurposeOfReferenceCodeSequence"]] = _sequence(content, "PurposeOfReferenceCodeSequence", [purpose])
    item = content.item([b"".join(part for _, part in sorted(parts.items()))], undefined=False)
    return encoding.sequence(EQUIPMENT, b"UN" if hidden else b"SQ", [*_items(encoding, before), *item], undefined=False)


def _items(encoding: Encoding, sequence: list[Piece]) -> list[Piece]:
    """Return what an encoded sequence holds, without its header and delimiter."""
    if not sequence:
        return []
    size = 8 if encoding.implicit else 12
    head = sequence[0]
    assert isinstance(head, bytes), "an encoded sequence starts with its header"
    pieces: list[Piece] = [head[size:], *sequence[1:]]
    last = pieces[-1]
    if head[size - 4 : size] == _UNDEFINED and isinstance(last, bytes):
        pieces[-1] = last[:-8]
    return pieces


def _code(encoding: Encoding, value: str, meaning: str) -> bytes:
    """Return the content of an item that is a code of DCM (PS3.3 8)."""
    return b"".join(
        _element(encoding, keyword, text)[1]
        for keyword, text in (("CodeValue", value), ("CodingSchemeDesignator", "DCM"), ("CodeMeaning", meaning))
    )


def _sequence(encoding: Encoding, keyword: str, items: list[bytes]) -> bytes:
    pieces = [piece for item in items for piece in encoding.item([item], undefined=False)]
    return b"".join(p for p in encoding.sequence(TAGS[keyword], b"SQ", pieces, undefined=False) if isinstance(p, bytes))


def _element(encoding: Encoding, keyword: str, value: str) -> tuple[int, bytes]:
    tag = TAGS[keyword]
    return tag, encoding.element(tag, vr_of(tag).encode(), value.encode("ascii"))
