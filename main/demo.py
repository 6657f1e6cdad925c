"""A synthetic CT study of an invented patient, and the search for that patient in what comes out. For `manage.py demo`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SIDE = 128

# Everything that tells who the invented patient is; none of it may be found in an output.
SECRETS = {
    "PatientName": "SAMPLE^ADALBERTA^QUINBY",
    "PatientID": "DEMO-4711-0815",
    "PatientBirthDate": "19370412",
    "PatientAddress": "17 Imaginary Lane, Nowhereville",
    "PatientTelephoneNumbers": "+49-555-0104711",
    "AccessionNumber": "ACC-DEMO-2291",
    "ReferringPhysicianName": "VONWUNDERLICH^THEODORIC",
    "PerformingPhysicianName": "KRAWINKEL^OTTOKAR",
    "InstitutionName": "Sankt Fiktiva Klinikum",
    "InstitutionAddress": "Fiktivstrasse 99",
    "StationName": "FIKTIVA-CT-7",
    "DeviceSerialNumber": "SN-FIKT-88123",
}


def write_study(folder: Path, images: int) -> set[str]:
    """Write `images` CT slices into `folder`; returns the values that must not be found afterwards."""
    folder.mkdir(parents=True)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    secrets = {*SECRETS.values(), study, series, frame}
    for number in range(1, images + 1):
        image = _slice(number, images, study, series, frame)
        secrets.add(str(image.SOPInstanceUID))
        image.save_as(folder / f"IM{number:04d}.dcm", enforce_file_format=True)
    return secrets


def find_secrets(files: Iterable[Path], secrets: Iterable[str]) -> Iterator[Path]:
    """Files that hold one of `secrets` in any byte, as UTF-8 or UTF-16, or the family and given names on their own."""
    words = {*secrets, *(part for name in secrets if "^" in name for part in name.split("^"))}
    patterns = [word.encode(encoding) for word in words for encoding in ("utf-8", "utf-16-le")]
    for path in files:
        content = path.read_bytes()
        if any(pattern in content for pattern in patterns):
            yield path


def _slice(number: int, images: int, study: str, series: str, frame: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for keyword, value in SECRETS.items():
        setattr(image, keyword, value)
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, series, frame
    image.Modality, image.Manufacturer, image.ManufacturerModelName = "CT", "sendit demo", "Phantom 1"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.StudyDate = image.SeriesDate = image.ContentDate = "20240229"
    image.StudyTime = image.SeriesTime = image.ContentTime = "101112"
    image.StudyDescription, image.SeriesDescription = "CT ABDOMEN QUINBY", "AXIAL 5MM"
    image.StudyID, image.PatientSex, image.PositionReferenceIndicator = "S1", "F", ""
    image.SeriesNumber, image.InstanceNumber = 1, number
    image.KVP, image.SliceThickness, image.PixelSpacing = 120, 5, [0.8, 0.8]
    image.ImagePositionPatient, image.ImageOrientationPatient = [0, 0, 5 * number], [1, 0, 0, 0, 1, 0]
    referenced = Dataset()
    referenced.ReferencedSOPClassUID, referenced.ReferencedSOPInstanceUID = CTImageStorage, image.SOPInstanceUID
    request = Dataset()
    request.RequestedProcedureDescription, request.ScheduledProcedureStepID = "CT QUINBY", "SPS-2291"
    image.ReferencedImageSequence, image.RequestAttributesSequence = Sequence([referenced]), Sequence([request])
    image.add_new(0x00090010, "LO", "FIKTIVA PRIVATE")
    image.add_new(0x00091001, "LO", SECRETS["PatientName"])
    image.Rows = image.Columns = SIDE
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.RescaleIntercept, image.RescaleSlope = -1024, 1
    image.PixelData = _phantom(number / images)
    return image


def _phantom(depth: float) -> bytes:
    """A body with a round lesion that grows and shrinks with depth."""
    middle, body, lesion = SIDE / 2, SIDE * 0.42, SIDE * 0.16 * (1 - abs(2 * depth - 1))
    pixels = bytearray()
    for row in range(SIDE):
        for column in range(SIDE):
            outer = ((row - middle) ** 2 * 1.5 + (column - middle) ** 2) ** 0.5
            inner = ((row - middle * 0.9) ** 2 + (column - middle * 1.2) ** 2) ** 0.5
            value = 1400 if inner < lesion else 1060 if outer < body else 20
            pixels += value.to_bytes(2, "little")
    return bytes(pixels)
