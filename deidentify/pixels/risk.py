"""Which objects may carry text in their pixels, and what is done about each kind: the one table of that.

It looks at the header alone. BurnedInAnnotation can raise a risk and never lowers one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deidentify.pixels.boxes import Box, outside
from deidentify.pixels.facts import PixelFacts
from deidentify.recipe.policies import PixelPolicy

KEEP, BLANK, SEARCH, REFUSE = range(4)

_STORAGE = "1.2.840.10008.5.1.4.1.1."

# Computed from other objects, never drawn by a screen: their values are labels, doses or parameters.
_NO_PICTURE = frozenset(
    _STORAGE + end
    for end in (
        "66.4",  # Segmentation
        "66.7",  # Label Map Segmentation
        "30",  # Parametric Map
        "481.2",  # RT Dose
    )
)
# Slices that a scanner reconstructs: pixels of an original image of theirs are measurements.
_SCANNERS = frozenset(
    _STORAGE + end
    for end in (
        "2",  # CT
        "2.1",  # Enhanced CT
        "2.2",  # Legacy Converted Enhanced CT
        "4",  # MR
        "4.1",  # Enhanced MR
        "4.2",  # MR Spectroscopy
        "4.3",  # Enhanced MR Color
        "4.4",  # Legacy Converted Enhanced MR
        "20",  # Nuclear Medicine
        "128",  # PET
        "128.1",  # Legacy Converted Enhanced PET
        "130",  # Enhanced PET
        "13.1.3",  # Breast Tomosynthesis
        "13.1.1",  # X-Ray 3D Angiographic
        "13.1.2",  # X-Ray 3D Craniofacial
        "14.1",  # Intravascular OCT, for presentation
        "14.2",  # Intravascular OCT, for processing
        "77.1.6",  # VL Whole Slide Microscopy
    )
)
_VIDEO = frozenset(
    f"1.2.840.10008.1.2.4.{number}{end}"
    for number in (100, 101, 102, 103, 104, 105, 106, 107, 108)
    for end in ("", ".1")
)
# Words of ImageType, value 3 and later, that stand for pages, pictures of screens, and slices with drawings on them.
_DRAWN = (
    "SCREEN",
    "CAPTURE",
    "SECONDARY",
    "PROT",
    "REPORT",
    "DOSE",
    "POSDISP",
    "LOCALIZER",
    "SCOUT",
    "TOPOGRAM",
    "OVERVIEW",
    "THUMBNAIL",
    "LABEL",
    "GRAPH",
    "TABLE",
    "CURVE",
    "TEXT",
    "FILM",
    "DOCUMENT",
    "RESULT",
    "SUMMARY",
    "SAVE",
    "RGB",
    "FUSION",
    "3D",
)
_SLIDE = _STORAGE + "77.1.6"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done about the pixels of one object.

    Attributes
    ----------
    kind : int
        `KEEP`: copied without being loaded. `BLANK`: `boxes` are blanked. `SEARCH`: `boxes` are blanked, and so is
        every text that is found. `REFUSE`: a person has to look.
    boxes : tuple of Box
        What is blanked in any case.
    reason : str
        Why, in a few words without any value of the object.
    """

    kind: int
    boxes: tuple[Box, ...] = ()
    reason: str = ""


def decide(facts: PixelFacts, policy: PixelPolicy, values: Mapping[int, bytes] | None = None) -> Decision:
    """Return what a recipe wants to be done about the pixels of an object (PS3.15 E.3.1).

    Parameters
    ----------
    facts : PixelFacts
        Of the object.
    policy : PixelPolicy
        Of the recipe.
    values : mapping of int to bytes, optional
        Raw values of the top level, which the conditions of rectangles are asked about; without them no rectangle fits.
    """
    if policy.mode == "keep":
        return Decision(KEEP, reason="the recipe keeps pixel data")
    risk = _risk(facts)
    if policy.mode == "quarantine":
        return Decision(REFUSE, reason=risk) if risk else Decision(KEEP, reason="a slice of a scanner")
    boxes = tuple(
        box
        for rectangles in policy.rectangles
        if (rectangles.columns, rectangles.rows) == (facts.columns, facts.rows)
        and rectangles.conditions.matches(values or {}, little=facts.little)
        for box in (Box(*sides) for sides in rectangles.boxes)
    )
    if policy.outside_regions == "blank" and facts.regions:
        boxes += outside(facts.regions, facts.columns, facts.rows)
    if facts.transfer_syntax_uid in _VIDEO and (risk or boxes):
        return Decision(REFUSE, reason="video can be searched by a person only")
    if facts.sop_class == _SLIDE and "LABEL" in facts.image_type:
        return Decision(BLANK, (Box(0, 0, facts.columns, facts.rows),), "a picture of a slide's label")
    if risk:
        return Decision(SEARCH, boxes, risk)
    if boxes:
        return Decision(BLANK, boxes, "boxes that the recipe asks for")
    return Decision(KEEP, reason="a slice of a scanner")


def often_searched(sop_class: str) -> bool:
    """Tell whether images of a class are searched as a rule, so that each takes seconds instead of milliseconds."""
    return sop_class not in _SCANNERS and sop_class not in _NO_PICTURE


def _risk(facts: PixelFacts) -> str:
    """Say why an object may carry text; empty when it may not."""
    if facts.sop_class in _NO_PICTURE:
        return "BurnedInAnnotation is YES" if facts.burned_in == "YES" else ""
    if facts.sop_class not in _SCANNERS:
        return "a SOP class whose images often carry text"
    if facts.burned_in == "YES":
        return "BurnedInAnnotation is YES"
    if facts.conversion_type:
        return "it was converted from something else"
    if facts.overlay_in_pixels:
        return "an overlay lies in its pixel data"
    if len(facts.image_type) < 2 or (facts.image_type[1] != "PRIMARY" and not facts.placed):
        return "not a slice of its scanner"
    if any(word in part for part in facts.image_type[2:] for word in _DRAWN):
        return "an image type that often carries text"
    if facts.sop_class != _SLIDE and (facts.samples != 1 or 0 < facts.stored <= 8):
        return "colours or grey levels of a screen"
    return ""
