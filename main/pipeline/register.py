"""Register: every file of a drop gets its one outcome: an image of a series, or a file outcome with its reason.

Headers are read once, by the structural gate; rows are written in chunks, with a constant number of statements each.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from deidentify.errors import Refused
from deidentify.gate import Limits, Structure, read_structure, text
from main import bells, identity
from main.claims import DEATHS, Claim
from main.errors import Quarantine, Transient, describe, goes_away
from main.failpoints import reach
from main.history import record
from main.models import Batch, FileOutcome, Image
from main.names import is_system
from main.pipeline import rows
from main.pipeline.source import SOURCE
from main.projects.belonging import Belonging

CHUNK = 1000

# The code of an image whose file is another one than was registered.
CHANGED = "original-changed"

# A damaged file that was written to just now may still be growing: it gets this long before it is called damaged.
SETTLE_SECONDS = 10.0

CHARACTER_SET, SOP_CLASS, SOP_INSTANCE = 0x00080005, 0x00080016, 0x00080018
MODALITY, PATIENT_ID, ISSUER = 0x00080060, 0x00100020, 0x00100021
STUDY_UID, SERIES_UID, ACCESSION = 0x0020000D, 0x0020000E, 0x00080050
WANTED = frozenset(
    {
        CHARACTER_SET,
        SOP_CLASS,
        SOP_INSTANCE,
        MODALITY,
        PATIENT_ID,
        ISSUER,
        STUDY_UID,
        SERIES_UID,
        ACCESSION,
        0x00020010,
        0x00020002,
    }
)

_OUTCOME_OF = {
    "not-dicom": FileOutcome.Outcome.NOT_DICOM,
    "empty": FileOutcome.Outcome.NOT_DICOM,
    "archive": FileOutcome.Outcome.NOT_DICOM,
    "encrypted-zip": FileOutcome.Outcome.NOT_DICOM,
}


@dataclass(frozen=True)
class Header:
    """What registration knows of a file that passed the gate."""

    path: str
    size: int
    modified_ns: int
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    patient_id: str
    issuer: str
    accession_number: str
    project: str


@dataclass(frozen=True)
class Unregistered:
    """What is known of a file that does not become an image."""

    path: str
    size: int
    outcome: FileOutcome.Outcome
    held: bool
    code: str
    sentence: str
    detail: dict[str, Any]
    sop_instance_uid: str = ""


def register(held: Claim[Batch]) -> None:
    """Register the files of a claimed drop that have no outcome yet.

    Raises
    ------
    Transient
        `still-growing`, when a damaged file was written to a moment ago; the other files are registered.
    """
    batch = held.row
    reach("register:claimed")
    done = rows.accounted_paths(batch)
    growing = 0
    for chunk in _chunks(held, done, Belonging(batch)):
        growing += chunk.growing
        reach("register:read")
        comparisons = rows.Comparisons(batch, chunk.headers)
        with transaction.atomic():
            held.progress()
            found, later = rows.write(batch, chunk.headers, chunk.others, comparisons)
            reach("register:chunk")
        growing += later
        if found:
            bells.ring("identify")
    if growing:
        raise Transient(
            "still-growing",
            f"{growing} files are incomplete and were written to a moment ago, or an image with their UID is being cleaned "
            "up; the others are registered.",
        )
    with transaction.atomic():
        batch.refresh_from_db(fields=["cleaned"])
        files, size = rows.totals(batch)
        size = max(size, batch.bytes)
        held.finish(
            stage="", files=files, bytes=size, registered_at=timezone.now(), error_code="", error="", attempts=0
        )
        record("registered", batch_id=batch.pk, count=files)
    reach("register:committed")


@dataclass
class Chunk:
    """Files that were looked at since the last commit."""

    headers: list[Header] = field(default_factory=list)
    others: list[Unregistered] = field(default_factory=list)
    growing: int = 0

    def add(self, found: Header | Unregistered | None) -> None:
        """Add what a look at a file found."""
        if isinstance(found, Header):
            self.headers.append(found)
        elif found is None:
            self.growing += 1
        else:
            self.others.append(found)

    @property
    def full(self) -> bool:
        """Whether it should be committed now: at once, when a file was set aside that kills its workers."""
        killer = bool(self.others) and self.others[-1].code == "killed-worker"
        return killer or len(self.headers) + len(self.others) >= CHUNK


def _chunks(held: Claim[Batch], done: set[str], belonging: Belonging) -> Iterator[Chunk]:
    chunk = Chunk()
    for entry in _files(held.row.folder):
        if entry.path in done:
            continue
        chunk.add(entry if isinstance(entry, Unregistered) else _look(held, entry, belonging))
        if chunk.full:
            yield chunk
            chunk = Chunk()
    yield chunk


def has_unaccounted_files(batch: Batch) -> bool:
    """Whether the folder of a drop holds a file that has no outcome."""
    done = rows.accounted_paths(batch)
    return any(entry.path not in done for entry in _files(batch.folder))


@dataclass(frozen=True)
class Entry:
    """A file of a drop that is to be looked at, as it is before anybody does."""

    path: str
    size: int
    modified_ns: int


def _files(folder: Path) -> Iterator[Entry | Unregistered]:
    """Every entry below `folder` that is not a folder, in a stable order; a folder that cannot be listed is one as well.

    What the receiver tells of its drop is none of the files.
    """
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            with os.scandir(current) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            path, (code, sentence) = os.path.relpath(current, folder), describe(error)
            sentence = f"A folder of the drop cannot be listed: {sentence}"
            yield Unregistered(path, 0, FileOutcome.Outcome.UNREADABLE, True, code, sentence, {})
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif current != folder or entry.name != SOURCE:
                found_now = entry.stat(follow_symlinks=False)
                yield Entry(os.path.relpath(entry.path, folder), found_now.st_size, found_now.st_mtime_ns)


def _look(held: Claim[Batch], entry: Entry, belonging: Belonging) -> Header | Unregistered | None:
    """Header of a file, or why it has none; None when it seems to be growing still."""
    batch, path, size = held.row, entry.path, entry.size
    if not held.take_in_hand(identity.blind_index("in hand", path)[:40], size):
        sentence = f"Reading this file broke off {DEATHS} times (a worker died, or ran out of memory). It is kept."
        return Unregistered(path, size, FileOutcome.Outcome.UNREADABLE, True, "killed-worker", sentence, {})
    file = batch.folder / path
    try:
        structure = read_structure(file, WANTED | belonging.tags, Limits(size=settings.SENDIT_MAX_FILE_BYTES))
        return _header(entry, structure, belonging)
    except Refused as refused:
        if any(is_system(part) for part in path.split(os.sep)):
            sentence = "A hidden or system file that was left in the folder; it is no image."
            return Unregistered(path, size, FileOutcome.Outcome.SYSTEM, False, "system-file", sentence, {})
        if refused.code in {"truncated", "empty", "malformed"} and _just_written(file):
            return None
        outcome = _OUTCOME_OF.get(refused.code, FileOutcome.Outcome.UNREADABLE)
        if refused.code == "dicomdir":
            return Unregistered(path, size, FileOutcome.Outcome.DICOMDIR, False, refused.code, refused.sentence, {})
        return Unregistered(path, size, outcome, True, refused.code, refused.sentence, {})
    except Quarantine as unassigned:
        code, sentence = unassigned.code, unassigned.sentence
        return Unregistered(path, size, FileOutcome.Outcome.UNASSIGNED, True, code, sentence, {})
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - one file that breaks the reader must not stop the others
        if goes_away(error):
            raise
        code, sentence = describe(error)
        return Unregistered(path, size, FileOutcome.Outcome.UNREADABLE, True, code, sentence, {})


def _header(entry: Entry, structure: Structure, belonging: Belonging) -> Header:
    if structure.is_dicomdir:
        raise Refused("dicomdir", "A DICOMDIR lists the other files of a medium; it is no image and is not sent on.")
    header = Header(
        path=entry.path,
        size=entry.size,
        modified_ns=entry.modified_ns,
        sop_class_uid=text(structure, SOP_CLASS),
        sop_instance_uid=text(structure, SOP_INSTANCE),
        study_instance_uid=text(structure, STUDY_UID),
        series_instance_uid=text(structure, SERIES_UID),
        modality=_modality(text(structure, MODALITY)),
        patient_id=text(structure, PATIENT_ID),
        issuer=text(structure, ISSUER),
        accession_number=text(structure, ACCESSION),
        project=belonging.of(structure.values, structure.transfer_syntax_uid),
    )
    for keyword, value in (
        ("SOP Class UID", header.sop_class_uid),
        ("SOP Instance UID", header.sop_instance_uid),
        ("Study Instance UID", header.study_instance_uid),
        ("Series Instance UID", header.series_instance_uid),
    ):
        code = keyword.lower().replace(" ", "-")
        if not value:
            raise Refused(f"no-{code}", f"The file has no {keyword}: it cannot be told apart from others.")
        if not is_uid(value):
            raise Refused(f"bad-{code}", f"The {keyword} is not a UID (PS3.5 9.1: digits and dots, 64 at most).")
    return header


def is_uid(value: str) -> bool:
    """Whether `value` is a UID by PS3.5 9.1, leading zeros tolerated: real modalities write them."""
    return 0 < len(value) <= 64 and all(part.isascii() and part.isdigit() for part in value.split("."))


def _modality(value: str) -> str:
    """A modality as a defined term of CS looks, or nothing: free text in it may be anything."""
    value = value.strip().upper()
    return value if 0 < len(value) <= 16 and value.replace("_", "").isalnum() and value.isascii() else ""


def _just_written(file: Path) -> bool:
    try:
        return -SETTLE_SECONDS < time.time() - file.stat().st_mtime < SETTLE_SECONDS
    except OSError:
        return False


def original(image: Image) -> Path:
    """Where the original of `image` is kept."""
    return image.batch.folder / str(identity.unseal_values(image.sealed)["path"])


def unchanged_original(image: Image) -> Path:
    """Where the original of `image` is kept, if it is still the file that was registered.

    Raises
    ------
    Quarantine
        `original-changed`: its size or the time of its last change is another, so nobody looked at what is in it now.
    FileNotFoundError
        It is gone.
    """
    path = original(image)
    now = path.stat()
    if now.st_size != image.size or image.modified_ns not in (None, now.st_mtime_ns):
        raise Quarantine(
            CHANGED,
            "The file was written to after it was registered. Nothing of it leaves. Requeue it once nobody writes to it any "
            "more: it is registered anew then.",
        )
    return path
