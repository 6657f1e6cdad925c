"""Images to send to the neighbours: real files of pydicom's, described, and enlarged ones with UIDs of their own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy
import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from dimse import Instance

PREAMBLE_AND_GROUP_LENGTH = 128 + 4 + 12


def describe(path: Path) -> Instance:
    """Return a Part 10 file as an instance to send; its UIDs are those of the file meta information."""
    meta = pydicom.filereader.read_file_meta_info(path)
    return Instance(
        path=path,
        sop_class_uid=str(meta.MediaStorageSOPClassUID),
        sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
        transfer_syntax_uid=str(meta.TransferSyntaxUID),
        dataset_offset=PREAMBLE_AND_GROUP_LENGTH + int(meta.FileMetaInformationGroupLength),
    )


@cache
def _enlarged(size: int) -> pydicom.FileDataset:
    image = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    factor = size // image.Rows
    pixels = numpy.kron(image.pixel_array, numpy.ones((factor, factor), image.pixel_array.dtype))
    image.Rows, image.Columns = pixels.shape
    image.PixelData = pixels.tobytes()
    return image


def make_series(folder: Path, count: int, size: int = 512) -> list[Instance]:
    """Write `count` CT images of one new series, `size` x `size` (a multiple of 128; 512 makes 530 kB each)."""
    image = _enlarged(size)
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    folder.mkdir(parents=True, exist_ok=True)
    instances = []
    for number in range(count):
        image.InstanceNumber = number + 1
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        path = folder / f"{number:06}.dcm"
        image.save_as(path, enforce_file_format=True)
        instances.append(describe(path))
    return instances


def dataset_bytes(instance: Instance) -> bytes:
    """Return the encoded data set of an instance, as it goes over the wire."""
    with instance.path.open("rb") as file:
        file.seek(instance.dataset_offset)
        return file.read()
