"""The identity map as it leaves a node: in a sealed file for another node, or as a table for those who may read originals.

Sealed values are opened and sealed again under the file's own key, so that the vault's key stays where it is.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from main import crosswalk, identity
from main.crosswalk import Patient
from main.history import record
from main.map_file import Writer, whole, written
from main.models import KeyRecord, PatientNumber, Pseudonym, VaultEntry
from main.vault import Opened

TABLES: tuple[type[models.Model], ...] = (Pseudonym, PatientNumber, VaultEntry)
# Keys that another node has to have as well: look-ups and pseudonyms go by them; and those of projects.
KEYS = ("index", "pseudonym")
KEY_OF_PROJECT = "project "
_PIECE = 500
COLUMNS = (
    "project",
    "issuer",
    "id_old",
    "id_new",
    "study_old",
    "study_new",
    "series_old",
    "series_new",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

OnRows = Callable[[int], object]


def count() -> int:
    """How many rows there are to write."""
    return sum(table._default_manager.count() for table in TABLES)


def export(path: Path, secret: bytes, actor: str, on_rows: OnRows) -> int:
    """Write the map into a new sealed file; returns how many rows it has, and calls `on_rows` with how many were written.

    Raises
    ------
    FileExistsError
        There is a file of this name.
    OSError
        It cannot be written; there is none.
    """
    total = 0
    with written(path, secret) as file:
        file.add(_json(_head()))
        for table in TABLES:
            for rows in _pieces(table):
                _add(file, table, rows)
                total += len(rows)
                on_rows(len(rows))
    record(
        "export-map", actor=actor, count=total, sentence=f"The identity map was written to a sealed file: {total} rows."
    )
    return total


def _head() -> dict[str, Any]:
    identity.keyring()
    projects = Pseudonym.objects.order_by().values_list("project", flat=True).distinct()
    return {
        "version": 1,
        "at": timezone.now().isoformat(),
        "keys": fingerprints(),
        "projects": sorted(projects),
        "rows": {table.__name__: table._default_manager.count() for table in TABLES},
    }


def fingerprints() -> dict[str, str]:
    """Return the fingerprints of the keys by which look-ups and pseudonyms go."""
    records = KeyRecord.objects.filter(Q(name__in=KEYS) | Q(name__startswith=KEY_OF_PROJECT))
    return dict(records.values_list("name", "fingerprint"))


def _pieces(table: type[models.Model]) -> Iterator[list[models.Model]]:
    """Rows in the order of their numbers, few at a time where they are large."""
    last, size = 0, _PIECE if not hasattr(table, "ROTATED_AT_ONCE") else 1
    while rows := list(table._default_manager.filter(pk__gt=last).order_by("pk")[:size]):
        yield rows
        last = rows[-1].pk


def _add(file: Writer, table: type[models.Model], rows: Sequence[models.Model]) -> None:
    names = [field.name for field in table._meta.concrete_fields if not field.primary_key]
    file.add(
        _json({"table": table.__name__, "rows": [[_plain(name, getattr(row, name)) for name in names] for row in rows]})
    )


def _plain(name: str, value: Any) -> Any:
    if name == "sealed" and value:
        return base64.b64encode(identity.unseal_bytes(value)).decode("ascii")
    return value.isoformat() if isinstance(value, datetime) else value


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode("utf-8")


def export_csv(path: Path, reason: str, actor: str, on_rows: OnRows) -> int:
    """Write who has which pseudonym into a new CSV file, on the record; returns how many lines it has.

    There is a line for each series that the vault knows, and one for each patient without any.

    Raises
    ------
    FileExistsError
        There is a file of this name.
    OSError
        It cannot be written; there is none.
    """
    patients = Pseudonym.objects.exclude(sealed="")
    record(
        "export-map",
        actor=actor,
        count=patients.count(),
        names=[],
        sentence=f"Who {patients.count()} pseudonyms belong to was written to a table. Reason: {reason}",
    )
    lines = 0
    with whole(path) as file:
        file.write(_table([COLUMNS]))
        opened = Opened()
        for rows in _pieces(Pseudonym):
            found = [line for row in rows for line in _lines(row, opened)]
            file.write(_table(found))
            lines += len(found)
            on_rows(len(rows))
    return lines


def _table(lines: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([_harmless(cell) for cell in line] for line in lines)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _lines(row: models.Model, opened: Opened) -> list[tuple[str, ...]]:
    assert isinstance(row, Pseudonym)
    patient = crosswalk.patient_of(row)
    if patient is None:
        return []
    start = row.project, patient.issuer, patient.patient_id, row.pseudonym
    return [(*start, *uids) for uids in _series_of(row, patient, opened) or [("", "", "", "")]]


def _series_of(row: Pseudonym, patient: Patient, opened: Opened) -> list[tuple[str, str, str, str]]:
    """Original and released UIDs of the studies and series that a patient has under a pseudonym."""
    own = {
        row.subject_index,
        identity.blind_index("patient", identity.patient_key(patient.issuer, patient.patient_id, "")),
    }
    entries = VaultEntry.objects.filter(project=row.project, patient_id=row.pseudonym, subject_index__in=own)
    entries = entries.defer("sealed").order_by("pk")
    found: dict[tuple[str, str], tuple[str, str, str, str]] = {}
    for entry in entries:
        new = entry.study_instance_uid, entry.series_instance_uid
        if new not in found:
            study, series = opened.original_uids(entry)
            found[new] = study, new[0], series, new[1]
    return list(found.values())


def _harmless(cell: str) -> str:
    """`cell`, with an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
