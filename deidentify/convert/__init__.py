"""Converters: scripts of other tools into recipes, with a list of what could not be carried over.

What a script is silent about is never carried over as permission: the Basic Profile decides there.
"""

from deidentify.convert.ctp import from_ctp
from deidentify.convert.deid import from_deid
from deidentify.convert.draft import Converted, Left

__all__ = ["Converted", "Left", "from_ctp", "from_deid"]
