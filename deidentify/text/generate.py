"""Writes `vocabulary.txt`: the words of pydicom's code tables and data dictionary, and of the lists beside this module.

Run it as ``python -m deidentify.text.generate`` when pydicom or a list has changed; a word is a run of letters, and only
the words are carried over, long ones also in the plural. Breeds and taxa are left out, and so is what
`refused.txt` names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom import __version__
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom.sr._cid_dict import name_for_cid
from pydicom.sr._concepts_dict import concepts

from deidentify.spelling import bare, spread
from deidentify.text.vocabulary import listed, names

TARGET = Path(__file__).with_name("vocabulary.txt")
_LETTERS = re.compile(r"[^\W\d_]+")
_ANIMALS = frozenset({281, 7454, 7480, 7481, 7486, 7490})
_LONG = 6
_LEFT_OUT_SCHEMES = frozenset({"ITIS_TSN", "NDC", "UCUM"})


def words() -> set[str]:
    """Return the vocabulary: every word without marks, and as it is written where there are no umlauts."""
    found = {word.lower() for text in _texts() for word in _LETTERS.findall(text) if len(word) > 1}
    found -= listed("refused.txt")
    found |= {word for name in ("own.txt", "units.txt") for word in _LETTERS.findall(" ".join(listed(name)))}
    found |= {word + "s" for word in found if len(word) >= _LONG and word.isascii() and word[-1] not in "sxz"} - names()
    return {spelled for word in found for spelled in (bare(word), spread(word))}


def _texts() -> Iterator[str]:
    schemes: Any = concepts
    for scheme, keywords in schemes.items():
        if scheme in _LEFT_OUT_SCHEMES:
            continue
        for keyword, codes in keywords.items():
            for meaning, groups in codes.values():
                if "reed" not in keyword and not (groups and _ANIMALS.issuperset(groups)):
                    yield meaning
    yield from (re.sub("(?<=[a-z])(?=[A-Z])", " ", name) for name in name_for_cid.values())
    yield from (str(entry[2]) for entry in (*DicomDictionary.values(), *RepeatersDictionary.values()))


def main() -> None:
    """Write the list, one line for each first letter, so that two versions can be compared."""
    lines: dict[str, list[str]] = {}
    for word in sorted(words()):
        lines.setdefault(word[0], []).append(word)
    head = f"# Made by deidentify.text.generate from pydicom {__version__}, own.txt and refused.txt; do not edit.\n"
    TARGET.write_text(head + "".join(" ".join(line) + "\n" for line in lines.values()), "utf-8")
    print(f"{TARGET}: {sum(map(len, lines.values()))} words")  # noqa: T201  # a command says what it did


if __name__ == "__main__":
    main()
