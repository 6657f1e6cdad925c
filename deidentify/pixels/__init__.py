"""Text burned into pixels: who may carry it, where it is, and how it is blanked (PS3.15 E.3.1, Clean Pixel Data).

Importing this package loads neither numpy nor the text detector; both are loaded when pixels have to be looked at.
"""

from deidentify.pixels.blank import CleanedPixels, PixelSource, cleaned, hides_something
from deidentify.pixels.boxes import Box
from deidentify.pixels.facts import LONGEST_NEEDED, NEEDED, PixelFacts, facts_of
from deidentify.pixels.risk import BLANK, KEEP, REFUSE, SEARCH, Decision, decide, often_searched

__all__ = [
    "BLANK",
    "KEEP",
    "LONGEST_NEEDED",
    "NEEDED",
    "REFUSE",
    "SEARCH",
    "Box",
    "CleanedPixels",
    "Decision",
    "PixelFacts",
    "PixelSource",
    "cleaned",
    "decide",
    "facts_of",
    "hides_something",
    "often_searched",
]
