"""Originals made again from released files: what fits is found in the vault, recorded, and only then written.

Nothing here decides who may (see `manage.py restore`), and no value is in an outcome, an event or an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from deidentify import Refused, read_structure, restore, text
from deidentify.dictionary import TAGS, name_of
from deidentify.gate import SOP_INSTANCE
from main.history import record
from main.models import VaultEntry
from main.vault import Opened, of_series

T = TypeVar("T")
LONGEST_REASON = 200
RESTORED, THERE, UNKNOWN = "restored", "there", "unknown"
_SERIES, _PATIENT = TAGS["SeriesInstanceUID"], TAGS["PatientID"]
_NOT_KNOWN = (
    "The vault does not know this image: it was released by another node, or before there was a vault, or forgotten."
)
ALREADY = "The original is there already; it was left as it is."


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    path : Path
        Of the released file, below what was asked for.
    code : str
        ``restored``, ``there``, ``unknown``, or that of a refusal.
    sentence : str
        Why it was not restored, or what did not come back.
    """

    path: Path
    code: str
    sentence: str = ""

    @property
    def is_well(self) -> bool:
        """Whether the original is there now."""
        return self.code in (RESTORED, THERE)


@dataclass(frozen=True)
class _File:
    path: Path
    place: Path
    target: Path
    series: str
    instance: str
    patient: str
    transfer_syntax: str


def files(source: Path) -> list[Path]:
    """Return the file, or the files in a folder; links and hidden files are left out."""
    if not source.is_dir():
        return [source]
    found = (Path(folder, name) for folder, _, names in os.walk(source) for name in names)
    return sorted(path for path in found if path.is_file() and not path.is_symlink() and path.name[0] != ".")


def places(source: Path, target: Path) -> Iterator[tuple[Path, Path, Path]]:
    """Yield each file, what it is called, and where its original goes: below `target`, or as `cp` takes a single file."""
    for path in files(source):
        if source.is_dir():
            yield path, path.relative_to(source), target / path.relative_to(source)
        else:
            yield path, Path(path.name), target / path.name if target.is_dir() else target


def written(target: Path, write: Callable[[Path], T]) -> T:
    """Let `write` make a file, which appears under its name when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = target.with_name(f".{target.name}.part")
    partial.unlink(missing_ok=True)
    done = write(partial)
    os.rename(partial, target)
    return done


def restore_files(source: Path, target: Path, reason: str, actor: str) -> Iterator[Outcome]:
    """Make the originals of the released files in `source` again, series by series.

    Each series is recorded before its first file is written. What is there already stays, so that an interrupted run
    goes on.

    Parameters
    ----------
    source, target : Path
        A file or folder, and the folder for the originals; for a file also the name of its original.
    reason, actor : str
        Why, and who asks.

    Yields
    ------
    Outcome
        Of each file.
    """
    known = list[_File]()
    for path, place, to in places(source, target):
        try:
            structure = read_structure(path, (_SERIES, _PATIENT))
        except Refused as refused:
            yield Outcome(place, refused.code, refused.sentence)
        else:
            series, instance = text(structure, _SERIES), text(structure, SOP_INSTANCE)
            patient = text(structure, _PATIENT)
            known.append(_File(path, place, to, series, instance, patient, structure.transfer_syntax_uid))
    opened = Opened()
    known.sort(key=lambda file: (file.series, file.patient))
    for (uid, patient), of_one in groupby(known, key=lambda file: (file.series, file.patient)):
        entries = list(of_series(uid)) if uid else []
        # Recipes that keep UIDs give the same ones out in several projects: there the pseudonym tells which it was.
        entries = [entry for entry in entries if entry.patient_id == patient] or entries
        yield from _series(list(of_one), entries, opened, reason, actor)


def _series(
    found: list[_File], entries: list[VaultEntry], opened: Opened, reason: str, actor: str
) -> Iterator[Outcome]:
    asked = list[_File]()
    for file in found:
        if file.target.exists():
            yield Outcome(file.place, THERE, ALREADY)
        elif any(file.instance in opened.ways_of(entry) for entry in entries):
            asked.append(file)
        else:
            yield Outcome(file.place, UNKNOWN, _NOT_KNOWN)
    if asked:
        entry = entries[0]
        sentence = (
            f"Originals of {entry.patient_id}, study {entry.study_instance_uid}, series {entry.series_instance_uid}"
        )
        record(
            "restore",
            actor=actor,
            series_id=entry.series_id,
            count=len(asked),
            names=[entry.patient_id, entry.study_instance_uid, entry.series_instance_uid],
            sentence=f"{sentence}. Reason: {reason}",
        )
    for file in asked:
        yield _restored(file, entries, opened)


def _restored(file: _File, entries: list[VaultEntry], opened: Opened) -> Outcome:
    way = opened.way_back(entries, file.instance, file.transfer_syntax)
    assert way is not None
    try:
        lost = written(file.target, lambda partial: restore(file.path, way, partial))
    except Refused as refused:
        return Outcome(file.place, refused.code, refused.sentence)
    names = ", ".join(map(name_of, lost))
    return Outcome(file.place, RESTORED, f"These are as they were released: {names}." if lost else "")
