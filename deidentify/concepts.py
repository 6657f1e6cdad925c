"""What becomes of SR content items by their concept name (PS3.15 Table E.3.4-1), compiled for the options in effect.

References keep their place in the tree with UIDs replaced, also where the table would remove them: there is nothing else
in them, and findings stay tied to their images.
"""

from __future__ import annotations

from functools import cache

from deidentify.actions import CLEAN, DUMMY, DUMMY_IF_FILLED, KEEP, REMOVE, SHIFT, UID
from deidentify.tables import Concept, table_e3_4_1

_BASIC = {"X": REMOVE, "D": DUMMY, "X/D": DUMMY_IF_FILLED}
_REFERENCES = frozenset({"IMAGE", "COMPOSITE", "WAVEFORM", "UIDREF"})
_TEMPORAL = frozenset({"DATE", "TIME", "DATETIME"})


@cache
def concepts(options: tuple[str, ...]) -> dict[tuple[str, str], dict[str, int]]:
    """Return actions by coding scheme and code value, and in it by value type."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in table_e3_4_1():
        found.setdefault((row.scheme, row.value), {})[row.value_type] = _action(row, options)
    return found


def _action(row: Concept, options: tuple[str, ...]) -> int:
    letters = {option: letter for option, letter in row.options.items() if option in options}
    if row.value_type in _TEMPORAL and "retain-modified-dates" in letters:
        return SHIFT
    if "K" in letters.values():
        return KEEP
    if "C" in letters.values():
        return CLEAN
    return UID if row.value_type in _REFERENCES else _BASIC[row.basic]
