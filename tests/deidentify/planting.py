"""Plants invented identities into a real object, each with its own marker, and finds them again in raw bytes."""

import zlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from deidentify.dictionary import vr_of
from deidentify.gate import read_structure
from deidentify.tables import table_e1_1

TEXT_VRS = ("PN", "LO", "SH", "LT", "ST", "UT", "UC")
# Sequences that the Basic Profile keeps, whose items have to be clean all the same.
KEPT_SEQUENCES = (0x00081115, 0x00082218, 0x0040A730, 0x00081140, 0x00540016, 0x300A00B0, 0x52009229)
DROPPED_SEQUENCES = (0x00101002, 0x00400275, 0x00081110, 0x04000561)


class Plants:
    """Makes markers and remembers which of them went where."""

    def __init__(self, seed: int) -> None:
        self._numbers = count(seed * 1000 + 1)
        self.where: dict[bytes, str] = {}

    def value(self, vr: str, where: str) -> str | bytes:
        number = next(self._numbers)
        if vr == "UI":
            value = f"1.2.826.0.1.3680043.8.498.777.{number}"
        elif vr == "DA":
            value = f"1{number % 800 + 100:03d}0{number % 9 + 1}1{number % 9}"
        elif vr == "DT":
            value = f"17{number % 90 + 10}0{number % 9 + 1}1{number % 9}10203{number % 10}"
        elif vr == "TM":
            value = f"10{number % 50 + 10}{number % 50 + 10}.{number % 900000 + 100000}"
        elif vr == "AE":
            value = f"QZAE{number}"
        else:
            value = f"Qzv{number}x^Wkj{number}y" if vr == "PN" else f"Qzv{number}x"
        self.where[(value.split("^")[0]).encode()] = where
        return value

    def element(self, tag: int, vr: str, where: str) -> DataElement:
        value = self.value(vr, where)
        return DataElement(tag, vr, value.encode() if vr in ("OB", "UN") and isinstance(value, str) else value)


def planted(path: Path, seed: int) -> tuple[Dataset, Plants, bytes]:
    """Return a copy of the object at `path` full of markers, the markers, and a preamble that has one too."""
    ds = dcmread(path, force=True)
    plants = Plants(seed)
    for row in table_e1_1().rows:
        if "x" in row.tag or row.tag == "private" or int(row.tag[:4], 16) < 8:
            continue
        tag = int(row.tag, 16)
        vr = (vr_of(tag) or row.vr).split(" or ")[0]
        if vr in (*TEXT_VRS, "UI", "DA", "DT", "TM") and (row.vr == "PN" or (tag * 31 + seed) % 3 == 0 or tag in ds):
            ds.add(plants.element(tag, vr, f"top level {row.keyword}"))
    for tag in (0x00080018, 0x0020000D, 0x0020000E, 0x00100010, 0x00100020):
        ds.add(plants.element(tag, vr_of(tag), "top level"))
    for tag in (*KEPT_SEQUENCES, *DROPPED_SEQUENCES):
        ds.add(DataElement(tag, "SQ", Sequence([_item(plants, depth=2)])))
    _private(ds, plants, "private")
    ds.add(plants.element(0x60004000, "LT", "overlay comments"))
    ds.add(plants.element(0x60001500, "LO", "overlay label"))
    ds.add(plants.element(0x50000022, "LO", "curve description"))
    ds.add(plants.element(0xFFFCFFFC, "OB", "trailing padding"))
    meta = getattr(ds, "file_meta", None) or FileMetaDataset()
    ds.file_meta = meta
    meta.MediaStorageSOPInstanceUID = UID(str(plants.value("UI", "file meta instance")))
    meta.SourceApplicationEntityTitle = plants.value("AE", "file meta AE title")
    meta.ImplementationVersionName = plants.value("AE", "file meta version")
    meta.PrivateInformationCreatorUID = UID("1.2.826.0.1.3680043.8.498.1")
    meta.PrivateInformation = str(plants.value("LO", "file meta private information")).encode()
    preamble = str(plants.value("LO", "preamble")).encode().ljust(128, b"\0")
    return ds, plants, preamble


def leaked(target: Path, plants: Plants) -> list[str]:
    """Return where the markers that are still in the raw bytes of `target` had been planted."""
    content = target.read_bytes()
    structure = read_structure(target)
    if structure.transfer_syntax_uid.endswith(".1.99"):
        content += zlib.decompress(content[structure.dataset_offset :], -15)
    content = content.lower()
    return [where for marker, where in plants.where.items() if any(form in content for form in _forms(marker.lower()))]


def _forms(marker: bytes) -> Iterator[bytes]:
    yield marker
    yield marker.decode().encode("utf-16-le").strip(b"\0")


def _item(plants: Plants, depth: int) -> Dataset:
    item = Dataset()
    for tag in (
        0x00100010,
        0x00100020,
        0x00080050,
        0x0008002A,
        0x00081030,
        0x00081155,
        0x0040A123,
        0x0040A160,
        0x0020000D,
    ):
        item.add(plants.element(tag, vr_of(tag), f"nested {tag:08X}"))
    code = Dataset()
    code.CodeValue = plants.value("SH", "code value")
    code.CodingSchemeDesignator = "99LOCAL"
    code.CodeMeaning = plants.value("LO", "code meaning")
    if depth:
        item.ContentSequence = Sequence([_item(plants, depth - 1)])
        item.PersonIdentificationCodeSequence = Sequence([code])
    _private(item, plants, "nested private")
    return item


def _private(ds: Dataset, plants: Plants, where: str) -> None:
    block = ds.private_block(0x0099, str(plants.value("LO", f"{where} creator")), create=True)
    block.add_new(1, "LO", plants.value("LO", f"{where} text"))
    block.add_new(2, "UN", str(plants.value("LO", f"{where} unknown")).encode())
    inner = Dataset()
    inner.PatientName = plants.value("PN", f"{where} sequence")
    block.add_new(3, "SQ", Sequence([inner]))
    block.add_new(4, "UI", plants.value("UI", f"{where} UID"))
