"""What the recipe promises to keep, looked up in the output: values as they were, safe words, measurements, private numbers.

A file that was not released keeps nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict

from pydicom import Dataset

from tests.deidentify.judge.truth import Keep, Truth
from tests.deidentify.judge.values import value_at

Kept = dict[str, list[tuple[Truth, Keep, bool, str]]]

_WORD = re.compile(r"[\w+*/-]+(?:[.]\w+)*")


def kept(truth: Truth, ds: Dataset | None, found: Kept | None = None) -> Kept:
    """Return by category what was promised, whether it is there, and what is there instead."""
    result = defaultdict(list) if found is None else found
    for keep in truth.keeps:
        value = _value(ds, keep) if ds is not None else ""
        if keep.words:
            there = {word.lower() for word in _WORD.findall(value)}
            held = all(word in there for word in keep.words)
        else:
            held = _same(value, keep.value)
        result[keep.category].append((truth, keep, held, value))
    return result


def _value(ds: Dataset, keep: Keep) -> str:
    if keep.creator:
        try:
            block = ds.private_block(keep.path[0] >> 16, keep.creator)
            return str(value_at(ds, (block.get_tag(keep.path[0] & 0xFF),)))
        except KeyError:
            return ""
    return value_at(ds, keep.path)


def _same(one: str, other: str) -> bool:
    if one.strip() == other.strip():
        return True
    try:
        return [float(part) for part in one.split("\\")] == [float(part) for part in other.split("\\")]
    except ValueError:
        return False
