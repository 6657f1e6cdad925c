"""Preparing a set: patients with studies of many kinds of objects that refer to each other, full of markers.

The same seed makes the same files; another one makes other people in other places.
"""

from __future__ import annotations

import warnings
from pathlib import Path as File

from pydicom import Dataset
from pydicom.datadict import dictionary_VR

from deidentify import Recipe
from tests.deidentify.judge import places_content, places_hidden, places_pixels, places_text, places_time
from tests.deidentify.judge.bases import KINDS, base
from tests.deidentify.judge.encode import choose_transfer_syntax, part10
from tests.deidentify.judge.ground import Ground
from tests.deidentify.judge.people import Inventor, Person
from tests.deidentify.judge.promise import KEPT, Promise, rows
from tests.deidentify.judge.truth import Keep, Path, Truth
from tests.deidentify.judge.values import text_of, value_at

_CHARACTER_SETS = (
    "ISO_IR 100",
    "ISO_IR 192",
    "GB18030",
    "ISO 2022 IR 87",
    "ISO 2022 IR 149",
    "ISO_IR 144",
    "ISO_IR 126",
)
_FILES_A_PATIENT = 5
# What de-identification itself writes.
_MARKS = frozenset((0x00080005, 0x00120062, 0x00120063, 0x00120064, 0x00080110, 0x00280301, 0x00280303))
_NOT_JUDGED = frozenset(("OB", "OW", "UN", "SQ", "UI", "DA", "TM", "DT", "PN", "OB or OW", "OF", "OD", "OL", "UR"))


def prepare(folder: File, recipe: Recipe, seed: int, count: int) -> list[Truth]:
    """Write `count` files into `folder` and return what is known of each."""
    inventor, promise = Inventor(seed), Promise(recipe)
    kinds = list(KINDS)
    inventor.random.shuffle(kinds)
    folder.mkdir(parents=True, exist_ok=True)
    truths: list[Truth] = []
    person = study = None
    siblings: list[tuple[str, str, str]] = []
    for number in range(count):
        if number % _FILES_A_PATIENT == 0:
            person = Person.invented(inventor, number // _FILES_A_PATIENT, word_name=number % 15 == 5)
            study, siblings = (inventor.uid(), inventor.uid()), []
        assert person
        assert study
        kind = kinds[number % len(kinds)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content, truth = _prepared(f"{number:04}.dcm", kind, number, person, study, siblings, inventor, promise)
        (folder / truth.name).write_bytes(content)
        truths.append(truth)
    return truths


def _prepared(
    name: str,
    kind: str,
    number: int,
    person: Person,
    study: tuple[str, str],
    siblings: list[tuple[str, str, str]],
    inventor: Inventor,
    promise: Promise,
) -> tuple[bytes, Truth]:
    ds = base(kind, inventor.random, number // len(KINDS) + inventor.random.randrange(9))
    truth = Truth(name, kind, person.id, "", person.pseudonym)
    character_set = inventor.random.choice(_CHARACTER_SETS) if inventor.random.random() < 0.6 else ""
    if character_set:
        ds.SpecificCharacterSet = ["", character_set] if "2022" in character_set else character_set
    elif "SpecificCharacterSet" in ds:
        del ds.SpecificCharacterSet
    ground = Ground(ds, person, inventor, promise, truth, character_set)
    if promise.recipe.profile != "none":
        truth.keeps += list(_standard(ds, promise))
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = inventor.uid(), study[0], inventor.uid()
    ds.FrameOfReferenceUID = study[1]
    for tag in (0x00080018, 0x0020000D, 0x0020000E, 0x00200052):
        truth.uids.append(((tag,), str(ds[tag].value)))
        if promise.of(tag, "UI") != KEPT:
            ground.note("UIDs", ds[tag].keyword, "UID", str(ds[tag].value))
    for places in (places_content, places_text, places_time, places_hidden, places_pixels):
        places.plant(ground)
    _refer(ground, siblings)
    siblings.append((str(ds.SOPClassUID), ds.SOPInstanceUID, ds.SeriesInstanceUID))
    _note_dates(ground)
    planted = {keep.path for keep in truth.keeps if value_at(ds, keep.path) != keep.value and not keep.words}
    truth.keeps[:] = [
        keep for keep in truth.keeps if keep.path not in planted or keep.category != "standard attributes"
    ]
    choose_transfer_syntax(ds, inventor.random, drawn=kind.endswith("-ink"))
    truth.transfer_syntax = str(ds.file_meta.TransferSyntaxUID)
    # In what is no original image of a scanner, text is searched, and may be found.
    original = "DERIVED" not in ds.get("ImageType", []) and kind not in ("US", "OT", "NM", "XA")
    truth.pixels_stay = "PixelData" in ds and not truth.inks and original
    return part10(ds, ground.extras, ground.tail), truth


def _refer(ground: Ground, siblings: list[tuple[str, str, str]]) -> None:
    """Refer to the other objects of the study, so that one can see whether references hold."""
    for sop_class, instance, series in siblings[-2:]:
        image, holder = Dataset(), Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = sop_class, instance
        ground.sequence(holder, 0x0008114A, image)
        holder.SeriesInstanceUID = series
        ground.sequence(ground.ds, 0x00081115, holder)
        ground.truth.references += [
            ((0x00081115, 0, 0x0020000E), series),
            ((0x00081115, 0, 0x0008114A, 0, 0x00081155), instance),
        ]
        ground.truth.plants[:] = [p for p in ground.truth.plants if not p.where.startswith("ReferencedSeriesSequence.")]
        ground.truth.references[:] = ground.truth.references[-2:]


def _note_dates(ground: Ground) -> None:
    """Turn dates into markers where the recipe does not say that they stay or move."""
    for path, vr, value in ground.truth.dates:
        if vr == "DA" and not ground.promise.shifts:
            ground.note("dates", f"{path[-1]:08X} at depth {len(path) // 2}", "date", digits=(value,))
        elif vr == "DT" and not ground.promise.shifts:
            ground.note("dates", f"{path[-1]:08X} at depth {len(path) // 2}", "date", value)


def _standard(ds: Dataset, promise: Promise, before: Path = (), depth: int = 0) -> list[Keep]:
    """Return what the object's own standard attributes have, as far as the recipe keeps them."""
    found: list[Keep] = []
    for element in ds:
        tag = int(element.tag)
        if element.tag.is_private or tag >> 16 < 8 or tag >> 16 >= 0x5000 or tag & 0xFFFF == 0:
            continue
        if element.VR == "SQ":
            if tag not in rows() and tag not in _MARKS:
                for number, item in enumerate(element.value):
                    found += _standard(item, promise, (*before, tag, number), depth + 1)
            continue
        try:
            vr = dictionary_VR(tag)
        except KeyError:
            continue
        if vr in _NOT_JUDGED or tag in _MARKS or element.is_empty:
            continue
        if promise.keeps(tag, vr):
            found.append(Keep("standard attributes", (*before, tag), text_of(element.value)))
    return found
