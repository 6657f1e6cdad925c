"""Whether the outputs still belong together: UIDs, references, patients, dates, marks, pixels, and the same bytes again.

Every check counts; what was removed as the recipe says is not judged here.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path as File

import numpy
from pydicom import Dataset, dcmread
from pydicom.uid import UID

from tests.deidentify.judge.promise import SHIFTED, Promise
from tests.deidentify.judge.truth import PAIRS, Ink, Truth
from tests.deidentify.judge.values import value_at

_CODES = {
    "retain-uids": "113110",
    "retain-device-identity": "113109",
    "retain-institution-identity": "113112",
    "retain-patient-characteristics": "113108",
    "retain-full-dates": "113106",
    "retain-modified-dates": "113107",
    "clean-descriptors": "113105",
    "clean-structured-content": "113104",
    "clean-graphics": "113103",
    "retain-safe-private": "113111",
}


class Integrity:
    """Collects what is found in all outputs of one run."""

    def __init__(self, promise: Promise) -> None:
        self.promise = promise
        self.held: dict[str, int] = defaultdict(int)
        self.wrong: dict[str, list[str]] = defaultdict(list)
        self._new: dict[str, str] = {}
        self._old: dict[str, str] = {}
        self._shift: dict[str, timedelta] = {}
        self._exact: dict[str, timedelta] = {}
        self._references: list[tuple[str, str, str]] = []

    def check(self, what: str, held: bool, complaint: str) -> None:
        """Count one check."""
        if held:
            self.held[what] += 1
        else:
            self.wrong[what].append(complaint)

    def file(self, truth: Truth, source: File, target: File, ds: Dataset) -> None:
        """Check one output."""
        self._uids(truth, ds)
        self._patient(truth, ds)
        self._dates(truth, ds)
        self._marks(truth, ds)
        if truth.pixels_stay:
            self._pixels(truth, source, ds)

    def finish(self) -> None:
        """Check what needs all outputs: whether each reference names the output of what it named."""
        for name, old, new in self._references:
            expected = self._new.get(old)
            if expected:
                self.check("references resolve", new == expected, f"{name}: a reference names something else")

    def _uids(self, truth: Truth, ds: Dataset) -> None:
        for path, old in truth.uids:
            new = value_at(ds, path)
            if not new:
                continue
            for one, other in zip(old.split("\\"), new.split("\\"), strict=False):
                tag = f"{path[-1]:08X}"
                self.check("UIDs valid", bool(UID(other).is_valid) and len(other) <= 64, f"{truth.name}: {tag}")
                self.check(
                    "UIDs consistent",
                    self._new.setdefault(one, other) == other,
                    f"{truth.name}: {tag} has a second one",
                )
                self.check("UIDs injective", self._old.setdefault(other, one) == one, f"{truth.name}: {tag} merged")
                guesses = _guessable(one)
                self.check("not re-derivable", other not in guesses, f"{truth.name}: {tag} is a hash without a key")
        for path, old in truth.references:
            new = value_at(ds, path)
            if not new:
                self.check("references resolve", False, f"{truth.name}: the reference {path[-1]:08X} is gone")
            else:
                self._references.append((truth.name, old, new))
        self.check("file meta", ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID, truth.name)

    def _patient(self, truth: Truth, ds: Dataset) -> None:
        self.check("patient mapping", str(ds.get("PatientID")) == truth.pseudonym, truth.name)

    def _dates(self, truth: Truth, ds: Dataset) -> None:
        if not self.promise.shifts:
            return
        for path, vr, old in truth.dates:
            if vr == "TM" or self.promise.of(path[-1], vr) != SHIFTED:
                continue
            new = value_at(ds, path)
            if not new:
                self.check("dates move alike", False, f"{truth.kind} {truth.name}: {path[-1]:08X} ({vr}) is gone")
                continue
            before, after = _moment(old), _moment(new)
            if before is None or after is None:
                self.check("dates move alike", False, f"{truth.kind} {truth.name}: {path[-1]:08X} ({vr}) is no date")
                continue
            days = timedelta((after.date() - before.date()).days)
            constant = self._shift.setdefault(truth.patient, days)
            # A time that is moved as well may carry a date over midnight.
            near = abs(days - constant) <= timedelta(days=1)
            self.check(
                "dates move alike", near, f"{truth.kind} {truth.name}: {path[-1]:08X} ({vr}) by another distance"
            )
            self.check("dates move", bool(days), f"{truth.kind} {truth.name}: {path[-1]:08X} ({vr}) did not move")
            if vr == "DT" and len(old) > 8:
                self._interval(truth, old, new, f"{path[-1]:08X} (DT)")
        values = {path[0]: (old, value_at(ds, path)) for path, _, old in truth.dates if len(path) == 1}
        for day, time in PAIRS:
            if values.get(day, ("", ""))[1] and values.get(time, ("", ""))[1]:
                before, after = ("".join(both) for both in zip(values[day], values[time], strict=True))
                self._interval(truth, before, after, f"{day:08X} with {time:08X}")

    def _interval(self, truth: Truth, old: str, new: str, what: str) -> None:
        """Check that a moment was moved by exactly the same time as every other one of the patient."""
        before, after = _exact(old), _exact(new)
        if before and after:
            moved = self._exact.setdefault(truth.patient, after - before)
            self.check("intervals", after - before == moved, f"{truth.kind} {truth.name}: {what}")
        else:
            self.check("intervals", False, f"{truth.kind} {truth.name}: {what} cannot be read")

    def _marks(self, truth: Truth, ds: Dataset) -> None:
        name = f"{truth.kind} {truth.name}"
        self.check("marks", ds.get("PatientIdentityRemoved") == "YES", f"{name}: PatientIdentityRemoved")
        self.check("marks", bool(ds.get("DeidentificationMethod")), f"{name}: DeidentificationMethod")
        codes = {item.CodeValue for item in ds.get("DeidentificationMethodCodeSequence", [])}
        self.check("marks", "113100" in codes, f"{name}: no code of the profile")
        for option, code in _CODES.items():
            if option not in self.promise.options:
                self.check("marks", code not in codes, f"{name}: claims {option}")
        temporal = "MODIFIED" if self.promise.shifts else "REMOVED"
        said = ds.get("LongitudinalTemporalInformationModified")
        if self.promise.shifts or "retain-full-dates" not in self.promise.options:
            self.check("marks", said == temporal, f"{name}: LongitudinalTemporalInformationModified is {said}")

    def _pixels(self, truth: Truth, source: File, ds: Dataset) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before = dcmread(source, force=True)
        same = before.PixelData == ds.get("PixelData")
        self.check("pixels bit by bit", same, f"{truth.kind} {truth.name} ({truth.transfer_syntax})")

    def drawn(self, truth: Truth, source: File, ds: Dataset) -> list[tuple[Ink, str]]:
        """Return the ink that can still be read, and check that little else has changed."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before, after = dcmread(source, force=True).pixel_array, ds.pixel_array
        if before.shape != after.shape:
            self.check("pixels outside boxes", False, f"{truth.kind} {truth.name}: the image has another shape")
            return []
        several = int(ds.get("NumberOfFrames", 1)) > 1
        frames = [(before, after)] if not several else list(zip(before, after, strict=True))
        left = []
        allowed = numpy.zeros(frames[0][0].shape[:2], bool)
        for ink in truth.inks:
            x, y, width, height = ink.box
            mask = numpy.frombuffer(ink.mask, bool).reshape(height, width)
            allowed[max(0, y - height) : y + 2 * height, max(0, x - 2 * height) : x + width + 2 * height] = True
            worst = max(_readable(one[y : y + height, x : x + width], mask) for _, one in frames)
            if worst > 0.3:
                left.append((ink, f"{ink.where}, correlation {worst:.2f}"))
        for number, (old, new) in enumerate(frames):
            differs = old != new
            differs = differs.any(axis=-1) if differs.ndim == 3 else differs
            outside = int((differs & ~allowed).sum())
            share = outside / allowed.size
            self.check(
                "pixels outside boxes",
                share < 0.02,
                f"{truth.kind} {truth.name} frame {number}: {share:.1%} of the pixels changed far from the text",
            )
        return left


