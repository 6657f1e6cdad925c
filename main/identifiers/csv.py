"""Identifiers from a table of one's own: a CSV file with a line for each patient, read again when it changes.

The file holds original ids, so what is wrong in it is said with line numbers and column names, never with a value.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from main import identifiers, identity
from main.errors import Quarantine, Transient
from main.identifiers import Answer, Request, unfit
from main.projects import Project

COLUMNS = ("patient_id", "issuer", "pseudonym", "date_shift_days")
REQUIRED = {"patient_id", "pseudonym"}
_SEPARATORS = ",;\t"

# How a file looked when it was read.
_Seen = tuple[int, int, int]


@dataclass(frozen=True)
class Row:
    """What the table says about a patient."""

    pseudonym: str
    date_shift_days: int | None
    line: int = field(compare=False)


_tables: dict[str, tuple[_Seen, dict[str, Row]]] = {}


class Provider(identifiers.Provider):
    """Looks patients up by issuer and id, as `identity.patient_key` normalises them."""

    name = "csv"

    def __init__(self, project: Project | None = None) -> None:
        super().__init__(project)
        path: Path | None = self.project.setting("SENDIT_IDENTIFIERS_FILE")
        if path is None:
            raise Transient(
                "identifiers-settings", "SENDIT_IDENTIFIERS_FILE is not set: it names the table of patients."
            )
        self._path = path

    def identify_many(self, requests: Sequence[Request]) -> list[Answer | Quarantine]:
        """What the table says about each patient; accession numbers are keyed.

        None has one for `identifiers-unknown`.

        Raises
        ------
        Transient
            `identifiers-settings`: the table cannot be read or is not right; with the line.
        """
        rows = self._rows()
        return [_answer(request, rows.get(request.patient_key), self.project) for request in requests]

    def original_of(self, pseudonyms: Sequence[str]) -> dict[str, str | Quarantine]:
        """The patient_id of those that the table has."""
        ids: dict[str, str | Quarantine] = {row.pseudonym: json.loads(key)[2] for key, row in self._rows().items()}
        return {one: ids[one] for one in pseudonyms if one in ids}

    def check(self) -> str:
        """Read the table."""
        return f"{self._path} names {len(self._rows()):,} patients"

    def _rows(self) -> dict[str, Row]:
        try:
            with open(self._path, encoding="utf-8-sig", newline="") as file:
                at = os.fstat(file.fileno())
                seen = (at.st_ino, at.st_mtime_ns, at.st_size)
                before, rows = _tables.get(str(self._path), (None, {}))
                if seen != before:
                    rows = dict(_read(file.read()))
                    _tables[str(self._path)] = seen, rows
        except OSError as error:
            raise _unusable(f"cannot be read ({os.strerror(error.errno or 0)})") from None
        except UnicodeDecodeError:
            raise _unusable("is not in UTF-8") from None
        except csv.Error:
            raise _unusable("is no CSV file") from None
        return rows


def _read(content: str) -> Iterator[tuple[str, Row]]:
    """Patient keys and rows; every line is right, or none is used."""
    head = content.partition("\n")[0]
    separator = max(_SEPARATORS, key=head.count)
    reader = csv.DictReader(content.splitlines(), delimiter=separator, strict=True)
    columns = [name.strip().lower() for name in reader.fieldnames or ()]
    if len(columns) != len(set(columns)) or REQUIRED - set(columns) or set(columns) - set(COLUMNS):
        raise _unusable(f"has other columns than {', '.join(COLUMNS)} ({' and '.join(sorted(REQUIRED))} are required)")
    reader.fieldnames = columns
    keys: dict[str, int] = {}
    pseudonyms: dict[str, int] = {}
    for values in reader:
        line = reader.line_num
        if None in values or None in values.values():
            raise _unusable(f"has another number of columns in line {line} than in its first")
        key, row = _row(line, {name: value.strip() for name, value in values.items()})
        for what, seen, value in (("patient", keys, key), ("pseudonym", pseudonyms, row.pseudonym)):
            if value in seen:
                raise _unusable(f"has in line {line} the {what} of line {seen[value]} again")
            seen[value] = line
        yield key, row


def _row(line: int, values: dict[str, str]) -> tuple[str, Row]:
    patient_id, pseudonym, shift = values["patient_id"], values["pseudonym"], values.get("date_shift_days", "")
    if not patient_id:
        raise _unusable(f"has no patient_id in line {line}")
    if wrong := unfit("PatientID", pseudonym):
        raise _unusable(f"has in line {line} a pseudonym that {wrong}")
    if pseudonym == patient_id:
        raise _unusable(f"has in line {line} the patient_id as its own pseudonym")
    try:
        days = int(shift) if shift else None
    except ValueError:
        raise _unusable(f"has in line {line} a date_shift_days that is no whole number") from None
    return identity.patient_key(values.get("issuer", ""), patient_id, ""), Row(pseudonym, days, line)


def _answer(request: Request, row: Row | None, project: Project) -> Answer | Quarantine:
    if row is None:
        return Quarantine(
            "identifiers-unknown", "The table of patients does not have this one. Add a line for it, then requeue."
        )
    values = {"PatientID": row.pseudonym, "PatientName": row.pseudonym}
    if request.accession_number:
        pseudonyms = identity.pseudonyms(project.name)
        values["AccessionNumber"] = pseudonyms.accession(request.patient_key, request.accession_number)
    return Answer(values, date_shift_days=row.date_shift_days)


def _unusable(what: str) -> Transient:
    return Transient(
        "identifiers-settings",
        f"The table of patients (SENDIT_IDENTIFIERS_FILE) {what}. Nothing of it is used; correct it, and what waits goes on.",
    )
