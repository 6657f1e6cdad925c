"""The parts of a recipe as plain data: policies for dates, text, pixels and documents, overrides and filters.

Only what was written down; who carries it out reads it from here and imports nothing else of recipes.
"""

from __future__ import annotations

from dataclasses import dataclass

from deidentify.recipe.conditions import Condition


@dataclass(frozen=True, slots=True)
class DatePolicy:
    """What becomes of dates and times (PS3.15 E.3.6).

    Attributes
    ----------
    mode : str
        ``remove``, ``shift`` (option retain-modified-dates) or ``keep`` (option retain-full-dates).
    least_days, most_days : int
        Bounds of the shift of a patient, in days; never 0.
    times : str
        ``shift`` moves the time of day too, ``keep`` leaves it.
    """

    mode: str = "remove"
    least_days: int = 1
    most_days: int = 1826
    times: str = "shift"


@dataclass(frozen=True, slots=True)
class TextPolicy:
    """Words of the recipe's owner that always stay in cleaned text, and words that never do; case does not matter."""

    keep: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rectangles:
    """Where a known device writes text into its images.

    Attributes
    ----------
    conditions : Condition
        Which objects they are for.
    columns, rows : int
        The size of image they are for.
    boxes : tuple of (x, y, width, height)
        In pixels, from the upper left corner, which is 0, 0.
    """

    conditions: Condition
    columns: int
    rows: int
    boxes: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class PixelPolicy:
    """What becomes of text that is burned into pixels (PS3.15 E.3.1).

    Attributes
    ----------
    mode : str
        ``keep``, ``quarantine`` or ``clean``.
    rectangles : tuple of Rectangles
        Where known devices write.
    outside_regions : str
        ``search`` or ``blank`` what lies outside of the regions that an ultrasound image names.
    """

    mode: str = "keep"
    rectangles: tuple[Rectangles, ...] = ()
    outside_regions: str = "search"


@dataclass(frozen=True, slots=True)
class DocumentPolicy:
    """What becomes of an encapsulated document: ``remove`` (a dummy in its place), ``quarantine`` or ``clean``."""

    mode: str = "remove"


@dataclass(frozen=True, slots=True)
class Override:
    """One line under ``overrides``.

    Attributes
    ----------
    action : str
        A key of `deidentify.plan.BY_OVERRIDE`.
    tag : int, optional
        Of an attribute; with ``creator`` of a private element, its block byte being 0.
    vr : str
        Where the line is for every attribute of a VR.
    creator : str
        Of a private element, or of every element of its blocks.
    """

    action: str
    tag: int | None = None
    vr: str = ""
    creator: str = ""


@dataclass(frozen=True, slots=True)
class When:
    """Overrides for the objects that a condition holds for."""

    condition: Condition
    overrides: tuple[Override, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """Objects that the recipe does not release.

    Attributes
    ----------
    name : str
        How it is called where it acted.
    condition : Condition
        Which objects.
    action : str
        ``exclude`` or ``quarantine``.
    reason : str
        For the person who asks why; may be empty.
    """

    name: str
    condition: Condition
    action: str
    reason: str = ""
