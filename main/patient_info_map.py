"""The map that DICOM Receiver kept of its patients, `patient_info_map.json`: read, and put back into the files it made.

That program left UIDs as they were, so of what is done here the history gets its pseudonyms (`sub-001`) and counts only.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from deidentify import Refused, put_back, read_structure, text
from deidentify.dictionary import TAGS
from main.history import record
from main.restoring import ALREADY, RESTORED, THERE, UNKNOWN, Outcome, places, written

# Original values by keyword, by Study Instance UID.
Known = Mapping[str, Mapping[str, str]]

_STUDY, _PATIENT = TAGS["StudyInstanceUID"], TAGS["PatientID"]
_PSEUDONYM = re.compile(r"sub-\d{3,}")
_NOT_KNOWN = "The map does not know the study of this file."
_NOTHING = "The file has none of the elements that the map has values for."


@dataclass(frozen=True)
class _File:
    path: Path
    place: Path
    target: Path
    study: str
    pseudonym: str


def read_map(path: Path) -> Known:
    """Read a map; also one of the older form, which is nothing but the studies.

    Raises
    ------
    ValueError
        With a sentence, when it cannot be read or is no such map.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ValueError(f"The map cannot be read ({error.strerror}).") from None
    except ValueError:
        raise ValueError("The map is not JSON: it may have been cut off while it was written.") from None
    studies = found.get("patient_info", found) if isinstance(found, dict) else None
    if not isinstance(studies, dict) or not all(isinstance(values, dict) for values in studies.values()):
        raise ValueError("This is no patient_info_map.json: it has no studies with the values of their patients.")
    return {study: {keyword: _text(value) for keyword, value in values.items()} for study, values in studies.items()}


def restore_by_map(source: Path, target: Path, known: Known, reason: str, actor: str) -> Iterator[Outcome]:
    """Write the files in `source` with the values of the map in the place of what DICOM Receiver put there.

    Each study is recorded before its first file is written. What is there already stays.

    Parameters
    ----------
    source, target : Path
        A file or folder, and the folder for the originals; for a file also the name of its original.
    known : mapping
        What `read_map` returned.
    reason, actor : str
        Why, and who asks.

    Yields
    ------
    Outcome
        Of each file.
    """
    found = list[_File]()
    for path, place, to in places(source, target):
        try:
            structure = read_structure(path, (_STUDY, _PATIENT))
        except Refused as refused:
            yield Outcome(place, refused.code, refused.sentence)
        else:
            found.append(_File(path, place, to, text(structure, _STUDY), text(structure, _PATIENT)))
    found.sort(key=lambda file: file.study)
    for study, of_one in groupby(found, key=lambda file: file.study):
        asked = list[_File]()
        for file in of_one:
            if file.target.exists():
                yield Outcome(file.place, THERE, ALREADY)
            elif study not in known:
                yield Outcome(file.place, UNKNOWN, _NOT_KNOWN)
            else:
                asked.append(file)
        if asked:
            _record({file.pseudonym for file in asked}, len(asked), reason, actor)
        for file in asked:
            yield _restored(file, known[study])


def _record(pseudonyms: set[str], count: int, reason: str, actor: str) -> None:
    names = sorted(name for name in pseudonyms if _PSEUDONYM.fullmatch(name))
    record(
        "restore",
        actor=actor,
        count=count,
        names=names,
        sentence=f"Originals of {', '.join(names) or 'a patient'} by a map of DICOM Receiver. Reason: {reason}",
    )


def _restored(file: _File, values: Mapping[str, str]) -> Outcome:
    try:
        changed = written(file.target, lambda partial: put_back(file.path, values, partial))
    except Refused as refused:
        return Outcome(file.place, refused.code, refused.sentence)
    return Outcome(file.place, RESTORED, "" if changed else _NOTHING)


def _text(value: Any) -> str:
    """A value of the map; several values of an element stand there as Python prints a list."""
    if isinstance(value, str) and value.startswith("["):
        with suppress(ValueError, SyntaxError):
            parts = ast.literal_eval(value)
            if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
                return "\\".join(parts)
    return str(value)
