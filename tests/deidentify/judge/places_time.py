"""Places for dates, times and UIDs, with what is to become of them: gone, or moved and mapped all alike."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.datadict import DicomDictionary, dictionary_VR

from tests.deidentify.judge.ground import Ground
from tests.deidentify.judge.promise import GONE, KEPT, SHIFTED, rows, unlisted
from tests.deidentify.judge.truth import PAIRS, Path

_KEPT_SEQUENCES = (0x00540016, 0x00189346, 0x00082218)


def plant(ground: Ground) -> None:
    """Plant dates and UIDs."""
    ds = ground.ds
    listed = [tag for tag in rows() if _vr(tag) in ("DA", "DT", "TM") and 8 <= tag >> 16 < 0x5000]
    own = (*unlisted("DA"), *unlisted("DT"), *unlisted("TM"))
    chosen = dict.fromkeys([tag for pair in PAIRS for tag in pair] + ground.random.sample(listed, 16))
    for tag in [*chosen, *ground.random.sample(own, 3)]:
        _moment(ground, ds, tag, (tag,))
    inner = Dataset()
    holder = ground.random.choice(_KEPT_SEQUENCES)
    for tag in (0x0008002A, 0x00181078, 0x00080021, 0x0040A13A, 0x00080031):
        _moment(ground, inner, tag, (holder, 0, tag))
    if holder in ds:
        holder = 0x00189346 if holder != 0x00189346 else 0x00540016
        ground.truth.dates[-5:] = [((holder, *path[1:]), vr, old) for path, vr, old in ground.truth.dates[-5:]]
    if holder not in ds:
        ground.sequence(ds, holder, inner)
    else:
        del ground.truth.dates[-5:]
    _uids(ground)


def _moment(ground: Ground, ds: Dataset, tag: int, path: Path) -> None:
    vr = _vr(tag)
    if ground.promise.of(tag, vr) not in (GONE, SHIFTED, KEPT):
        return
    day, time = ground.inventor.date().strftime("%Y%m%d"), ground.inventor.time()
    zone = ground.random.choice(("", "", "+0100", "-0500"))
    value = {"DA": day, "TM": time, "DT": f"{day}{time}{zone}"}[vr]
    if vr == "DT" and ground.random.random() < 0.3:
        value = day
    ground.put(ds, tag, vr, value)
    ground.truth.dates[:] = [entry for entry in ground.truth.dates if entry[0] != path]
    ground.truth.dates.append((path, vr, value))


def _uids(ground: Ground) -> None:
    """Give identifying UIDs to attributes that have them, listed or not, and to some deep down."""
    ds = ground.ds
    listed = [tag for tag in rows() if _vr(tag) == "UI" and 8 <= tag >> 16 < 0x5000]
    for tag in [*ground.random.sample(listed, 12), *ground.random.sample(_instance_uids(), 4)]:
        if tag in (0x00080018, 0x0020000D, 0x0020000E) or tag in ds:
            continue
        values = [ground.inventor.uid() for _ in range(2 if str(DicomDictionary[tag][1]) != "1" else 1)]
        ground.put(ds, tag, "UI", values)
        ground.truth.uids.append(((tag,), "\\".join(values)))
        if ground.promise.of(tag, "UI") != KEPT:
            ground.note("UIDs", DicomDictionary[tag][4], "UID", *values)
    inner, uid = Dataset(), ground.inventor.uid()
    ground.put(inner, 0x00081155, "UI", uid)
    ground.put(inner, 0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2")
    if 0x00082112 not in ds:
        ground.sequence(ds, 0x00082112, inner)
        ground.truth.uids.append(((0x00082112, 0, 0x00081155), uid))
        ground.note("UIDs", "SourceImageSequence.ReferencedSOPInstanceUID", "UID", uid)
    stray = ground.inventor.uid()
    ground.put(ds, 0x00204000, "LT", f"compare with {stray}")
    ground.truth.keeps[:] = [keep for keep in ground.truth.keeps if keep.path != (0x00204000,)]
    ground.note("UIDs", "ImageComments (LT)", "UID in text", stray)


def _instance_uids() -> list[int]:
    """Return unlisted attributes whose UIDs name one thing, not a kind of thing."""
    return [
        tag
        for tag in unlisted("UI")
        if not any(word in DicomDictionary[tag][4] for word in ("Class", "Syntax", "Coding", "Context", "Mapping"))
    ]


def _vr(tag: int) -> str:
    return dictionary_VR(tag) if tag in DicomDictionary else ""
