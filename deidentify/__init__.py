"""De-identification of DICOM objects by PS3.15 Annex E, as a library without Django.

The names below are the public API; everything else in this package is how they are made.
"""

from deidentify.compare import Change
from deidentify.engine import Deidentifier, Released
from deidentify.errors import Refused
from deidentify.gate import Limits, Structure, read_structure, text
from deidentify.identifiers import Identifiers
from deidentify.put_back import put_back
from deidentify.recipe import Recipe
from deidentify.restore import restore
from deidentify.way_back import WayBack
from deidentify.ways import Ways

__all__ = [
    "Change",
    "Deidentifier",
    "Identifiers",
    "Limits",
    "Recipe",
    "Refused",
    "Released",
    "Structure",
    "WayBack",
    "Ways",
    "put_back",
    "read_structure",
    "restore",
    "text",
]
