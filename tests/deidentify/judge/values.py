"""Reading the value at a path, as text, from whatever came out.

What is not there reads as an empty text.
"""

from __future__ import annotations

from pydicom import Dataset

from tests.deidentify.judge.truth import Path


def value_at(ds: Dataset, path: Path) -> str:
    """Return the text of the value at a path, or an empty one when there is none."""
    here = ds
    for step in range(0, len(path) - 1, 2):
        if path[step] not in here or len(here[path[step]].value) <= path[step + 1]:
            return ""
        here = here[path[step]].value[path[step + 1]]
    return text_of(here[path[-1]].value) if path[-1] in here else ""


def text_of(value: object) -> str:
    return "\\".join(str(one) for one in value) if isinstance(value, (list, tuple)) or _many(value) else str(value)


def _many(value: object) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, (str, bytes))
