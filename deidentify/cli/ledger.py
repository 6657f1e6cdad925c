"""What stands in an output folder already, so that a run goes on where another stopped.

It lies in that folder and holds nothing of the sources but keyed fingerprints, which tell nothing without the key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from deidentify.cli.errors import Unusable
from deidentify.cli.files import Due
from deidentify.engine import Deidentifier, Released
from deidentify.uids import derived

NAME = ".deidentify"
_TABLES = """
CREATE TABLE IF NOT EXISTS made_with (recipe TEXT, key_id TEXT, code TEXT);
CREATE TABLE IF NOT EXISTS outputs (fingerprint BLOB PRIMARY KEY, output TEXT, released TEXT, mapped TEXT) WITHOUT ROWID;
"""
_COMMIT_AFTER = 200


@dataclass(frozen=True, slots=True)
class Output:
    """An output that was finished before, and the mapping file that its identifiers are in."""

    output: str
    released: Released
    mapped: str | None


class Ledger:
    """The outputs of a folder, by fingerprint of what they were made from."""

    def __init__(self, place: Path | None, engine: Deidentifier, key: bytes) -> None:
        self._key = derived(key, "ledger")
        self._unsaved = 0
        try:
            self._db = sqlite3.connect(place / NAME if place else "", timeout=0)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.executescript(_TABLES)
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
                raise Unusable(f"Another run is writing into {place}.") from None
            raise Unusable(f"{place}/{NAME} cannot be used: {error}. Name a new folder.") from None
        self._claim(place, (engine.recipe.hash, engine.key_id, _code()))

    def _claim(self, place: Path | None, now: tuple[str, str, str]) -> None:
        before = self._db.execute("SELECT recipe, key_id, code FROM made_with").fetchone() or now
        if before[:2] != now[:2]:
            what = "recipe" if before[0] != now[0] else "key or project"
            raise Unusable(f"{place} was made with another {what}. Name a new folder.")
        if before != now:  # a changed library may write other bytes, or refuse what it let through
            self._db.execute("DELETE FROM outputs")
        self._db.execute("DELETE FROM made_with")
        self._db.execute("INSERT INTO made_with VALUES (?, ?, ?)", now)
        self._db.commit()

    def fingerprint(self, due: Due, identifiers: dict[str, str], more: Iterable[tuple[str, str]]) -> bytes:
        """Return the fingerprint of all that an output depends on, apart from recipe, key and code."""
        content = [due.path.hex(), due.size, due.modified, sorted(identifiers.items()), list(more)]
        return hmac.digest(self._key, json.dumps(content).encode(), "sha256")

    def map_id(self, path: Path) -> str:
        """Return what a mapping file is called here."""
        return hmac.digest(self._key, b"map" + bytes(path.absolute()), "sha256").hex()

    def get(self, fingerprint: bytes) -> Output | None:
        """Return the output that was made from this before."""
        row = self._db.execute(
            "SELECT output, released, mapped FROM outputs WHERE fingerprint = ?", (fingerprint,)
        ).fetchone()
        return Output(row[0], Released(**json.loads(row[1])), row[2]) if row else None

    def add(self, fingerprint: bytes, output: str, released: Released) -> None:
        """Note an output that stands in its place."""
        self._db.execute(
            "INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, NULL)", (fingerprint, output, json.dumps(asdict(released)))
        )
        self._unsaved += 1
        if self._unsaved >= _COMMIT_AFTER:
            self._db.commit()
            self._unsaved = 0

    def start_mapping(self) -> None:
        """Tell outputs of earlier runs from those that are added from now on."""
        self._db.execute("UPDATE outputs SET mapped = '' WHERE mapped IS NULL")

    def mapped(self, path: Path) -> None:
        """Note that the identifiers of the outputs that were added are in the mapping file `path`."""
        self._db.execute("UPDATE outputs SET mapped = ? WHERE mapped IS NULL", (self.map_id(path),))

    def close(self) -> None:
        """Save everything."""
        self._db.commit()
        self._db.close()


def _code() -> str:
    """Return a hash of the library's own files."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.parent.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            found.update(path.read_bytes())
    return found.hexdigest()
