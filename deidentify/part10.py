"""What stands before a data set in a file: preamble, file meta information, and which encoding follows (PS3.10 7).

Reads no data set; a file that has none of this is recognised by how its first element is built.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from struct import pack, unpack
from tempfile import TemporaryFile

from deidentify.dictionary import VRS
from deidentify.errors import Refused
from deidentify.source import Source, refuse_archive
from deidentify.walk import HEADER, Limits, Walk

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
GE_PRIVATE_IMPLICIT = "1.2.840.113619.5.2"
DEFLATED_LITTLE = "1.2.840.10008.1.2.1.99"
DEFLATED = frozenset({DEFLATED_LITTLE, "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})

TRANSFER_SYNTAX = 0x00020010
_UID = re.compile(r"[0-9.]{1,64}")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Head:
    """Where a data set starts and how it is encoded.

    Attributes
    ----------
    has_preamble : bool
        Whether the file has the 128 bytes and ``DICM``.
    meta : dict of int to bytes
        Raw values of the file meta information.
    transfer_syntax_uid : str
        The encoding that the data set really has; it differs from the one that is declared when a file mixes up
        implicit and explicit VR little endian.
    dataset_offset : int
        Where the (possibly deflated) data set starts in the file.
    implicit, little, deflated : bool
        What the transfer syntax means.
    """

    has_preamble: bool
    meta: dict[int, bytes]
    transfer_syntax_uid: str
    dataset_offset: int
    implicit: bool
    little: bool
    deflated: bool


def read_head(source: Source) -> Head:
    """Read everything that stands before the data set.

    Raises
    ------
    Refused
        ``archive``, ``encrypted-zip``, ``not-dicom``, ``no-transfer-syntax``, ``malformed`` or ``truncated``.
    """
    first = source.read(0, min(source.size, 272))
    has_preamble = first[128:132] == b"DICM"
    if not has_preamble:
        refuse_archive(first)
    start = 132 if has_preamble else 0
    if first[start : start + 2] == b"\x02\x00":
        meta, offset = _read_meta(source, start)
        if offset == source.size:
            raise Refused("truncated", "Nothing follows the file meta information.")
        uid = meta.get(TRANSFER_SYNTAX, b"").strip(b"\0 ").decode("ascii", "replace")
        if not _UID.fullmatch(uid):
            raise Refused("no-transfer-syntax", "The file meta information names no transfer syntax.")
    elif has_preamble:
        raise Refused("no-transfer-syntax", "The file has no file meta information.")
    else:
        meta, offset, uid = {}, 0, _guess(first)

    peek = source.read(offset, min(8, source.size - offset))
    if uid in (IMPLICIT_LITTLE, EXPLICIT_LITTLE):
        uid = EXPLICIT_LITTLE if peek[4:6] in HEADER else IMPLICIT_LITTLE
    implicit, little, deflated = encoding_of(uid)
    return Head(has_preamble, meta, uid, offset, implicit=implicit, little=little, deflated=deflated)


def encoding_of(uid: str) -> tuple[bool, bool, bool]:
    """Return whether a transfer syntax is in implicit VR, in little endian, and deflated."""
    return uid in (IMPLICIT_LITTLE, GE_PRIVATE_IMPLICIT), uid != EXPLICIT_BIG, uid in DEFLATED


@contextmanager
def dataset_walk(source: Source, head: Head, limits: Limits) -> Iterator[Walk]:
    """Give a walk over the data set; a deflated one is inflated into a nameless temporary file first.

    Raises
    ------
    Refused
        ``too-large``, ``malformed``, ``truncated`` or ``trailing-bytes`` from inflating.
    """
    if not head.deflated:
        yield Walk(source, head.dataset_offset, source.size, implicit=head.implicit, little=head.little, limits=limits)
        return
    with TemporaryFile() as spool:
        size = 0
        for block in _inflated(source, head.dataset_offset):
            size += len(block)
            if size > limits.inflated:
                raise Refused("too-large", f"The data set inflates to more than {limits.inflated} bytes.")
            spool.write(block)
        spool.flush()
        inflated = Source(spool.fileno(), size)
        yield Walk(inflated, 0, size, implicit=False, little=True, limits=limits)


def _inflated(source: Source, offset: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    checksum = size = 0
    try:
        while offset < source.size and not inflater.eof:
            chunk = source.read(offset, min(_CHUNK, source.size - offset))
            offset += len(chunk)
            while chunk and not inflater.eof:
                block = inflater.decompress(chunk, _CHUNK)
                checksum, size = zlib.crc32(block, checksum), size + len(block)
                yield block
                chunk = inflater.unconsumed_tail
    except zlib.error:
        raise Refused("malformed", "The deflated data set cannot be inflated.") from None
    if not inflater.eof:
        raise Refused("truncated", "The deflated data set ends too early.")
    rest = inflater.unused_data + source.read(offset, min(source.size - offset, _CHUNK))
    gzip_trailer = pack("<LL", checksum, size & 0xFFFFFFFF)
    if rest.removeprefix(gzip_trailer).strip(b"\0"):
        raise Refused("trailing-bytes", "Bytes follow the deflated data set.")


def _read_meta(source: Source, pos: int) -> tuple[dict[int, bytes], int]:
    """Read group 0002, always explicit VR little endian (PS3.10 7.1); its group length is not trusted."""
    meta: dict[int, bytes] = {}
    while pos + 8 <= source.size:
        group, number, vr, length = unpack("<HH2sH", source.read(pos, 8))
        if group != 2:
            break
        size = HEADER.get(vr)
        if size is None:
            raise Refused("malformed", "The file meta information has an element without a VR.")
        if pos + size > source.size:
            raise Refused("truncated", "The file ends inside the file meta information.")
        if size == 12:
            (length,) = unpack("<L", source.read(pos + 8, 4))
        pos += size
        if pos + length > source.size:
            raise Refused("truncated", "The file ends inside the file meta information.")
        if length <= 1 << 16:
            meta[group << 16 | number] = source.read(pos, length)
        pos += length
    return meta, pos


def _guess(first: bytes) -> str:
    """Return the transfer syntax of a data set that stands alone, from its first element.

    Raises
    ------
    Refused
        ``not-dicom``, when this is no element that a data set could start with.
    """
    refusal = Refused("not-dicom", "This is not a DICOM object.")
    if len(first) < 8:
        raise refusal
    for uid, order in ((EXPLICIT_LITTLE, "<"), (EXPLICIT_BIG, ">")):
        group, number, vr = unpack(order + "HH2s", first[:6])
        if group <= 0x0010 and group % 2 == 0 and vr in HEADER and (number == 0 or group << 16 | number in VRS):
            return uid
    group, number, length = unpack("<HHL", first[:8])
    if 4 <= group <= 0x0010 and group % 2 == 0 and (number == 0 or group << 16 | number in VRS) and length < 1 << 16:
        return IMPLICIT_LITTLE
    raise refusal
