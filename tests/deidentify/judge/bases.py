"""The objects that identities are planted into: pydicom's real files, and small ones of kinds that are not among them.

What is built here has what its IOD asks for and nothing that identifies anybody.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from random import Random

import numpy
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from tests.deidentify.judge.documents import cda, pdf
from tests.deidentify.objects import FOLDER

_STORAGE = "1.2.840.10008.5.1.4.1.1."
REAL = {
    "CT": ("CT_small.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm"),
    "MR": (
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "examples_overlay.dcm",
    ),
    "US": ("examples_palette.dcm", "examples_rgb_color.dcm", "examples_jpeg2k.dcm", "examples_ybr_color.dcm"),
    "CR": ("dicomdirtests/77654033/CR1/6154",),
    "NM": ("JPEG2000.dcm", "JPGExtended.dcm"),
    "OT": (
        "SC_rgb_small_odd.dcm",
        "SC_rgb_rle.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "SC_rgb_gdcm_KY.dcm",
        "SC_rgb_rle_16bit_2frame.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_jls_lossy_line.dcm",
        "image_dfl.dcm",
    ),
    "SEG": ("liver_1frame.dcm", "liver_expb_1frame.dcm"),
    "RTDOSE": ("rtdose.dcm", "rtdose_rle.dcm", "rtdose_expb_1frame.dcm"),
    "RTPLAN": ("rtplan.dcm",),
    "RTSTRUCT": ("rtstruct.dcm",),
    "SR": ("reportsi.dcm", "test-SR.dcm"),
    "ECG": ("waveform_ecg.dcm",),
}
# Objects whose pixels are drawn on; they are uncompressed, so that nothing but the ink changes.
DRAWN = ("US-ink", "CR-ink", "SC-ink", "XA-ink", "US-multiframe-ink")


def _image(modality: str, sop_class: str, pixels: numpy.ndarray, *, rgb: bool = False) -> Dataset:
    """Return an image of one frame or many."""
    ds = Dataset()
    ds.SOPClassUID = sop_class
    ds.Modality = modality
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.Manufacturer = "GE MEDICAL SYSTEMS"
    ds.InstanceNumber, ds.SeriesNumber = 1, 1
    shape = pixels.shape[:-1] if rgb else pixels.shape
    ds.Rows, ds.Columns = shape[-2:]
    if len(shape) == 3:
        ds.NumberOfFrames = shape[0]
        ds.FrameTime = "33.3"
        ds.FrameIncrementPointer = 0x00181063
    ds.SamplesPerPixel = 3 if rgb else 1
    ds.PhotometricInterpretation = "RGB" if rgb else "MONOCHROME2"
    if rgb:
        ds.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, min(bits, 12), min(bits, 12) - 1
    ds.PixelRepresentation = 0
    ds.PatientOrientation = ""
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OB" if bits == 8 else "OW"
    return ds


def _tissue(random: Random, shape: tuple[int, ...], top: int, dtype: str) -> numpy.ndarray:
    """Return something between noise and anatomy: blobs, a gradient and grain."""
    make = numpy.random.default_rng(random.randrange(1 << 30))
    rows, columns = shape[-2:]
    y, x = numpy.mgrid[0:rows, 0:columns]
    image = numpy.zeros((rows, columns))
    for _ in range(12):
        cy, cx, radius = make.integers(0, rows), make.integers(0, columns), make.integers(20, 90)
        image += make.random() * numpy.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2.0 * radius**2))
    image = image / image.max() * 0.7 * top
    grain = make.normal(0, top * 0.02, shape)
    return numpy.clip(image + grain, 0, top).astype(dtype)


def _us(random: Random) -> Dataset:
    gray = _tissue(random, (480, 640), 220, "uint8")
    gray[:60, :] = 0
    return _image("US", _STORAGE + "6.1", numpy.repeat(gray[..., None], 3, axis=2), rgb=True)


def _us_frames(random: Random) -> Dataset:
    return _image("US", _STORAGE + "3.1", _tissue(random, (4, 240, 320), 200, "uint8"))


def _cr(random: Random) -> Dataset:
    ds = _image("CR", _STORAGE + "1", _tissue(random, (512, 420), 4000, "uint16"))
    ds.BodyPartExamined, ds.ViewPosition = "CHEST", "PA"
    return ds


def _sc(random: Random) -> Dataset:
    ds = _image("OT", _STORAGE + "7", _tissue(random, (300, 400), 230, "uint8"))
    ds.ConversionType = "WSD"
    return ds


def _xa(random: Random) -> Dataset:
    ds = _image("XA", _STORAGE + "12.1", _tissue(random, (384, 384), 3500, "uint16"))
    ds.PixelIntensityRelationship, ds.KVP, ds.PositionerMotion = "LOG", "70", "STATIC"
    return ds


def _pdf(random: Random) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.Modality = _STORAGE + "104.1", "DOC"
    ds.ConversionType, ds.InstanceNumber, ds.SeriesNumber = "WSD", 1, 1
    ds.BurnedInAnnotation, ds.MIMETypeOfEncapsulatedDocument = "YES", "application/pdf"
    ds.DocumentTitle = ""
    ds.EncapsulatedDocument = pdf(["Report"], {})
    return ds


def _cda(random: Random) -> Dataset:
    ds = _pdf(random)
    ds.SOPClassUID, ds.MIMETypeOfEncapsulatedDocument = _STORAGE + "104.2", "text/XML"
    ds.EncapsulatedDocument = cda("Nobody", "No", "0", "Report")
    return ds


def _gsps(random: Random) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.Modality = _STORAGE + "11.1", "PR"
    ds.InstanceNumber, ds.SeriesNumber = 1, 1
    ds.ContentLabel, ds.PresentationLUTShape = "ANNOTATED", "IDENTITY"
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = "MARKS", 1
    ds.GraphicLayerSequence = Sequence([layer])
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = [1, 1], [512, 512]
    area.PresentationSizeMode, area.PresentationPixelAspectRatio = "SCALE TO FIT", [1, 1]
    ds.DisplayedAreaSelectionSequence = Sequence([area])
    return ds


def _enhanced(random: Random) -> Dataset:
    frames = 3
    ds = _image("MR", _STORAGE + "4.1", _tissue(random, (frames, 64, 64), 4000, "uint16"))
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    del ds.FrameIncrementPointer
    del ds.FrameTime
    measures = Dataset()
    measures.SliceThickness, measures.PixelSpacing = "5", [0.5, 0.5]
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([measures])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence()
    for number in range(frames):
        position, content, group = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, 5 * number]
        content.StackID, content.InStackPositionNumber = "1", number + 1
        group.PlanePositionSequence = Sequence([position])
        group.FrameContentSequence = Sequence([content])
        ds.PerFrameFunctionalGroupsSequence.append(group)
    return ds


BUILT: dict[str, Callable[[Random], Dataset]] = {
    "US-ink": _us,
    "US-multiframe-ink": _us_frames,
    "CR-ink": _cr,
    "SC-ink": _sc,
    "XA-ink": _xa,
    "XA": _xa,
    "PDF": _pdf,
    "CDA": _cda,
    "GSPS": _gsps,
    "MR-enhanced": _enhanced,
}
KINDS = tuple(dict.fromkeys([*REAL, *BUILT]))


def base(kind: str, random: Random, turn: int) -> Dataset:
    """Return an object of a kind; `turn` walks through the real files of the kind."""
    if kind in BUILT:
        ds = BUILT[kind](random)
        ds.set_original_encoding(False, True, [])
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = dcmread(FOLDER / REAL[kind][turn % len(REAL[kind])], force=True)
            ds.decode()
        if "TransferSyntaxUID" not in ds.file_meta:
            ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
        if not ds.get("Modality"):
            ds.Modality = "OT"
    return ds
