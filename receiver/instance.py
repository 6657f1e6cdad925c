"""An instance while it arrives: a part file that becomes a file of a drop once it is whole and durable (PS3.10 7).

The data set is written exactly as it comes; what is wrong with it is said by `receiver.gate` before it is acknowledged.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from deidentify.marks import file_meta
from dimse.server import StoreRefused, StoreRequest
from dimse.status import SUCCESS
from main.failpoints import reach
from receiver.drops import Drops, Source
from receiver.gate import CANNOT_UNDERSTAND, study_of

OUT_OF_RESOURCES = 0xA700
LOOK_EVERY = 16_000_000  # bytes of one instance, between two looks at the disk


class Counts(Protocol):
    """What is counted of an association; `last` is a time stamp."""

    instances: int
    size: int
    refused: int
    last: float


@dataclass
class Terms:
    """On what terms instances are taken.

    Attributes
    ----------
    has_room : callable
        Whether the disk has room for more.
    largest : int
        Bytes of the largest file.
    modalities : collection of str
        The only modalities; empty takes all.
    """

    has_room: Callable[[], bool]
    largest: int
    modalities: Collection[str] = field(default=())

    def require_room(self) -> None:
        """Refuse (0xA700) while the disk is nearly full."""
        if not self.has_room():
            raise StoreRefused(OUT_OF_RESOURCES, "disk nearly full")


class Instance:
    """The instance of one C-STORE request (see `dimse.server.Incoming`)."""

    def __init__(
        self, drops: Drops, association: str, source: Source, request: StoreRequest, terms: Terms, counts: Counts
    ) -> None:
        terms.require_room()
        self._drops, self._association, self._source = drops, association, source
        self._request, self._terms, self._counts = request, terms, counts
        self._path = drops.part()
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._size, self._look_at = 0, LOOK_EVERY
        head = file_meta(request.sop_class_uid, request.sop_instance_uid, request.transfer_syntax_uid)
        try:
            self.write(memoryview(head))
        except OSError:
            self._remove()
            raise

    def write(self, data: memoryview) -> None:
        self._size += len(data)
        if self._size > self._terms.largest:
            raise StoreRefused(CANNOT_UNDERSTAND, "larger than SENDIT_MAX_FILE_BYTES")
        if self._size > self._look_at:
            self._look_at = self._size + LOOK_EVERY
            self._terms.require_room()
        while data:
            data = data[os.write(self._file, data) :]

    def complete(self) -> int:
        reach("receive:written")
        study = study_of(self._file, self._size, self._request, self._terms.modalities)
        os.fdatasync(self._file)
        reach("receive:synced")
        self._drops.keep(self._path, self._size, self._association, study, self._source)
        os.close(self._file)
        self._counts.instances += 1
        self._counts.size += self._size
        self._counts.last = time.time()
        return SUCCESS

    def discard(self) -> None:
        self._counts.refused += 1
        self._remove()

    def _remove(self) -> None:
        os.close(self._file)
        self._path.unlink(missing_ok=True)
