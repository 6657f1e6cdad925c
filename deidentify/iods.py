"""The Type of an attribute in the IOD of an object, and what a combined action of Table E.1-1 comes to under it.

Where the Type is not known, or differs from place to place in the IOD, an action is resolved to what keeps an object
valid whatever it is.
"""

from __future__ import annotations

from deidentify.actions import DUMMY, DUMMY_IF_FILLED, EMPTY, REMOVE, UID
from deidentify.tables import types

UNKNOWN, OPTIONAL = 0, 3

# By action, for Type unknown, 1, 2 and 3. What is conditional (1C, 2C) counts as what it is when it is there.
_RESOLVED = {
    "X": (REMOVE, DUMMY, EMPTY, REMOVE),
    "Z": (EMPTY, DUMMY, EMPTY, EMPTY),
    "D": (DUMMY, DUMMY, DUMMY, DUMMY),
    "U": (UID, UID, UID, UID),
    "X/Z": (EMPTY, DUMMY, EMPTY, REMOVE),
    "X/D": (DUMMY_IF_FILLED, DUMMY, EMPTY, REMOVE),
    "Z/D": (DUMMY_IF_FILLED, DUMMY, EMPTY, EMPTY),
    "X/Z/D": (DUMMY_IF_FILLED, DUMMY, EMPTY, REMOVE),
    "X/Z/U*": (DUMMY_IF_FILLED, DUMMY_IF_FILLED, DUMMY_IF_FILLED, DUMMY_IF_FILLED),
}


def resolved(letters: str, kind: int) -> int:
    """Return the action that ``letters`` is for an attribute of Type 1, 2 or 3, or of `UNKNOWN` Type."""
    return _RESOLVED[letters][kind]


class Types:
    """Types of attributes by tag, for one SOP class."""

    def __init__(self, sop_class: str) -> None:
        self._types = types(sop_class)

    def one(self, tag: int) -> int:
        """Return the Type that the attribute has wherever it stands, or `UNKNOWN`."""
        kinds = self._types.get(tag, frozenset())
        return min(kinds) if len(kinds) == 1 else UNKNOWN

    def strictest(self, tag: int) -> int:
        """Return the least Type that the attribute has anywhere, `OPTIONAL` where it is not known."""
        return min(self._types.get(tag, (OPTIONAL,)))
