"""Whether an output is as valid as its source: errors that `dciodvfy` finds in one and not in the other, by kind.

Its sentences hold values. Only a kind leaves this module: a sentence of the list below and a keyword of the dictionary,
never a text of the program's own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from threading import Timer

from deidentify.dictionary import TAGS

PROGRAM = "dciodvfy"
MISSING = f"{PROGRAM} is not there, which measures validity: install the Debian package dicom3tools"

SECONDS, LONGEST = 20.0, 1 << 20
Validity = dict[str, dict[str, int]]

_LINE = re.compile(r"Error - (?:</(.*?)> - )?(.*)")
_KEYWORD = re.compile(r"(?:.*/)?([A-Za-z0-9]+)\([0-9a-f]{4},[0-9a-f]{4}\)")
_UNREADABLE = "Dicom dataset read failed"
_OTHER = "Another error"
# How the program's sentences begin. What is about a DICOMDIR that nobody builds is no error of the object.
_NO_ERROR = "Missing attribute or value that would be needed to build DICOMDIR"
_SENTENCES = (
    *(f"Missing attribute for Type {kind}" for kind in ("1 Required", "1C", "2 Required", "2C", "3")),
    "Missing attribute",
    "Missing Module",
    "Empty attribute",
    "Attribute present when condition unsatisfied",
    "Attribute present but empty",
    "A value is required",
    "Unrecognized enumerated value",
    "Unrecognized defined term",
    "Unrecognized bitmap",
    "Value invalid for this VR",
    "Value is zero",
    "Value dubious for this VR",
    "Bad attribute Value Multiplicity",
    "Bad attribute value",
    "Bad Sequence number of Items",
    "Bad Value Length",
    "Bad Explicit Value Length",
    "Bad private owner value",
    "Bad group length",
    "Bad tag in sequence",
    "Invalid Value Representation",
    "Explicit value representation doesn't match data dictionary",
    "Illegal root for UID",
    "Illegal negative value",
    "Illegal zero bytes where explicit Value Representation expected",
    "Information Object Not found",
    "Tags out of order",
    "Tag read failed",
    "Attribute read failed",
    "Sequence attribute read failed",
    "Sequence Item dataset read failed",
    "Seek failed",
    "Private tag without owner",
    "Retired attribute",
    "Shall not be present",
    "Referenced SOP Instance is not listed",
    "PixelData has incorrect value length",
    "Number of items in PerFrameFunctionalGroupsSequence does not match NumberOfFrames",
    "MediaStorageSOPInstanceUID but missing SOPInstanceUID",
    "MediaStorageSOPInstanceUID different from SOPInstanceUID",
    "MediaStorageSOPClassUID but missing SOPClassUID",
    "MediaStorageSOPClassUID different from SOPClassUID",
    "StudyInstanceUID has same value as",
    "SeriesInstanceUID has same value as",
    "SOPInstanceUID has same value as",
    "Too many delimiters",
    _UNREADABLE,
)


def is_there() -> bool:
    """Tell whether validity can be measured on this machine."""
    return shutil.which(PROGRAM) is not None


def difference(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Validity:
    """Return which kinds of errors an output has gained and lost, and how often.

    Parameters
    ----------
    source, target : path-like
        An object, and what it became.

    Returns
    -------
    dict
        ``gained`` and ``lost``, each with the number of errors by kind. Empty when it could not be measured: the
        program is gone, took more than `SECONDS`, said more than `LONGEST` bytes, or cannot read the source (as no
        deflated data set).
    """
    before = _errors(source)
    if before is None or _UNREADABLE in before:
        return {}
    after = _errors(target)
    if after is None:
        return {}
    return {"gained": dict(sorted((after - before).items())), "lost": dict(sorted((before - after).items()))}


def kind_of(line: str) -> str:
    """Return the kind of error that a line of the program tells of; empty when it tells of none."""
    found = _LINE.match(line)
    if not found or found[2].startswith(_NO_ERROR):
        return ""
    sentence = next((one for one in _SENTENCES if found[2].startswith(one)), _OTHER)
    keyword = _KEYWORD.match(found[1] or "")
    return f"{sentence}: {keyword[1]}" if keyword and keyword[1] in TAGS else sentence


def _errors(path: str | os.PathLike[str]) -> Counter[str] | None:
    """Return the errors of one file by kind, or None when the program did not come to its end."""
    try:
        process = subprocess.Popen(
            [PROGRAM, "-new", os.path.abspath(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    except OSError:
        return None
    timer = Timer(SECONDS, process.kill)
    timer.start()
    with process:
        assert process.stderr is not None
        said = process.stderr.read(LONGEST + 1)
        if len(said) > LONGEST:
            process.kill()
    timer.cancel()
    if process.returncode < 0:
        return None
    return Counter(kind for line in said.decode("latin-1").split("\n") if (kind := kind_of(line)))
