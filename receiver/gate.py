"""What is looked at before an instance is acknowledged: that it is whole, and that it is the instance that was announced.

Lengths and a few UIDs only: no data set is decoded. A deflated one is inflated piece by piece and no further than
`MOST_INFLATED`; what is larger is for the pipeline's own gate to judge.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection

from deidentify import Limits, Refused
from deidentify.charset import decode
from deidentify.part10 import dataset_walk, read_head
from deidentify.source import Source
from deidentify.walk import ELEMENT, Walk
from dimse.server import StoreRefused, StoreRequest

SOP_CLASS, SOP_INSTANCE, MODALITY, STUDY = 0x00080016, 0x00080018, 0x00080060, 0x0020000D
WANTED = frozenset({SOP_CLASS, SOP_INSTANCE, MODALITY, STUDY})

NOT_THE_CLASS, CANNOT_UNDERSTAND, NOT_THE_MODALITY = 0xA900, 0xC000, 0xC001

LIMITS, LONGEST = Limits(), 256
BEGINNING, CHUNK, MOST_INFLATED = 1 << 16, 1 << 18, 1 << 26


def study_of(file: int, size: int, request: StoreRequest, modalities: Collection[str] = ()) -> str:
    """Return the Study Instance UID of a part, an open file of `size` bytes; empty when it names none.

    Raises
    ------
    StoreRefused
        It is cut short or malformed (0xC000), another instance than the request names (0xA900), or of a modality that
        is not taken (0xC001).
    """
    try:
        source = Source(file, size)
        head = read_head(source)
        values: dict[int, bytes] = {}
        if head.deflated:
            _collect_deflated(file, head.dataset_offset, values)
        else:
            with dataset_walk(source, head, LIMITS) as walk:
                _collect(walk, values)
    except Refused as refused:
        raise StoreRefused(CANNOT_UNDERSTAND, refused.code) from None
    found = {tag: decode(value) for tag, value in values.items() if tag in WANTED}
    for tag, wanted in ((SOP_CLASS, request.sop_class_uid), (SOP_INSTANCE, request.sop_instance_uid)):
        if found.get(tag, "") != wanted:
            raise StoreRefused(NOT_THE_CLASS, "UIDs of request and data set differ")
    if modalities and found.get(MODALITY, "") not in modalities:
        raise StoreRefused(NOT_THE_MODALITY, "modality is not taken here")
    return found.get(STUDY, "")


def _collect(walk: Walk, values: dict[int, bytes]) -> None:
    """Walk to the end of a data set and keep the wanted values."""
    for kind, tag, _, _, value, length in walk.events(WANTED):
        if kind == ELEMENT and length <= LONGEST:
            values[tag] = walk.source.read(value, length)


def _collect_deflated(file: int, offset: int, values: dict[int, bytes]) -> None:
    """Keep the wanted values of a deflated data set, all of which stand at its beginning."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    beginning, size = b"", 0
    try:
        while not inflater.eof and size < MOST_INFLATED:
            chunk = inflater.unconsumed_tail
            if not chunk:
                chunk = os.pread(file, CHUNK, offset)
                offset += len(chunk)
            if not chunk:
                raise Refused("truncated", "The deflated data set ends too early.")
            block = inflater.decompress(chunk, CHUNK)
            beginning += block[: BEGINNING - len(beginning)]
            size += len(block)
    except zlib.error:
        raise Refused("malformed", "The deflated data set cannot be inflated.") from None
    source = Source.of_bytes(beginning)
    try:
        _collect(Walk(source, 0, len(beginning), implicit=False, little=True, limits=LIMITS), values)
    except Refused:
        if size == len(beginning):
            raise
