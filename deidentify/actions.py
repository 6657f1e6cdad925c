"""The elementary actions that every rule comes down to.

Only names for numbers; which attribute gets which is `deidentify.plan`, how each is carried out `deidentify.rewrite`.

- ``KEEP`` as it is, when it fits its VR; a sequence keeps its items, and everything in them follows its own rule.
- ``REMOVE``, ``EMPTY``, ``DUMMY``, ``DUMMY_IF_FILLED`` (an empty one stays empty).
- ``UID`` replaced by the keyed UID; ``UID_OF_KIND`` kept when PS3.6 registers it, replaced otherwise.
- ``CHARACTER_SET`` kept when every term is a defined one.
- ``CLEAN`` text goes through the text cleaner. Left empty it is removed (Type 3), emptied (2) or a dummy (1). A sequence
  keeps its items as under ``KEEP``.
- ``SHIFT`` dates and times move by the patient's shift; what cannot be read as one goes as under ``CLEAN``.
- ``TECHNICAL`` as ``CLEAN``, with the vocabulary of technical values.
"""

from __future__ import annotations

from typing import NamedTuple

KEEP, REMOVE, EMPTY, DUMMY, DUMMY_IF_FILLED, UID, UID_OF_KIND, CHARACTER_SET, CLEAN, SHIFT, TECHNICAL = range(11)


class Rule(NamedTuple):
    """What happens to an attribute.

    Attributes
    ----------
    action : int
        One of the actions of this module.
    name : str
        How the rule is called in counts and comparisons.
    sequence : bool
        Whether the dictionary's VR is SQ.
    type : int
        1, 2 or 3: the attribute's Type in the IOD where that is known (PS3.5 7.4), 3 where it is not.
    """

    action: int
    name: str
    sequence: bool = False
    type: int = 3
