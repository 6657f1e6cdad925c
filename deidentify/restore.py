"""The original of a release, made of the release and the way back: element for element, in the encoding that it had.

Also of a copy that another system has written anew, as long as what the recipe left alone is still in it. The pixel data
is copied from the release without being loaded.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from deidentify import output
from deidentify.elements import Encoding, Piece, Stretch
from deidentify.errors import Refused
from deidentify.part10 import DEFLATED_LITTLE, EXPLICIT_LITTLE, IMPLICIT_LITTLE, dataset_walk, encoding_of, read_head
from deidentify.source import opened
from deidentify.walk import ELEMENT, FRAGMENTS, SEQUENCE, UNDEFINED, Event, Limits, Walk
from deidentify.way_back import WayBack, top_level

# Between these a data set can be written anew without touching a pixel.
_NATIVE = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED_LITTLE})


def restore(
    released: str | os.PathLike[str],
    way_back: WayBack,
    target: str | os.PathLike[str],
    limits: Limits | None = None,
) -> tuple[int, ...]:
    """Write the original of a release.

    The target is created exclusively and not synced; when this raises there is none. Of a release that is still as it
    was written the whole file comes back byte for byte. Of one that another system wrote anew the elements that the
    recipe left alone are as that system wrote them.

    Parameters
    ----------
    released, target : path-like
        The release or a copy of it, and the path of a file that is not there yet.
    way_back : WayBack
        Of this release; which one that is its SOP Instance UID says.
    limits : Limits, optional
        When to refuse a file.

    Returns
    -------
    tuple of int
        Tags of what did not come back, see `WayBack.lost`.

    Raises
    ------
    Refused
        ``does-not-fit`` when something is missing or in another transfer syntax; else what the walk refuses.
    OSError
        When the disk is full or fails, or the target is there already.
    """
    limits = limits or Limits()
    with opened(released, limits.size) as file:
        head = read_head(file)
        _require_convertible(head.transfer_syntax_uid, way_back.transfer_syntax_uid)
        with dataset_walk(file, head, limits) as walk:
            parts = _parts(walk, way_back)
            pieces = [piece for _, part in sorted(parts, key=lambda part: part[0]) for piece in part]
            deflated = encoding_of(way_back.transfer_syntax_uid)[2]
            with output.created(Path(target)) as sink:
                output.write(sink, way_back.head, [*pieces, bytes(way_back.padding)], walk.source, deflated=deflated)
    return way_back.lost


def _require_convertible(found: str, wanted: str) -> None:
    if found != wanted and not {found, wanted} <= _NATIVE:
        raise Refused(
            "does-not-fit",
            f"The file is in another transfer syntax than its release ({wanted}): get it in that one.",
        )


def _parts(walk: Walk, way_back: WayBack) -> list[tuple[int, list[Piece]]]:
    """Return the elements of the original, unsorted."""
    implicit, little, _ = encoding_of(way_back.transfer_syntax_uid)
    encoding = Encoding(implicit=implicit, little=little)
    places = {event[1]: (event, stop) for event, stop in top_level(walk)}
    kept = way_back.kept
    if missing := len(kept.keys() - places.keys()):
        raise Refused("does-not-fit", f"The file lacks {missing} elements that its release has.")
    parts: list[tuple[int, list[Piece]]] = [(tag, [element]) for tag, element in way_back.missing]
    for tag, vr in kept.items():
        event, stop = places[tag]
        if implicit == walk.implicit and (event[2] == vr or event[0] == SEQUENCE):
            parts.append((tag, [Stretch(event[3], stop - event[3], pixels=False)]))
        else:
            parts.append((tag, _converted(walk, event, stop, vr, encoding)))
    return parts


def _converted(walk: Walk, event: Event, stop: int, vr: bytes, encoding: Encoding) -> list[Piece]:
    """Return an element with the VR, or without one, as the original has it."""
    kind, tag, _, start, value, length = event
    if kind == ELEMENT and vr != b"SQ":
        return [encoding.header(tag, vr, length), Stretch(value, length, pixels=False)]
    if kind == FRAGMENTS:
        return [encoding.header(tag, vr, UNDEFINED), Stretch(value, length, pixels=False)]
    item = read_dataset(
        io.BytesIO(walk.source.read(start, stop - start)), is_implicit_VR=walk.implicit, is_little_endian=True
    )
    written = DicomBytesIO()
    written.is_implicit_VR, written.is_little_endian = encoding.implicit, True
    write_dataset(written, item)
    return [written.getvalue()]
