"""MR images to measure with: pydicom's small one, described like those of a scanner, with pixels of noise.

The CT images are those of `tests.peers.images`.
"""

from __future__ import annotations

from pathlib import Path

import numpy
import pydicom
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

_SIZE = 384
_MORE = {
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
    "Manufacturer": "SIEMENS",
    "InstitutionName": "University Hospital",
    "InstitutionAddress": "1 Hospital Road",
    "StationName": "MR01",
    "StudyDescription": "MR Brain with contrast",
    "SeriesDescription": "T1 MPRAGE sagittal",
    "PerformingPhysicianName": "Reader^Rita",
    "OperatorsName": "Operator^Otto",
    "ReferringPhysicianName": "Referrer^Rolf",
    "ProtocolName": "Brain routine",
    "BodyPartExamined": "BRAIN",
    "PatientBirthDate": "19600713",
    "PatientAge": "042Y",
    "PatientSize": "1.75",
    "PatientWeight": "75",
    "DeviceSerialNumber": "41234",
    "SequenceName": "*tfl3d1",
    "ImagingFrequency": "123.2",
    "FlipAngle": "9",
    "NumberOfAverages": "1",
    "TransmitCoilName": "Body",
    "ReceiveCoilName": "HeadMatrix",
    "InversionTime": "900",
    "PixelBandwidth": "240",
    "SAR": "0.05",
    "dBdt": "0",
    "PercentSampling": "100",
    "PercentPhaseFieldOfView": "100",
    "MagneticFieldStrength": "3",
    "EchoTrainLength": "1",
    "AcquisitionMatrix": [0, 256, 256, 0],
    "InPlanePhaseEncodingDirection": "ROW",
    "VariableFlipAngleFlag": "N",
    "PerformedProcedureStepStartDate": "20200102",
    "PerformedProcedureStepStartTime": "101112.5",
    "PerformedProcedureStepDescription": "MR Brain with contrast",
    "PerformedProcedureStepID": "P77",
    "RequestedProcedureDescription": "MR Brain",
    "RequestingPhysician": "Asker^Anna",
    "AcquisitionDate": "20200102",
    "AcquisitionTime": "101314.25",
    "ContentDate": "20200102",
    "ContentTime": "101315.75",
    "SliceLocation": "12.5",
    "TemporalPositionIdentifier": "1",
    "SmallestImagePixelValue": 0,
    "LargestImagePixelValue": 4000,
    "WindowCenter": "800",
    "WindowWidth": "1600",
    "WindowCenterWidthExplanation": "Algo1",
    "SoftwareVersions": "syngo MR B17",
    "ManufacturerModelName": "Verio",
    "StudyComments": "none",
    "ImageComments": "",
}


def _described() -> Dataset:
    """Return the image with about 200 elements."""
    image = pydicom.dcmread(str(get_testdata_file("MR_small.dcm")))
    pixels = numpy.random.default_rng(1).integers(0, 4000, (_SIZE, _SIZE), dtype="uint16")
    image.Rows = image.Columns = _SIZE
    image.PixelData = pixels.tobytes()
    for keyword, value in _MORE.items():
        setattr(image, keyword, value)
    image.RequestAttributesSequence = Sequence([_item(1)])
    image.ReferencedImageSequence = Sequence([_reference() for _ in range(3)])
    image.ProcedureCodeSequence = Sequence([_code("MRBRAIN", "MR Brain")])
    image.PerformedProtocolCodeSequence = Sequence([_code("MRBRAIN", "MR Brain")])
    block = image.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    for number, vr, value in ((0x08, "CS", "IMAGE NUM 4"), (0x0C, "IS", "0"), (0x0D, "CS", "NONE"), (0x11, "SH", "No")):
        block.add_new(number, vr, value)
    csa = image.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    csa.add_new(0x10, "OB", bytes(range(256)) * 44)
    csa.add_new(0x20, "OB", bytes(range(256)) * 200)
    block = image.private_block(0x0051, "SIEMENS MR HEADER", create=True)
    for number in range(8, 40):
        block.add_new(number, "LO", f"value {number}")
    return image


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99LOCAL", meaning
    return item


def _reference() -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", generate_uid()
    return item


def _item(number: int) -> Dataset:
    item = Dataset()
    item.RequestedProcedureID, item.ScheduledProcedureStepID = f"R{number}", f"S{number}"
    item.RequestedProcedureDescription = "MR Brain"
    item.ScheduledProtocolCodeSequence = Sequence([_code("MRBRAIN", "MR Brain")])
    return item


def make_mr_series(folder: Path, count: int) -> list[Path]:
    """Write `count` images of one new series."""
    image = _described()
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        image.InstanceNumber = number + 1
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        paths.append(folder / f"{number:06}.dcm")
        image.save_as(paths[-1], enforce_file_format=True)
    return paths
