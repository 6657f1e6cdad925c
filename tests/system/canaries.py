"""Planted identities: put into every file that takes them, and searched for in every form that a program writes."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

UID_ROOT = "1.2.826.0.1.3680043.10.474711."
PATIENTS = ("KANARI-4711-A", "KANARI-4711-B", "KANARI-4711-C")
VALUES = {
    "PatientName": "Zimtkanari^Wilhelmina",
    "PatientBirthDate": "19370219",
    "AccessionNumber": "ACCKANARI77",
    "IssuerOfPatientID": "Kanarienhausklinik",
    "OtherPatientNames": "Goldkanarie^Änne",
    "ReferringPhysicianName": "Kanarzeisig^Ottokar",
    "PatientComments": "Seen with Kanariwitwe on the ward",
    "PatientAddress": "Kanarienweg 4711",
}
WORDS = (
    UID_ROOT,
    "KANARI-4711",
    "KANARI4711",
    "Zimtkanari",
    "Wilhelmina",
    "19370219",
    "ACCKANARI77",
    "Kanarienhausklinik",
    "Goldkanarie",
    "Kanarzeisig",
    "Ottokar",
    "Kanariwitwe",
    "Kanarienweg",
)


def plant(source: Path, target: Path, patient_id: str) -> None:
    """Copy a file with an identity in it, or as it is where it takes none."""
    try:
        image = dcmread(source)
        _name(image, patient_id)
        image.save_as(target)
    except Exception:  # noqa: BLE001 - a file that pydicom does not write again goes as it is
        shutil.copyfile(source, target)
    os.utime(target, (1, 1))


def _name(image: Dataset, patient_id: str) -> None:
    image.SpecificCharacterSet = "ISO_IR 192"
    image.PatientID = patient_id
    for keyword, value in VALUES.items():
        setattr(image, keyword, value)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        if image.get(keyword):
            image[keyword].value = generate_uid(UID_ROOT, [f"{patient_id}{image[keyword].value}"])
    if image.get("SOPInstanceUID"):
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID


def needles(words: Iterable[str] = WORDS) -> dict[bytes, str]:
    """Each form of each word, in small letters where the form has no case of its own, and what it is."""
    found: dict[bytes, str] = {}
    for word in words:
        for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
            found[word.encode(encoding).lower()] = f"{word} in {encoding}"
        for spelt in {word, word.lower(), word.upper()}:
            for encoding in ("utf-8", "utf-16-le"):
                raw = spelt.encode(encoding)
                found[raw.hex().encode()] = f"{word} in hex"
                for before in range(3):  # base64 of it, wherever it starts in what was encoded
                    start, end = (0, 2, 3)[before], (before + len(raw)) // 3 * 4
                    inner = base64.b64encode(bytes(before) + raw)[:end][start and 4 :]
                    found[b"=" + inner] = f"{word} in base64"  # the mark says that it is searched for as it is
    return found


_NEEDLES = needles()


def canaries_in(content: bytes) -> list[str]:
    """Which words are in `content`, and in which form."""
    small = content.lower()
    return [what for one, what in _NEEDLES.items() if (one[1:] in content if one[:1] == b"=" else one in small)]


def found_below(folder: Path, *, without: Iterable[str] = ()) -> Iterator[str]:
    """Where canaries are: in any byte of a file below `folder`, or in its path."""
    left_out = [folder / name for name in without]
    for root, folders, names in os.walk(folder):
        here = Path(root)
        folders[:] = [name for name in folders if here / name not in left_out]
        for name in names:
            path = here / name
            place = os.path.relpath(path, folder)
            for what in [*canaries_in(os.fsencode(place)), *(canaries_in(path.read_bytes()) if path.is_file() else ())]:
                yield f"{what}: {place}"
