"""The files of one run: whose they are, what is known of each patient, and what became of each file.

Kept in a nameless SQLite database that the system removes with the process: in memory as long as it is small, else in a
file that has no name. It holds original values.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from deidentify.cli.jobs import Failure, Seen
from deidentify.pseudonyms import patient_key

RELEASED, DUPLICATE, EXCLUDED, QUARANTINED = "released", "duplicate", "excluded", "quarantined"
MOST_KNOWN = 1000
_LEFT_OUT = frozenset({"excluded", "dicomdir"})
_SLICE = 1000
_FIRST = 5
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE files (
    number INTEGER PRIMARY KEY, path BLOB, size INTEGER, modified INTEGER,
    patient INTEGER, accession TEXT, study TEXT, series TEXT, instance TEXT,
    outcome TEXT, code TEXT, sentence TEXT, output TEXT, sha256 TEXT, fingerprint BLOB
);
CREATE INDEX files_output ON files (output);
CREATE TABLE patients (id INTEGER PRIMARY KEY, key TEXT UNIQUE, patient_id TEXT);
CREATE TABLE known (patient INTEGER, keyword TEXT, text TEXT, PRIMARY KEY (patient, keyword, text)) WITHOUT ROWID;
CREATE TABLE due (position INTEGER PRIMARY KEY, number INTEGER);
CREATE TABLE pairs (old TEXT, new TEXT, PRIMARY KEY (old, new)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Due:
    """A file that is to be released."""

    number: int
    path: bytes = field(repr=False)
    size: int
    modified: int
    patient: int
    key: str = field(repr=False)
    accession: str = field(repr=False)
    same: tuple[str, str, str] = field(repr=False)


class Files:
    """The files of a run, by number from 1, in the order of their paths below the folder IN.

    With `by_issuer`, one PatientID of two issuers is two patients; otherwise PatientID alone says who it is, because
    modalities write its issuer in many ways or not at all.
    """

    def __init__(self, *, by_issuer: bool = False) -> None:
        self._by_issuer = by_issuer
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_TABLES)
        self._db.execute("BEGIN")  # never committed: nobody else reads it, and it ends with the process
        self._known: dict[int, int] = {}

    def add(self, paths: Iterable[tuple[bytes, os.stat_result]]) -> int:
        """Number files by path and return how many there are."""
        rows = ((path, stat.st_size, stat.st_mtime_ns) for path, stat in paths)
        self._db.executemany("INSERT INTO files (path, size, modified) VALUES (?, ?, ?)", rows)
        return int(self._db.execute("SELECT count(*) FROM files").fetchone()[0])

    def paths(self) -> Iterator[tuple[int, bytes]]:
        """Yield number and path of every file."""
        last = 0
        while rows := self._db.execute(
            "SELECT number, path FROM files WHERE number > ? ORDER BY number LIMIT ?", (last, _SLICE)
        ).fetchall():
            yield from rows
            last = rows[-1][0]

    def seen(self, number: int, seen: Seen) -> None:
        """Note whose a file is, and up to `MOST_KNOWN` values that its patient is known by."""
        key = patient_key(seen.issuer if self._by_issuer else "", seen.patient_id, seen.study)
        self._db.execute("INSERT OR IGNORE INTO patients (key, patient_id) VALUES (?, ?)", (key, seen.patient_id))
        (patient,) = self._db.execute("SELECT id FROM patients WHERE key = ?", (key,)).fetchone()
        self._db.execute(
            "UPDATE files SET patient = ?, accession = ?, study = ?, series = ?, instance = ? WHERE number = ?",
            (patient, seen.accession_number, seen.study, seen.series, seen.instance, number),
        )
        if seen.known and self._known.get(patient, 0) < MOST_KNOWN:
            before = self._db.total_changes
            self._db.executemany(
                "INSERT OR IGNORE INTO known VALUES (?, ?, ?)", ((patient, *pair) for pair in seen.known)
            )
            self._known[patient] = self._known.get(patient, 0) + self._db.total_changes - before

    def failed(self, number: int, failure: Failure) -> None:
        """Note that a file is not released: excluded by a rule, or quarantined."""
        outcome = EXCLUDED if failure.code in _LEFT_OUT else QUARANTINED
        self._db.execute(
            "UPDATE files SET outcome = ?, code = ?, sentence = ? WHERE number = ?",
            (outcome, failure.code, failure.sentence, number),
        )

    def without_id(self, failure: Failure) -> None:
        """Note for every file of a patient without id that it is not released."""
        self._db.execute(
            "UPDATE files SET outcome = ?, code = ?, sentence = ? WHERE outcome IS NULL "
            "AND patient IN (SELECT id FROM patients WHERE patient_id = '')",
            (QUARANTINED, failure.code, failure.sentence),
        )

    def due(self) -> Iterator[list[Due]]:
        """Yield what is to be released, patient by patient; copies of one instance come together, by path."""
        self._db.execute(
            "INSERT INTO due (number) SELECT number FROM files WHERE outcome IS NULL "
            "ORDER BY patient, study, series, instance, number"
        )
        for _, group in groupby(self._due(), key=lambda one: (one.patient, one.same)):
            yield list(group)

    def _due(self) -> Iterator[Due]:
        last = 0
        while rows := self._db.execute(
            "SELECT position, number, path, size, modified, patient, key, accession, study, series, instance "
            "FROM due JOIN files USING (number) JOIN patients ON patients.id = patient "
            "WHERE position > ? ORDER BY position LIMIT ?",
            (last, _SLICE),
        ).fetchall():
            for _, number, path, size, modified, patient, key, accession, *same in rows:
                yield Due(number, path, size, modified, patient, key, accession, (same[0], same[1], same[2]))
            last = rows[-1][0]

    def known(self, patient: int) -> tuple[tuple[str, str], ...]:
        """Return keyword and text of what is known of a patient, sorted."""
        rows = self._db.execute(
            "SELECT keyword, text FROM known WHERE patient = ? ORDER BY keyword, text LIMIT ?", (patient, MOST_KNOWN)
        )
        return tuple(rows)

    def released(self, number: int, output: str, sha256: str, fingerprint: bytes) -> None:
        """Note that a file came out as `output`."""
        self._db.execute(
            "UPDATE files SET outcome = ?, output = ?, sha256 = ?, fingerprint = ? WHERE number = ?",
            (RELEASED, output, sha256, fingerprint, number),
        )

    def duplicate(self, number: int, output: str) -> None:
        """Note that a file gave the same output as one before."""
        self._db.execute("UPDATE files SET outcome = ?, output = ? WHERE number = ?", (DUPLICATE, output, number))

    def made(self, output: str) -> str:
        """Return the hash of an output of this run, or an empty string when it was not made yet."""
        row = self._db.execute(
            "SELECT sha256 FROM files WHERE output = ? AND outcome = ?", (output, RELEASED)
        ).fetchone()
        return row[0] if row else ""

    def pair(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Note which identifier became which."""
        self._db.executemany("INSERT OR IGNORE INTO pairs VALUES (?, ?)", pairs)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield all pairs, sorted."""
        yield from self._db.execute("SELECT old, new FROM pairs ORDER BY old, new")

    def studies(self) -> Iterator[tuple[list[bytes], dict[str, int]]]:
        """Yield, of each study of a patient, the fingerprints of its outputs, and the counts of what is not released."""
        self._db.execute("CREATE INDEX files_study ON files (patient, study, outcome)")
        groups = self._db.execute(
            "SELECT DISTINCT patient, study FROM files WHERE outcome = ? ORDER BY patient, study", (RELEASED,)
        ).fetchall()
        for group in groups:
            made = self._db.execute(
                "SELECT fingerprint FROM files WHERE patient = ? AND study = ? AND outcome = ?", (*group, RELEASED)
            )
            missing = self._db.execute(
                "SELECT code, count(*) FROM files WHERE patient = ? AND study = ? AND code IS NOT NULL GROUP BY code",
                group,
            )
            yield [row[0] for row in made], dict(missing)

    def counts(self) -> dict[str, int]:
        """Return how many files there are by outcome."""
        return dict(self._db.execute("SELECT outcome, count(*) FROM files WHERE outcome IS NOT NULL GROUP BY outcome"))

    def failures(self) -> Iterator[tuple[str, str, int, list[int]]]:
        """Yield code, sentence and count of what is quarantined, and the numbers of the first few files."""
        groups = self._db.execute(
            "SELECT code, sentence, count(*) FROM files WHERE outcome = ? GROUP BY code, sentence ORDER BY 3 DESC, 1, 2",
            (QUARANTINED,),
        ).fetchall()
        for code, sentence, count in groups:
            numbers = self._db.execute(
                "SELECT number FROM files WHERE code = ? AND sentence = ? ORDER BY number LIMIT ?",
                (code, sentence, _FIRST),
            )
            yield code, sentence, count, [number for (number,) in numbers]

    def rows(self) -> Iterator[dict[str, object]]:
        """Yield what became of each file, for the report."""
        fields = ("number", "path", "outcome", "code", "sentence", "output", "sha256")
        for row in self._db.execute(f"SELECT {', '.join(fields)} FROM files ORDER BY number"):
            named = {name: value for name, value in zip(fields, row, strict=True) if value}
            yield {**named, "path": os.fsdecode(row[1])}