def _readable(area: numpy.ndarray, mask: numpy.ndarray) -> float:
    """Return how well the ink can be told from the rest, word for word: 1 as drawn, 0 blanked."""
    gray = area.mean(axis=-1) if area.ndim == 3 else area.astype(float)
    worst = 0.0
    for columns in numpy.array_split(numpy.arange(mask.shape[1]), max(1, mask.shape[1] // 40)):
        ink, seen = mask[:, columns].astype(float), gray[:, columns]
        if ink.std() and seen.std():
            worst = max(worst, abs(float(numpy.corrcoef(ink.ravel(), seen.ravel())[0, 1])))
    return worst


def _guessable(uid: str) -> set[str]:
    """Return what anybody could compute from a UID."""
    found = set()
    for name in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(name, uid.encode()).digest()
        for length in (8, 12, 16):
            found |= {f"2.25.{int.from_bytes(digest[:length], order)}" for order in ("big", "little")}  # type: ignore[arg-type]
        found.add(f"2.25.{int(digest.hex(), 16)}"[:64])
    return found


def _exact(text: str) -> datetime | None:
    """Return day and time of DA and TM together, or of a DT without its offset from UTC."""
    digits = re.sub(r"[+-]\d{4}$", "", text)
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S.%f" if "." in digits else "%Y%m%d%H%M%S")
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    match = re.match(r"(\d{4})(\d{2})?(\d{2})?", text.replace("-", ""))
    if not match:
        return None
    try:
        return datetime(int(match[1]), int(match[2] or 1), int(match[3] or 1))
    except ValueError:
        return None
