"""Places inside the content: reports, graphics, documents, functional groups, radiotherapy and segmentations."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from pydicom import Dataset

from tests.deidentify.judge.documents import cda, pdf
from tests.deidentify.judge.ground import Ground
from tests.deidentify.judge.places_text import phrase
from tests.deidentify.judge.promise import CLEANED, GONE, rows

_GROUPS = (0x52009229, 0x52009230)
_TEXT = ("LO", "SH", "ST", "LT", "UT", "PN")


def plant(ground: Ground) -> None:
    """Plant in what this object has of all that."""
    kind = ground.truth.kind
    if kind == "SR":
        _report(ground)
    elif kind == "GSPS":
        _graphics(ground)
    elif kind == "PDF":
        _pdf(ground)
    elif kind == "CDA":
        _cda(ground)
    elif kind in ("SEG", "RTPLAN", "RTSTRUCT", "RTDOSE", "ECG"):
        _existing(ground)
    if any(tag in ground.ds for tag in _GROUPS):
        _functional_groups(ground)


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _content(ground: Ground, kind: str, concept: Dataset, relationship: str = "CONTAINS") -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, kind
    ground.sequence(item, 0x0040A043, concept)
    return item


def _report(ground: Ground) -> None:
    """Add content items of every kind, flat and in a container, with a measurement that has to stay."""
    make, category = ground.inventor, "structured report"
    finding = _code("121071", "DCM", "Finding")

    def text() -> Dataset:
        one = _content(ground, "TEXT", finding)
        phrase(ground, one, 0x0040A160, "UT", (0, 0), category)
        return one

    def person() -> Dataset:
        one = _content(ground, "PNAME", _code("121008", "DCM", "Person Observer Name"), "HAS OBS CONTEXT")
        ground.plant(one, 0x0040A123, "PN", category, "PNAME.")
        return one

    def patient() -> Dataset:
        one = _content(ground, "PNAME", _code("121029", "DCM", "Subject Name"), "HAS OBS CONTEXT")
        ground.plant(one, 0x0040A123, "PN", category, "PNAME.")
        return one

    def subject_id() -> Dataset:
        one = _content(ground, "TEXT", _code("121030", "DCM", "Subject ID"), "HAS OBS CONTEXT")
        ground.plant(one, 0x0040A160, "UT", category, "TEXT Subject ID.")
        return one

    def day() -> Dataset:
        one, value = _content(ground, "DATE", _code("121031", "DCM", "Subject Birth Date")), make.date()
        one.Date = value.strftime("%Y%m%d")
        ground.note(category, "DATE", "date", digits=(value.strftime("%Y%m%d"),))
        return one

    def moment() -> Dataset:
        one = _content(ground, "DATETIME", _code("121060", "DCM", "History"))
        value = make.date().strftime("%Y%m%d") + "101112"
        one.DateTime = value
        ground.note(category, "DATETIME", "date", digits=(value,))
        return one

    def uid() -> Dataset:
        one, value = _content(ground, "UIDREF", _code("110180", "DCM", "Study Instance UID")), make.uid()
        one.UID = value
        ground.note(category, "UIDREF", "UID", value)
        return one

    def coded() -> Dataset:
        one = _content(ground, "CODE", finding)
        own = _code("1", "99LOCAL", "")
        ground.plant(own, 0x00080104, "LO", category, "CODE.")
        ground.sequence(one, 0x0040A168, own)
        return one

    def own_concept() -> Dataset:
        concept = _code("77", "99LOCAL", "")
        ground.plant(concept, 0x00080104, "LO", category, "own concept.")
        one = _content(ground, "TEXT", concept)
        ground.plant(one, 0x0040A160, "UT", category, "TEXT with own concept.")
        return one

    makers = [text, text, person, patient, subject_id, day, moment, uid, coded, own_concept]
    ground.random.shuffle(makers)
    measured = _content(ground, "NUM", _code("410668003", "SCT", "Length"))
    value = Dataset()
    value.NumericValue = f"{ground.random.randrange(10, 99)}.5"
    ground.sequence(value, 0x004008EA, _code("mm", "UCUM", "millimeter"))
    ground.sequence(measured, 0x0040A300, value)
    container = _content(ground, "CONTAINER", _code("121070", "DCM", "Findings"))
    container.ContinuityOfContent = "SEPARATE"
    ground.sequence(container, 0x0040A730, *(make_one() for make_one in makers[5:]))
    ground.sequence(ground.ds, 0x0040A730, measured, *(make_one() for make_one in makers[:5]), container)
    if ground.promise.has("clean-structured-content"):
        path = (0x0040A730, 0, 0x0040A300, 0, 0x0040A30A)
        ground.keep("SR measurements", path, str(value.NumericValue))


def _graphics(ground: Ground) -> None:
    note = Dataset()
    note.GraphicLayer = "MARKS"
    text = Dataset()
    phrase(ground, text, 0x00700006, "ST", (0, 0), "graphics")
    text.BoundingBoxAnnotationUnits, text.AnchorPointVisibility = "PIXEL", "Y"
    text.AnchorPoint, text.AnchorPointAnnotationUnits = [10, 10], "PIXEL"
    ground.sequence(note, 0x00700008, text)
    ground.sequence(ground.ds, 0x00700001, note)
    ground.plant(ground.ds.GraphicLayerSequence[0], 0x00700068, "LO", "graphics", "GraphicLayerSequence.")
    ground.plant(ground.ds, 0x00700084, "PN", "graphics")
    ground.plant(ground.ds, 0x00700081, "LO", "graphics")
    group = Dataset()
    ground.plant(group, 0x00700208, "ST", "graphics", "GraphicGroupSequence.")
    ground.plant(group, 0x00700207, "LO", "graphics", "GraphicGroupSequence.")
    ground.sequence(ground.ds, 0x00700234, group)


def _pdf(ground: Ground) -> None:
    make, person = ground.inventor, ground.person
    line, author, title, number = make.word(), make.word(), make.word(), make.number(9)
    lines = [f"Patient: {person.given} {person.family}", f"Report for {line}, MRN {number}", "Lungs are clear."]
    compressed = ground.random.random() < 0.7
    ground.ds.EncapsulatedDocument = pdf(lines, {"Author": author, "Title": title}, compressed=compressed)
    ground.note("documents", "PDF text layer", "name", line, person.given, digits=(number,))
    ground.note("documents", "PDF Info", "name", author, title)
    ground.plant(ground.ds, 0x00420010, "ST", "documents")


def _cda(ground: Ground) -> None:
    make = ground.inventor
    family, given, number, word = make.word(), make.word(), make.number(9), make.word()
    hidden = base64.b64encode(f"<note>{make.word()} {word}</note>".encode()).decode()
    ground.ds.EncapsulatedDocument = cda(family, given, number, f"{hidden} seen by {family}")
    ground.note("documents", "CDA patient", "name", family, given, digits=(number,))
    ground.note("documents", "CDA base64", "name", word)
    ground.plant(ground.ds, 0x00420010, "ST", "documents")


def _existing(ground: Ground) -> None:
    """Append somebody to the names and labels that the object's own sequences have."""
    for path, ds, element in _texts(ground.ds):
        where = ".".join(f"{tag:08X}" for tag in path[::2])
        if element.VR == "PN" or ground.promise.of(element.tag, element.VR) in (GONE, CLEANED):
            ground.plant(ds, element.tag, element.VR, "RT and SEG", where + " ")
            ground.truth.keeps[:] = [keep for keep in ground.truth.keeps if keep.path != path]


