"""The command as its users start it, and folders of studies to try it on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pydicom import dcmread
from pydicom.data import get_testdata_file

from deidentify.cli.keys import make_key

ROOT = Path(__file__).resolve().parents[2]


def started(*arguments: object) -> subprocess.Popen[str]:
    """Start `python -m deidentify` with these arguments."""
    return subprocess.Popen(
        [sys.executable, "-m", "deidentify", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(*arguments: object, code: int = 0) -> str:
    """Run `python -m deidentify` to its end, which has to be with `code`, and return all that it printed."""
    process = started(*arguments)
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, out + err
    return out + err


def key_file(folder: Path) -> Path:
    """Make a key file."""
    make_key(folder / "project.key")
    return folder / "project.key"


def write_image(path: Path, patient: str, study: int, number: int, **values: str) -> None:
    """Write an image of `patient`, with other values by keyword."""
    ds = dcmread(get_testdata_file("CT_small.dcm"))
    ds.PatientID, ds.PatientName = patient, f"Quinby^{patient}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.3.{study}", f"1.2.3.{study}.1"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{study}.1.{number}"
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path)


def write_studies(folder: Path, images: int = 3) -> Path:
    """Write two studies of one patient and one of another, under names that are identities."""
    for study, patient in ((1, "ADALBERTA"), (2, "ADALBERTA"), (3, "BARTHOLOMEW")):
        for number in range(1, images + 1):
            write_image(folder / f"Quinby {patient}" / f"{study}" / f"IM{number:04}.dcm", patient, study, number)
    return folder


def outputs(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every output by its name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.dcm"))}
