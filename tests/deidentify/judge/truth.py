"""What the judge knows of one file that it has prepared: what must be gone, what must stay, and what must change alike.

Only data; who plants is in the `places_*` modules, who looks is in `scan`, `retention` and `integrity`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# Tags and item numbers in turn: (tag,), (tag, item, tag) and so on.
Path = tuple[int, ...]

# Dates and the times that belong to them.
PAIRS = ((0x00080020, 0x00080030), (0x00080022, 0x00080032), (0x00080023, 0x00080033), (0x00400244, 0x00400245))

WEIGHTS = {
    "direct attributes": 10,
    "new attributes": 5,
    "descriptors": 10,
    "dates": 8,
    "UIDs": 8,
    "nested sequences": 8,
    "private": 8,
    "structured report": 6,
    "unlisted attributes": 6,
    "burned-in pixels": 10,
    "overlays": 3,
    "curves": 2,
    "graphics": 3,
    "documents": 4,
    "preamble and meta": 4,
    "padding": 2,
    "icons": 2,
    "functional groups": 3,
    "RT and SEG": 3,
    "malformed": 4,
    "character sets": 5,
}


@dataclass(frozen=True, slots=True)
class Plant:
    """A marker in one place; any of its tokens in the output is a leak.

    ``tokens`` are words, ``digits`` are numbers that count only when no digit stands beside them, ``raw`` are bytes.
    With a ``path`` only the value there is searched, word by word, for names that are words as well.
    """

    category: str
    where: str
    shape: str
    tokens: tuple[str, ...] = ()
    digits: tuple[str, ...] = ()
    raw: tuple[bytes, ...] = ()
    path: Path = ()


@dataclass(frozen=True, slots=True)
class Keep:
    """Something that the recipe promises to keep: a whole value, or some words of it."""

    category: str
    path: Path
    value: str = ""
    words: tuple[str, ...] = ()
    creator: str = ""


@dataclass(frozen=True, slots=True)
class Ink:
    """Text that was drawn into the pixels: where, and which of the pixels are ink."""

    where: str
    box: tuple[int, int, int, int]
    mask: bytes


@dataclass
class Truth:
    """Everything known of one prepared file."""

    name: str
    kind: str
    patient: str
    transfer_syntax: str
    pseudonym: str
    plants: list[Plant] = field(default_factory=list)
    keeps: list[Keep] = field(default_factory=list)
    dates: list[tuple[Path, str, str]] = field(default_factory=list)
    uids: list[tuple[Path, str]] = field(default_factory=list)
    references: list[tuple[Path, str]] = field(default_factory=list)
    inks: list[Ink] = field(default_factory=list)
    pixels_stay: bool = True
    breaks_rules: bool = False