def _texts(ds: Dataset, before: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Dataset, object]]:
    for element in list(ds):
        path = (*before, int(element.tag))
        if element.VR == "SQ":
            for number, inner in enumerate(element.value):
                yield from _texts(inner, (*path, number))
        elif element.VR in _TEXT and len(path) > 1 and (element.tag in rows() or "Label" in element.keyword):
            yield path, ds, element


def _functional_groups(ground: Ground) -> None:
    category = "functional groups"
    for tag in _GROUPS:
        for group in (ground.ds[tag].value if tag in ground.ds else [])[:3]:
            content = group.FrameContentSequence[0] if "FrameContentSequence" in group else Dataset()
            for inner, vr in ((0x00209158, "LT"), (0x00209453, "LO")):
                ground.plant(content, inner, vr, category, "FrameContentSequence.")
            day = ground.inventor.date().strftime("%Y%m%d")
            content.FrameAcquisitionDateTime = f"{day}101112.123456"
            if not ground.promise.shifts:
                ground.note(category, "FrameAcquisitionDateTime", "date", digits=(f"{day}101112",))
            ground.sequence(group, 0x00209111, content)
            block = group.private_block(0x2005, ground.inventor.word(), create=True)
            block.add_new(0x0F, "LO", (word := ground.inventor.word()))
            ground.note(category, f"private in {tag:08X}", "word", block.private_creator, word)
            image, uid = Dataset(), ground.inventor.uid()
            image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", uid
            ground.sequence(group, 0x00081140, image)
            ground.note(category, "ReferencedImageSequence", "UID", uid)
