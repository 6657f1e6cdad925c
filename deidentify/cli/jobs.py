"""What a worker process does with one file: look at it, or de-identify it.

Jobs and what they give are plain data that goes through a pipe; where files go and who the patients are is decided by
the run.
"""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from deidentify.charset import decode
from deidentify.dictionary import TAGS, keyword_of
from deidentify.engine import Deidentifier, Released
from deidentify.errors import Refused
from deidentify.facts import Events, Facts
from deidentify.identifiers import Identifiers
from deidentify.part10 import dataset_walk, read_head
from deidentify.source import opened
from deidentify.validity import difference

_CHARACTER_SET = TAGS["SpecificCharacterSet"]
_WANTED = (
    TAGS["IssuerOfPatientID"],
    TAGS["PatientID"],
    TAGS["AccessionNumber"],
    TAGS["StudyInstanceUID"],
    TAGS["SeriesInstanceUID"],
    TAGS["SOPInstanceUID"],
)
_ALL = frozenset({_CHARACTER_SET, *_WANTED})
_LONGEST = 256


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that is not released, and why."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What the first look at a file found: whose it is, and what it tells of its patient. Original values."""

    issuer: str = field(repr=False)
    patient_id: str = field(repr=False)
    accession_number: str = field(repr=False)
    study: str = field(repr=False)
    series: str = field(repr=False)
    instance: str = field(repr=False)
    known: tuple[tuple[str, str], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Made:
    """An output: written to the job's target, or there already as it was certified."""

    released: Released
    mapping: dict[str, str] = field(repr=False)


class Job(Protocol):
    """One file to work on; `number` is its place among the files of the run."""

    @property
    def number(self) -> int: ...

    def do(self, engine: Deidentifier) -> Seen | Made | None:
        """Do it.

        Raises
        ------
        Refused
            The file is not released.
        OSError
            The disk is full or fails: the run stops.
        """


@dataclass(frozen=True, slots=True)
class Look:
    """Read whose file it is and what it tells of its patient."""

    number: int
    source: str = field(repr=False)

    def do(self, engine: Deidentifier) -> Seen:
        """See `Job`."""
        with opened(self.source, engine.limits.size) as file:
            head = read_head(file)
            with dataset_walk(file, head, engine.limits) as walk:
                facts = Facts.of(Events(walk), _ALL)
        if facts.is_dicomdir:
            raise Refused("dicomdir", "A DICOMDIR is an index of files and cannot be released.")
        character_set = facts.values.get(_CHARACTER_SET, b"")
        issuer, patient, accession, *uids = (
            decode(facts.values.get(tag, b""), character_set).strip() for tag in _WANTED
        )
        known = {(keyword_of(tag), decode(raw, character_set)) for tag, raw in facts.known}
        pairs = sorted(pair for pair in known if 0 < len(pair[1]) <= _LONGEST)
        return Seen(issuer, patient, accession, uids[0], uids[1], uids[2], tuple(pairs))


@dataclass(frozen=True, slots=True)
class Release:
    """De-identify a file into `target`, unless `existing` is an output with the hash `sha256` (then nothing is done).

    With `validity`, the output is compared with its source by `deidentify.validity`.
    """

    number: int
    source: str = field(repr=False)
    target: str
    identifiers: dict[str, str] = field(repr=False)
    more: tuple[tuple[str, str], ...] = field(repr=False)
    existing: str = ""
    sha256: str = ""
    validity: bool = False

    def do(self, engine: Deidentifier) -> Made | None:
        """See `Job`."""
        if self.existing and sha256_of(Path(self.existing)) == self.sha256:
            return None
        mapping: dict[str, str] = {}
        try:
            released = engine.file(
                self.source, self.target, Identifiers(self.identifiers), more=self.more, mapping=mapping
            )
        except OSError as error:
            if error.filename == self.source or error.errno in (errno.EIO, errno.ESTALE):
                raise Refused("unreadable", f"The file cannot be read: {error.strerror}.") from None
            raise
        if self.validity:
            released = replace(released, validity=difference(self.source, self.target))
        return Made(released, mapping)


def sha256_of(path: Path) -> str:
    """Return the hash of a file, or an empty string when there is none."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
