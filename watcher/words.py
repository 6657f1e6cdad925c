"""The words of the watch: what a scan finds in a folder, and what `watcher.drops` says about it.

Data only; nothing here decides or looks at a disk.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a directory entry is."""

    FOLDER = "folder"
    FILE = "file"
    OTHER = "other"  # symbolic links, sockets, devices: never followed, never taken


class Look(Enum):
    """How closely the inside of a folder has to be looked at in this scan."""

    NOT_NOW = "not now"
    ANY_FILE = "any file"
    EVERYTHING = "everything"


class Reason(Enum):
    """Why an entry waits."""

    UNFINISHED_NAME = "its name says it is still being written"
    EMPTY = "it holds no files"
    GROWING = "it is changing"
    SETTLING = "it has not been unchanged for long enough"
    GATHERING = "it waits for the files that are arriving with it"
    UNREADABLE = "sendit may not read it"
    OPEN = "a program has it open for writing"
    RETRY = "it could not be taken; it is tried again"


@dataclass(frozen=True, slots=True)
class Inside:
    """What a look into a folder found.

    Attributes
    ----------
    files : int
        Files in it at any depth, without hidden and system ones.
    digest : int
        A fingerprint of the names, sizes and times; it changes when anything inside does.
    unfinished : bool
        Whether a file or folder inside has an unfinished name.
    unreadable : bool
        Whether a part of it could not be listed.
    seconds : float
        What the look cost.
    """

    files: int
    digest: int = 0
    unfinished: bool = False
    unreadable: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry at the top of a watched folder, as a scan found it.

    ``identity`` is device and inode. It tells that a folder is the one that had another name before, and nothing else:
    some network filesystems invent a new inode for an unchanged file.
    """

    name: str
    kind: Kind
    identity: tuple[int, int]
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inside: Inside | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """What may be taken now: one folder, or loose files that go together.

    ``guessed`` says that only time spoke for it, and no rename: a program may still hold it open.
    """

    names: tuple[str, ...]
    kind: Kind
    guessed: bool = False

    def without(self, names: Collection[str]) -> Drop:
        """Give the same drop with some files less."""
        return Drop(tuple(name for name in self.names if name not in names), self.kind, self.guessed)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a scan means.

    Attributes
    ----------
    finished : list of Drop
        To be taken now. A drop that stays is offered again by every scan until `Drops.postpone` is told.
    waiting : dict of Reason to int
        How many entries wait, by reason.
    oldest_age : float
        Seconds since the longest waiting entry that is not an empty folder was first seen.
    new : int
        How many entries were not there in the scan before.
    look_again : float or None
        The monotonic time at which waiting alone changes the answer.
    """

    finished: list[Drop] = field(default_factory=list)
    waiting: dict[Reason, int] = field(default_factory=dict)
    oldest_age: float = 0.0
    look_again: float | None = None
    new: int = 0

    @property
    def growing(self) -> int:
        """How many entries are arriving just now."""
        arriving = (Reason.GROWING, Reason.SETTLING, Reason.GATHERING, Reason.OPEN)
        return sum(self.waiting.get(reason, 0) for reason in arriving)
