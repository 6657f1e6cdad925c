"""The producer: makes small CT series of invented patients, drops them, and writes down what it handed over.

Its ledger says of every file what may become of it. It knows nothing of the node but the name of the inbox.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SIDE = 64

# What may become of a file that is no image.
HOSTILE = {
    "truncated": "unreadable",
    "nameless": "unreadable",
    "letter": "not-dicom",
    "empty": "not-dicom",
    "system": "system",
}


@dataclass(frozen=True)
class File:
    """One file that was handed over; `path` is DROP/NAME, `outcomes` what may become of it."""

    path: str
    outcomes: tuple[str, ...]
    sop_instance_uid: str = ""
    source: str = ""


@dataclass
class Series:
    """An invented series, which may get more images later."""

    patient: int
    study_instance_uid: str
    series_instance_uid: str
    images: int = 0


class Producer:
    """Drops series into an inbox as a careful sender does: written as `NAME.tmp1`, then renamed.

    Everything that must not come out of the node carries `marker` (names, ids, texts) or `uid_root` (UIDs).
    """

    def __init__(self, folder: Path, inbox: Path, seed: int) -> None:
        self.random = random.Random(f"load {seed}")
        run = random.SystemRandom().randrange(10**8, 10**9)
        self.marker = f"zq{run}x"
        self.uid_root = f"1.2.826.0.1.3680043.9.7777.{run}"
        self.folder, self.inbox = folder, inbox
        self.ledger = folder / "ledger.jsonl"
        self.files: list[File] = []
        self.images = 0
        self._series: list[Series] = []
        self._drops: list[Path] = []
        self._uids = 0
        folder.mkdir(parents=True, exist_ok=True)
        inbox.mkdir(parents=True, exist_ok=True)

    def drop(self, images: int, *, hostile: bool = False) -> None:
        """Hand over a new series; with `hostile` files beside it that are no images, or not new ones."""
        series = Series(len(self._series), self._uid(), self._uid())
        self._series.append(series)
        self._hand_over(series, images, hostile)

    def late(self, images: int) -> None:
        """Hand over more images of a series that is known."""
        self._hand_over(self.random.choice(self._series), images, False)

    def again(self) -> None:
        """Hand over an earlier drop once more, under another name: every image is a duplicate of the other."""
        earlier = self.random.choice(self._drops)
        name = self._name("again")
        shutil.copytree(earlier, self.folder / name)
        known = {file.path: file for file in self.files}
        files = []
        for path in sorted((self.folder / name).iterdir()):
            file = known[f"{earlier.name}/{path.name}"]
            outcomes = (*file.outcomes, "duplicate") if file.sop_instance_uid else file.outcomes
            files.append(File(f"{name}/{path.name}", outcomes, file.sop_instance_uid, file.source))
            if "duplicate" in outcomes:  # either of the two may be the one that was registered first
                self._replace(file, outcomes)
        self._rename_in(name, files)

    def _hand_over(self, series: Series, images: int, hostile: bool) -> None:
        name = self._name("drop")
        folder = self.folder / name
        folder.mkdir()
        files = []
        for _ in range(images):
            series.images += 1
            path = folder / f"{self.marker}-{series.images:05}.dcm"
            dataset = self._image(series)
            dataset.save_as(path, enforce_file_format=True)
            files.append(File(f"{name}/{path.name}", ("SENT",), str(dataset.SOPInstanceUID), str(path)))
        self.images += images
        if hostile:
            files += self._hostile(folder, files[0])
        else:
            self._drops.append(folder)
        self._rename_in(name, files)

    def _hostile(self, folder: Path, first: File) -> list[File]:
        """Files that are no images, and one with the UID of the first image and other pixels; all look finished."""
        content = Path(first.source).read_bytes()
        nameless = self._image(self._series[0])
        del nameless.SOPInstanceUID
        nameless.save_as(folder / "nameless.dcm", enforce_file_format=True)
        (folder / "truncated.dcm").write_bytes(content[: len(content) // 2])
        (folder / "letter.txt").write_text(f"Dear doctor, {self.marker} is well.\n")
        (folder / "empty.dcm").write_bytes(b"")
        (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
        (folder / "zz-other-pixels.dcm").write_bytes(content[:-100] + bytes(100))
        names = {"truncated.dcm": "truncated", "nameless.dcm": "nameless", "letter.txt": "letter"}
        names |= {"empty.dcm": "empty", "Thumbs.db": "system"}
        for path in folder.iterdir():  # as a copy that keeps times; what was written just now may still be growing
            os.utime(path, (path.stat().st_mtime - 3600,) * 2)
        files = [File(f"{folder.name}/{name}", (HOSTILE[kind],)) for name, kind in names.items()]
        return [*files, File(f"{folder.name}/zz-other-pixels.dcm", ("conflict",))]

    def _rename_in(self, name: str, files: list[File]) -> None:
        unfinished = self.inbox / f"{name}.tmp1"
        shutil.copytree(self.folder / name, unfinished)
        os.rename(unfinished, self.inbox / name)
        self.files += files
        with self.ledger.open("w") as ledger:
            ledger.writelines(json.dumps(asdict(file)) + "\n" for file in self.files)

    def _replace(self, file: File, outcomes: tuple[str, ...]) -> None:
        changed = File(file.path, outcomes, file.sop_instance_uid, file.source)
        self.files[self.files.index(file)] = changed

    def _name(self, kind: str) -> str:
        self._uids += 1
        return f"{self.marker}-{kind}-{self._uids}"

    def _uid(self) -> str:
        self._uids += 1
        return f"{self.uid_root}.{self._uids}"

    def _image(self, series: Series) -> Dataset:
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = self._uid()
        image.SpecificCharacterSet = "ISO_IR 100"
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.StudyDate, image.StudyTime, image.Modality = "20260102", "101112", "CT"
        image.AccessionNumber = f"{self.marker[:10]}{series.patient:05}"
        image.InstitutionName = f"Clinic {self.marker}"
        image.ReferringPhysicianName = f"{self.marker}^Ref"
        image.StudyDescription = f"follow-up of {self.marker}"
        related = Dataset()
        related.ReferencedSOPClassUID, related.ReferencedSOPInstanceUID = CTImageStorage, f"{self.uid_root}.1"
        image.ReferencedImageSequence = Sequence([related])
        image.add_new(0x00091001, "LO", f"private {self.marker}")
        image.add_new(0x00090010, "LO", "SENDIT FAULTS")
        image.PatientName = f"{self.marker}^Äda{series.patient}"
        image.PatientID = f"{self.marker}-{series.patient}"
        image.PatientBirthDate, image.PatientSex = "19700203", "O"
        image.OtherPatientIDs = f"{self.marker}-other"
        image.StudyInstanceUID, image.SeriesInstanceUID = series.study_instance_uid, series.series_instance_uid
        image.StudyID, image.SeriesNumber, image.InstanceNumber = "1", 1, series.images
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.Rows = image.Columns = SIDE
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 0

        image.PixelData = self.random.randbytes(SIDE * SIDE * 2)
        return image
