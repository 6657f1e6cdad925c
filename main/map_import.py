"""The identity map of another node, taken in: all of it is read and compared first, so that nothing is half believed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from main import identity
from main.history import record
from main.map_export import KEY_OF_PROJECT, KEYS, TABLES, fingerprints
from main.map_file import Unreadable, read
from main.models import KeyRecord, PatientNumber, Pseudonym, Series, VaultEntry

OnRows = Callable[[int], object]
_SHOWN = 5


class Contradiction(Exception):  # noqa: N818 - what the file says, not a fault of the program
    """What the file says cannot be true here; the sentence says what, without a value."""


@dataclass(frozen=True)
class Head:
    """What a file says of itself."""

    rows: int
    projects: list[str]


@dataclass(frozen=True)
class Imported:
    """How many rows are new here, and how many were here before."""

    added: int
    there: int


@dataclass
class _Piece:
    """Rows of a file: those that are new here, how many are here, and the names of those that contradict what is here."""

    new: list[models.Model]
    there: int
    against: list[str]


def head_of(path: Path, secret: bytes) -> Head:
    """Return what a file says of itself.

    Raises
    ------
    Unreadable, Contradiction
        It does not open, or was made under another key of the blind index or of the pseudonyms.
    """
    head, _ = _opened(path, secret)
    return Head(sum(head["rows"].values()), head["projects"])


def take_in(path: Path, secret: bytes, actor: str, on_rows: OnRows) -> Imported:
    """Add what is in the file and not here. Interrupted, it goes on when it is started again.

    Calls `on_rows` with how many rows were looked at: each row twice, first to compare, then to add.

    Raises
    ------
    Unreadable, Contradiction
        Nothing was added.
    """
    against = list[str]()
    for piece in _pieces(path, secret, on_rows):
        against += piece.against
    if against:
        names = ", ".join(against[:_SHOWN]) + (" …" if len(against) > _SHOWN else "")
        raise Contradiction(
            f"{len(against)} pseudonyms or numbers of the file are given otherwise here: {names}. Nothing was imported. "
            "One of the nodes has to name these patients anew, or both have to stay apart, each with its own project."
        )
    added = there = 0
    for piece in _pieces(path, secret, on_rows, add=True):
        if piece.against:
            raise Contradiction("The node gave one of the file's pseudonyms just now: stop it, and start this again.")
        added, there = added + len(piece.new), there + piece.there
    _note_keys(path, secret)
    sentence = f"An identity map was taken in: {added} rows are new, {there} were here."
    record("import-map", actor=actor, count=added, sentence=sentence)
    return Imported(added, there)


def _opened(path: Path, secret: bytes) -> tuple[dict[str, Any], Iterator[bytes]]:
    pieces = read(path, secret)
    head = json.loads(next(pieces))
    if head.get("version") != 1:
        raise Unreadable("This file was written by a later version.")
    identity.keyring()
    ours = fingerprints()
    if wrong := [name for name in KEYS if head["keys"].get(name) != ours.get(name)]:
        files = " and ".join(f"keys/{name}.key" for name in wrong)
        raise Contradiction(
            f"The file was made under another {' and '.join(wrong)} key. Look-ups and pseudonyms go by it, so nothing was "
            f"imported: bring {files} of the other node, before this node is started for the first time."
        )
    theirs = {name: mark for name, mark in head["keys"].items() if name.startswith(KEY_OF_PROJECT)}
    if other := sorted(name for name, mark in theirs.items() if ours.get(name, mark) != mark):
        raise Contradiction(
            f"The file was made under another key of {' and '.join(other)}, so nothing was imported: give the project the "
            "key_file that it has on the other node."
        )
    return head, pieces


def _note_keys(path: Path, secret: bytes) -> None:
    """Note the keys of projects that are not known here yet: they go on under these, or not at all."""
    head, _ = _opened(path, secret)
    now = timezone.now()
    KeyRecord.objects.bulk_create(
        (
            KeyRecord(name=name, fingerprint=mark, since=now)
            for name, mark in head["keys"].items()
            if name.startswith(KEY_OF_PROJECT)
        ),
        ignore_conflicts=True,
    )


def _pieces(path: Path, secret: bytes, on_rows: OnRows, *, add: bool = False) -> Iterator[_Piece]:
    known = {table.__name__: table for table in TABLES}
    _, pieces = _opened(path, secret)
    for content in pieces:
        found = json.loads(content)
        table = known[found["table"]]
        names = [field.name for field in table._meta.concrete_fields if not field.primary_key]
        rows = [_row(table, dict(zip(names, values, strict=True))) for values in found["rows"]]
        with transaction.atomic():
            piece = _COMPARED[table](rows)
            if add:
                for row in piece.new:
                    if token := getattr(row, "sealed", ""):
                        row.sealed = identity.seal_bytes(base64.b64decode(token))  # type: ignore[attr-defined]  # has it
                table._default_manager.bulk_create(piece.new, ignore_conflicts=table is not VaultEntry)
        on_rows(len(rows))
        yield piece


def _row(table: type[models.Model], values: dict[str, Any]) -> models.Model:
    return table(**{**values, "at": datetime.fromisoformat(values["at"])})


def _pseudonyms(rows: Sequence[Any]) -> _Piece:
    about = Q(pseudonym__in={row.pseudonym for row in rows})
    about |= Q(subject_index__in={row.subject_index for row in rows}, is_current=True)
    here = list(Pseudonym.objects.filter(about).defer("sealed"))
    owners = {(row.project, row.kind, row.pseudonym): row.subject_index for row in here}
    current = {(row.project, row.kind, row.subject_index): row.pseudonym for row in here if row.is_current}
    piece = _Piece([], 0, [])
    for row in rows:
        owner = owners.get((row.project, row.kind, row.pseudonym))
        called = current.get((row.project, row.kind, row.subject_index), row.pseudonym)
        if owner not in (None, row.subject_index) or (owner is None and row.is_current and called != row.pseudonym):
            piece.against.append(row.pseudonym)
        elif owner is None:
            piece.new.append(row)
        else:
            piece.there += 1
    return piece


def _numbers(rows: Sequence[Any]) -> _Piece:
    about = Q(key_index__in={row.key_index for row in rows}) | Q(number__in={row.number for row in rows})
    here = list(PatientNumber.objects.filter(about))
    owners = {(row.project, row.number): row.key_index for row in here}
    numbers = {(row.project, row.key_index): row.number for row in here}
    piece = _Piece([], 0, [])
    for row in rows:
        owner, number = owners.get((row.project, row.number)), numbers.get((row.project, row.key_index))
        if owner not in (None, row.key_index) or number not in (None, row.number):
            piece.against.append(f"number {row.number}")
        elif owner is None:
            piece.new.append(row)
        else:
            piece.there += 1
    return piece


def _entries(rows: Sequence[Any]) -> _Piece:
    """Entries of the vault; the number of their series is that of this node, if it has it, or none."""
    piece = _Piece([], 0, [])
    for row in rows:
        same = ("project", "recipe_hash", "series_instance_uid", "subject_index", "images", "at")
        if VaultEntry.objects.filter(**{name: getattr(row, name) for name in same}).exists():
            piece.there += 1
            continue
        own = Series.objects.filter(project=row.project, uid_index=row.series_index, study__uid_index=row.study_index)
        row.series_id = own.values_list("pk", flat=True).first() or 0
        piece.new.append(row)
    return piece


_COMPARED: dict[type[models.Model], Callable[[Sequence[Any]], _Piece]] = {
    Pseudonym: _pseudonyms,
    PatientNumber: _numbers,
    VaultEntry: _entries,
}
