"""Places for text: listed, new and unlisted attributes, descriptors, sequences at every depth, and other alphabets."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.datadict import DicomDictionary, dictionary_VR

from tests.deidentify.judge.ground import Ground
from tests.deidentify.judge.people import COMMON_NAMES, WORD_NAMES
from tests.deidentify.judge.promise import CLEANED, GONE, TEXT, rows, unlisted
from tests.deidentify.judge.truth import Plant

# Rows that came into Table E.1-1 after 2024b: who somebody is, how he is called, and what was annotated.
_NEW = (
    (0x00081301, 0x00081304),
    (0x00100011, 0x00100017),
    (0x00100041, 0x00100047),
    (0x0040B000, 0x0040BFFF),
    (0x00700006, 0x00700006),
)
_SAFE = (
    "CT ABDOMEN WITH CONTRAST",
    "MR Brain without contrast",
    "Chest PA and lateral",
    "LEFT KNEE 3 views",
    "T2 FLAIR axial",
    "Lumbar spine sagittal",
    "PELVIS ARTERIAL PHASE",
    "Liver biopsy follow-up",
    "Shoulder right",
    "CARDIAC CINE SHORT AXIS",
    "LUNG SCREENING LOW DOSE",
    "Renal ultrasound",
    "THORAX 5.0 mm",
    "Head CT angiography",
    "DWI ADC map",
    "post contrast delayed",
)
_NESTING = (
    0x00081115,
    0x00082218,
    0x00081140,
    0x00540016,
    0x300A00B0,
    0x00400275,
    0x00400555,
    0x00081032,
    0x00321064,
    0x00400260,
    0x00189346,
    0x0040A370,
    0x00120063,
)
_NEVER = {0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00080005, 0x00080060, 0x00080070, 0x00080008}


def plant(ground: Ground) -> None:
    """Plant in all of them."""
    _patient(ground)
    _direct(ground)
    _new(ground)
    _descriptors(ground)
    _unlisted(ground)
    _nested(ground)
    if ground.character_set:
        _letters(ground)


def _patient(ground: Ground) -> None:
    """Put in the patient, as he stands in each of his objects."""
    ds, person = ground.ds, ground.person
    ground.put(ds, 0x00100010, "PN", person.name)
    ground.put(ds, 0x00100020, "LO", person.id)
    ground.put(ds, 0x00100030, "DA", person.born.strftime("%Y%m%d"))
    ground.put(ds, 0x00101040, "LO", f"{person.street} 12, {person.city}")
    ground.put(ds, 0x00102154, "SH", person.phone[:16])
    ground.put(ds, 0x00080050, "SH", person.accession)
    ground.put(ds, 0x00080090, "PN", f"{person.referring}^Dr.")
    ground.put(ds, 0x00080080, "LO", f"{person.hospital} Klinik")
    names = (person.given, person.middle, person.referring, person.hospital)
    ground.note("direct attributes", "names of the patient and his doctors", "name", *names)
    if len(person.family) >= 8:
        ground.note("direct attributes", "PatientName", "name", person.family)
    ground.note("direct attributes", "PatientAddress", "address", person.street, person.city)
    digits = ("".join(c for c in person.id if c.isdigit()), person.accession[1:], person.phone[-7:])
    ground.note("direct attributes", "PatientID, AccessionNumber, telephone", "number", digits=digits)
    ground.note("dates", "PatientBirthDate", "date", digits=(person.born.strftime("%Y%m%d"),))


def _direct(ground: Ground) -> None:
    chosen = [
        (tag, vr)
        for tag, row in rows().items()
        if (vr := (_vr(tag) or row.vr).split(" or ")[0]) in TEXT - {"CS", "AS"}
        and not _is_new(tag)
        and ground.promise.of(tag, vr) == GONE
        and 8 <= tag >> 16 < 0x5000
        and tag not in (0x00100010, 0x00100020, 0x00080050, 0x00080080, 0x00080090, 0x00101040, 0x00102154)
    ]
    for tag, vr in ground.random.sample(chosen, min(35, len(chosen))):
        ground.plant(ground.ds, tag, vr, "direct attributes")


def _new(ground: Ground) -> None:
    for tag, row in rows().items():
        if not _is_new(tag) or ground.random.random() < 0.4:
            continue
        vr = (_vr(tag) or row.vr).split(" or ")[0]
        if vr in TEXT - {"CS", "AS"} and ground.promise.of(tag, vr) in (GONE, CLEANED):
            ground.plant(ground.ds, tag, vr, "new attributes")
        elif vr == "SQ":
            item = Dataset()
            for inner in ground.random.sample((0x00080104, 0x00100010, 0x00081030, 0x00104000, 0x00101000), 2):
                ground.plant(item, inner, dictionary_VR(inner), "new attributes", f"{row.keyword}.")
            ground.sequence(ground.ds, tag, item)


def _descriptors(ground: Ground) -> None:
    """Mix what is safe with what is not; under a recipe that cleans, the safe words have to stay."""
    chosen = [
        (tag, vr)
        for tag, row in rows().items()
        if row.options.get("clean-descriptors") == "C"
        and (vr := _vr(tag)) in ("LO", "SH", "ST", "LT", "UT")
        and 8 <= tag >> 16 < 0x5000
        and ground.promise.of(tag, vr) in (GONE, CLEANED)
        and not _is_new(tag)
    ]
    always = [(tag, vr) for tag, vr in chosen if tag in (0x00081030, 0x0008103E, 0x00181030)]
    for tag, vr in dict.fromkeys([*always, *ground.random.sample(chosen, min(9, len(chosen)))]):
        phrase(ground, ground.ds, tag, vr, (tag,))
    _name_that_is_a_word(ground)


def _name_that_is_a_word(ground: Ground) -> None:
    """Mention a patient whose name is a word that is safe elsewhere."""
    family, tag = ground.person.family, 0x00321060
    if family not in WORD_NAMES:
        return
    safe = ground.random.choice([text for text in _SAFE if family.lower() not in text.lower()])
    ground.put(ground.ds, tag, "LO", f"{safe} {ground.random.choice(('Mr ', 'Frau ', ''))}{family}")
    ground.truth.keeps[:] = [keep for keep in ground.truth.keeps if keep.path != (tag,)]
    if ground.promise.of(tag, "LO") == CLEANED:
        ground.keep("safe words", (tag,), words=tuple(safe.lower().split()))
    ground.truth.plants.append(
        Plant("descriptors", "RequestedProcedureDescription", "name that is a word", (family,), path=(tag,))
    )


def phrase(
    ground: Ground, ds: Dataset, tag: int, vr: str, path: tuple[int, ...], category: str = "descriptors"
) -> None:
    """Set an attribute to safe words with something of somebody among them."""
    # The patient's name goes wherever it stands, even where it is meant as a word.
    safe = ground.random.choice([text for text in _SAFE if ground.person.family.lower() not in text.lower()])
    marker, shape, tokens, digits = _mixed(ground)
    if vr == "SH":
        safe, shape, digits = safe.split()[0], "word", ()
        marker = ground.inventor.word()[: 15 - len(safe)]
        tokens = (marker,)
    form = ground.random.choice(("{safe} {marker}", "{marker} {safe}", "{safe}, {marker}", "{safe} ({marker})"))
    value = form.format(safe=safe, marker=marker) if vr != "SH" else f"{safe} {marker}"
    ground.put(ds, tag, vr, value)
    where = f"{DicomDictionary[tag][4]} ({vr})"
    ground.note(category, where, shape, *tokens, digits=digits)
    if ground.promise.of(tag, vr) == CLEANED and len(path) == 1:
        ground.keep("safe words", path, value, tuple(safe.lower().split()))


def _mixed(ground: Ground) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
    """Return what people write into descriptors."""
    make, person, pick = ground.inventor, ground.person, ground.random.choice
    word, number, day = make.word(), make.number(8), make.date()
    name = pick(COMMON_NAMES)
    kinds = (
        (f"Dr. {word}", "titled name", (word,), ()),
        (f"Dr {name} {word}", "titled name", (word,), ()),
        (word.upper(), "name in capitals", (word,), ()),
        (word.lower(), "name in small letters", (word,), ()),
        (f"MRN {number}", "number", (), (number,)),
        (f"{number}", "number", (), (number,)),
        (f"#{number}/{word}", "number and name", (word,), (number,)),
        (f"DOB {day:%d.%m.%Y}", "date in text", (f"{day:%d.%m.%Y}",), ()),
        (f"{day:%B} {day.day}, {day.year}", "date in words", (f"{day:%B} {day.day}, {day.year}",), ()),
        (f"{day:%m/%d/%Y}", "date in text", (f"{day:%m/%d/%Y}",), ()),
        (f"{day:%Y-%m-%d}", "date in text", (f"{day:%Y-%m-%d}",), ()),
        (f"{day:%Y%m%d}", "date in text", (), (f"{day:%Y%m%d}",)),
        (f"{person.given} {person.family}", "name of the patient", (person.given,), ()),
        (f"{person.given[0]}. {person.middle}", "name of the patient", (person.middle,), ()),
        (person.middle.upper(), "name of the patient", (person.middle,), ()),
        (f"pat. {person.id}", "number of the patient", (), ("".join(c for c in person.id if c.isdigit()),)),
        (f"tel +49 531 {number}", "telephone", (), (number,)),
        (f"call 0531/{number}", "telephone", (), (number,)),
        (f"{word}str. 12, {make.word()}", "address", (word,), ()),
        (f"{word.lower()}@clinic.example", "mail address", (word,), ()),
        (f"{word} Hospital", "institution", (word,), ()),
        (f"ref by {word}", "name", (word,), ()),
        (f"born {day:%d %b %Y}", "date in words", (f"{day:%d %b %Y}",), ()),
    )
    return pick(kinds)


def _unlisted(ground: Ground) -> None:
    for vr, count in (
        ("LO", 6),
        ("SH", 4),
        ("ST", 3),
        ("LT", 2),
        ("UT", 2),
        ("UC", 2),
        ("UR", 2),
        ("CS", 2),
        ("PN", 1),
    ):
        for tag in ground.random.sample(unlisted(vr), count):
            if tag not in _NEVER and tag not in ground.ds and not _structural(tag):
                ground.plant(ground.ds, tag, vr, "unlisted attributes")


def _structural(tag: int) -> bool:
    """Tell whether an attribute says how the object is to be read: nonsense there would be no object any more."""
    return tag >> 16 in (0x0088, 0x0400, 0x0004, 0x2200) or tag in (0x00080006, 0x00280004, 0x00420012)


def _nested(ground: Ground) -> None:
    sequences = [tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ" and 8 <= tag >> 16 < 0x5000]
    chosen = [*ground.random.sample(_NESTING, 4), *ground.random.sample(sequences, 3)]
    for tag in chosen:
        if tag in ground.ds or _structural(tag):
            continue
        ground.sequence(ground.ds, tag, item(ground, ground.random.randrange(1, 4), f"{DicomDictionary[tag][4]}."))


def item(ground: Ground, depth: int, where: str, category: str = "nested sequences") -> Dataset:
    """Return an item with people in it, and items in that."""
    ds = Dataset()
    listed = (
        0x00100010,
        0x00100020,
        0x00080050,
        0x00081030,
        0x0040A123,
        0x00081048,
        0x00080080,
        0x00104000,
        0x00380010,
    )
    for tag in ground.random.sample(listed, 4):
        vr = dictionary_VR(tag)
        if ground.promise.of(tag, vr) in (GONE, CLEANED):
            ground.plant(ds, tag, vr, category, where)
    for vr in ("LO", "ST"):
        tag = ground.random.choice(unlisted(vr))
        if not _structural(tag):
            ground.plant(ds, tag, vr, category, where)
    local = Dataset()
    ground.plant(local, 0x00080100, "SH", category, f"{where}code.")
    ground.put(local, 0x00080102, "SH", "99LOCAL")
    ground.plant(local, 0x00080104, "LO", category, f"{where}code.")
    ground.sequence(ds, ground.random.choice((0x00401101, 0x00082228, 0x00400254 + 0x6, 0x0008103F)), local)
    if depth > 1:
        tag = ground.random.choice((0x0040A730, 0x00081140, 0x00540220, 0x0040A504, 0x00289422))
        ground.sequence(ds, tag, item(ground, depth - 1, where + ".", category))
    return ds


def _letters(ground: Ground) -> None:
    """Plant names in the letters of the object's character set."""
    make, cs, ds = ground.inventor, ground.character_set, ground.ds
    name = make.foreign(cs)
    plain = make.word()
    wide = cs.startswith("ISO 2022") or cs in ("ISO_IR 192", "GB18030")
    ground.put(ds, 0x00101001, "PN", f"{plain}^A={name}^{make.foreign(cs)}" if wide else f"{name}^{plain}")
    ground.note("character sets", f"OtherPatientNames ({cs})", "name", name, plain)
    for tag in (0x00081030, 0x00081070, 0x00081040, 0x00104000):
        vr, word = dictionary_VR(tag), make.foreign(cs)
        ground.put(ds, tag, vr, f"{name} {word}" if vr != "PN" else f"{word}^{name}")
        ground.truth.keeps[:] = [keep for keep in ground.truth.keeps if keep.path != (tag,)]
        ground.note("character sets", f"{DicomDictionary[tag][4]} ({vr}, {cs})", "name", word)
    inner, word = Dataset(), make.foreign(cs)
    ground.put(inner, 0x00080104, "LO", word)
    ground.put(inner, 0x00080102, "SH", "99LOCAL")
    ground.put(inner, 0x00080100, "SH", "1")
    ground.sequence(ds, 0x00081032, inner)
    ground.note("character sets", f"ProcedureCodeSequence.CodeMeaning ({cs})", "name", word)


def _is_new(tag: int) -> bool:
    return any(first <= tag <= last for first, last in _NEW)


def _vr(tag: int) -> str:
    entry = DicomDictionary.get(tag)
    return str(entry[0]) if entry else ""
