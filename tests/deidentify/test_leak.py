"""The leak check finds what a rule let through, in every spelling, and leaves alone what only looks like it."""

import zlib
from pathlib import Path

import pytest
from pydicom.charset import convert_encodings, encode_string

from deidentify import Deidentifier, Identifiers, Recipe, Refused
from deidentify.dictionary import TAGS
from deidentify.elements import Encoding
from tests.deidentify.objects import CT_IMAGE, KEY, MINIMAL, Elements, Value, encoded, part10

PATIENT: Elements = {
    TAGS["SpecificCharacterSet"]: ("CS", "ISO_IR 100"),
    TAGS["PatientName"]: ("PN", "Grünwald^Ottilie^M".encode("latin-1")),
    TAGS["PatientID"]: ("LO", "HN-448812"),
    TAGS["PatientBirthDate"]: ("DA", "19370412"),
    TAGS["AccessionNumber"]: ("SH", "77123456"),
    TAGS["InstitutionName"]: ("LO", "Hospital of Elm Town"),
    TAGS["ReferringPhysicianName"]: ("PN", "Strickland^Bo"),
    TAGS["OperatorsName"]: ("PN", "CT"),
    TAGS["OtherPatientIDsSequence"]: ("SQ", [{TAGS["PatientID"]: ("LO", "OLD-9917")}]),
}
SUPPLIED = Identifiers({"PatientID": "PSEUDO-1"})
# Attributes that this recipe passes on as they are, so that something can be left for the check to find.
PASSED = (
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "ProcessingFunction",
    "AcquisitionComments",
    "KVP",
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Deidentifier:
    recipe = tmp_path_factory.mktemp("recipe") / "lax.yaml"
    kept = "".join(f"  {keyword}: keep\n" for keyword in PASSED)
    recipe.write_text(f"name: lax\nprofile: basic\noverrides:\n{kept}")
    return Deidentifier(Recipe.load(recipe), KEY)


def refused(
    engine: Deidentifier, tmp_path: Path, extra: Elements, patient: Elements = PATIENT, values: Identifiers = SUPPLIED
) -> str:
    """Return the sentence with which an object is refused, or an empty string when it is released."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded({**MINIMAL, **patient, **extra})))
    target.unlink(missing_ok=True)
    try:
        engine.file(source, target, values)
    except Refused as error:
        if error.code != "leak":
            raise
        assert not target.exists()
        return error.sentence
    return ""


@pytest.mark.parametrize("spelling", [
    "seen: ottilie",
    "OTTILIE GRUENWALD",
    "Grunwald, Ottilie",
    "ottilie_grünwald",
    "MRN HN-448812.",
    "order 77123456",
    "born 12.04.1937",
    "born 1937-04-12",
    "at Hospital of Elm Town",
    "cc Strickland",
    "was OLD-9917",
])  # fmt: skip
@pytest.mark.parametrize("charset", ["latin-1", "utf-8", "utf-16-le", "utf-16-be"])
def test_a_value_in_an_attribute_that_no_rule_names_stops_the_object(
    spelling: str, charset: str, engine: Deidentifier, tmp_path: Path
) -> None:
    sentence = refused(engine, tmp_path, {TAGS["ManufacturerModelName"]: ("LO", spelling.encode(charset))})
    if charset.startswith("utf-16") and ("born" in spelling or "order" in spelling):
        return  # words of a text are looked for in text only; dates with separators are found
    assert "ManufacturerModelName" in sentence
    assert spelling.split()[-1] not in sentence


def test_a_reference_that_an_override_keeps_is_noticed_when_it_names_the_object(tmp_path: Path) -> None:
    recipe = tmp_path / "leaky.yaml"
    recipe.write_text("name: leaky\nprofile: basic\noverrides: {ReferencedSOPInstanceUID: keep}\n")
    own: Elements = {TAGS["ReferencedSOPInstanceUID"]: ("UI", MINIMAL[TAGS["SOPInstanceUID"]][1])}
    sentence = refused(Deidentifier(Recipe.load(recipe), KEY), tmp_path, {TAGS["ReferencedSOPSequence"]: ("SQ", [own])})
    assert "ReferencedSOPInstanceUID" in sentence


def test_what_a_recipe_retains_is_no_leak_and_everything_else_is(tmp_path: Path) -> None:
    recipe = tmp_path / "retaining.yaml"
    recipe.write_text("name: retaining\nprofile: basic\noverrides: {InstitutionName: keep, Manufacturer: keep}\n")
    engine = Deidentifier(Recipe.load(recipe), KEY)
    assert not refused(engine, tmp_path, {TAGS["Manufacturer"]: ("LO", "at Hospital of Elm Town")})
    assert refused(engine, tmp_path, {TAGS["Manufacturer"]: ("LO", "Strickland, Hospital of Elm Town")})


def test_values_are_found_at_every_depth_and_in_kept_binary_data(engine: Deidentifier, tmp_path: Path) -> None:
    deep: Value = [{TAGS["ReferencedSOPSequence"]: ("SQ", [{TAGS["Manufacturer"]: ("LO", "Ottilie Grunwald")}])}]
    assert "element ReferencedSeriesSequence[0].ReferencedSOPSequence[0].Manufacturer of" in refused(
        engine, tmp_path, {TAGS["ReferencedSeriesSequence"]: ("SQ", deep)}
    )
    assert "ICCProfile" in refused(engine, tmp_path, {TAGS["ICCProfile"]: ("OB", b"\1\2\3 HN-448812 \0\1")})
    large = b"\7" * 1_500_000 + b" hn-448812 " + b"\7" * 700_000 + b"\7"
    assert "ICCProfile" in refused(engine, tmp_path, {TAGS["ICCProfile"]: ("OB", large)})


def test_original_uids_are_found_in_text(engine: Deidentifier, tmp_path: Path) -> None:
    original = MINIMAL[TAGS["StudyInstanceUID"]][1]
    assert "SoftwareVersions" in refused(engine, tmp_path, {TAGS["SoftwareVersions"]: ("LO", f"study {original}")})
    assert not refused(engine, tmp_path, {TAGS["SoftwareVersions"]: ("LO", f"{original}4")})
    assert "SOPClassUID" in refused(engine, tmp_path, {TAGS["SOPClassUID"]: ("UI", original)})


def test_an_identity_that_the_provider_hands_back_is_noticed(engine: Deidentifier, tmp_path: Path) -> None:
    same = Identifiers({"PatientID": "HN-448812"})
    assert "PatientID" in refused(engine, tmp_path, {}, values=same)
    birthday = Identifiers({"PatientID": "P", "PatientBirthDate": "19370412"})
    assert not refused(engine, tmp_path, {}, values=birthday)


@pytest.mark.parametrize("name", ["CT", "TEST", "PHANTOM", "HEAD", "A^B", "OB^^^^", "^^^^", "Anonymous", "SIEMENS"])
def test_names_that_are_common_words_stop_nothing(name: str, engine: Deidentifier, tmp_path: Path) -> None:
    texts: Elements = {
        TAGS["Modality"]: ("CS", "CT"),
        TAGS["Manufacturer"]: ("LO", "SIEMENS"),
        TAGS["BodyPartExamined"]: ("CS", "HEAD"),
        TAGS["ProcessingFunction"]: ("LO", "OB_GENERAL TEST PHANTOM"),
        TAGS["SOPClassUID"]: ("UI", CT_IMAGE),
    }
    assert not refused(
        engine, tmp_path, texts, {**PATIENT, TAGS["PatientName"]: ("PN", name), TAGS["PatientID"]: ("LO", "1")}
    )


def test_numbers_that_happen_to_hold_an_identifier_stop_nothing(engine: Deidentifier, tmp_path: Path) -> None:
    texts: Elements = {
        TAGS["KVP"]: ("DS", "120.4488"),
        TAGS["Rows"]: ("US", b"44"),
        TAGS["AccessionNumber"]: ("SH", "4488"),
    }
    for patient_id in ("4488", "120", "12", "20"):
        assert not refused(engine, tmp_path, texts, {**PATIENT, TAGS["PatientID"]: ("LO", patient_id)})


def test_more_people_than_can_be_looked_for_are_refused(engine: Deidentifier, tmp_path: Path) -> None:
    people: Value = [{TAGS["PersonName"]: ("PN", f"Name{number}^Given{number}")} for number in range(1100)]
    with pytest.raises(Refused) as error:
        refused(engine, tmp_path, {TAGS["ContentSequence"]: ("SQ", people)})
    assert error.value.code == "too-many-elements"
    assert not refused(engine, tmp_path, {TAGS["ContentSequence"]: ("SQ", people[:900])})
    named: Value = [*people[:900], {TAGS["PatientName"]: ("PN", "Wohlgemuth^Irma")}]
    sentence = refused(
        engine, tmp_path, {TAGS["ContentSequence"]: ("SQ", named), TAGS["Manufacturer"]: ("LO", "by irma wohlgemuth")}
    )
    assert "Manufacturer" in sentence


@pytest.mark.parametrize("character_set", ["\\ISO 2022 IR 87", "ISO_IR 192", "ISO_IR 13\\ISO 2022 IR 87"])
@pytest.mark.parametrize("text", ["山田", "装置山田様", "山田 太郎", "yamada"])
def test_names_in_other_scripts_are_found(character_set: str, text: str, engine: Deidentifier, tmp_path: Path) -> None:
    encodings = convert_encodings(character_set.split("\\"))
    patient: Elements = {
        TAGS["SpecificCharacterSet"]: ("CS", character_set),
        TAGS["PatientName"]: ("PN", encode_string("Yamada^Tarou=山田^太郎", encodings)),
    }
    model: Elements = {TAGS["ManufacturerModelName"]: ("LO", encode_string(text, encodings))}
    if text == "装置山田様" and character_set != "ISO_IR 192":
        return  # two characters amid others, without an escape sequence, cannot be told from any other text
    assert "ManufacturerModelName" in refused(engine, tmp_path, model, patient)
    other: Elements = {TAGS["ManufacturerModelName"]: ("LO", encode_string("装置", encodings))}
    assert not refused(engine, tmp_path, other, patient)


@pytest.mark.parametrize("found", ["call 5551234567", "Elm Street 5", "from Springfield."])
def test_addresses_and_telephone_numbers_are_found_in_parts(found: str, engine: Deidentifier, tmp_path: Path) -> None:
    patient: Elements = {
        TAGS["PatientAddress"]: ("LO", "Elm Street 5, Springfield, 12345"),
        TAGS["PatientTelephoneNumbers"]: ("SH", "(555) 123-4567"),
    }
    assert refused(engine, tmp_path, {TAGS["ManufacturerModelName"]: ("LO", found)}, patient)
    assert not refused(engine, tmp_path, {TAGS["ManufacturerModelName"]: ("LO", "12345")}, patient)


@pytest.mark.parametrize(
    ("encoding", "transfer_syntax"),
    [
        (Encoding(implicit=True, little=True), "1.2.840.10008.1.2"),
        (Encoding(implicit=False, little=False), "1.2.840.10008.1.2.2"),
        (Encoding(implicit=False, little=True), "1.2.840.10008.1.2.1.99"),
    ],
)
def test_every_encoding_is_searched(
    encoding: Encoding, transfer_syntax: str, engine: Deidentifier, tmp_path: Path
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    deep: Value = [{TAGS["Manufacturer"]: ("LO", "Ottilie Grunwald")}]
    data = encoded({**MINIMAL, **PATIENT, TAGS["AnatomicRegionSequence"]: ("SQ", deep)}, encoding)
    if transfer_syntax.endswith(".99"):
        deflater = zlib.compressobj(wbits=-15)
        data = deflater.compress(data) + deflater.flush()
    source.write_bytes(part10(data, transfer_syntax))
    with pytest.raises(Refused, match="Manufacturer"):
        engine.file(source, target, SUPPLIED)
    assert not target.exists()


def test_what_stands_beside_nested_pixel_data_is_searched(engine: Deidentifier, tmp_path: Path) -> None:
    patient: Elements = {TAGS["PatientName"]: ("PN", "Orwel^Ida")}
    item: Elements = {TAGS["Manufacturer"]: ("LO", "for Ms Orwel"), TAGS["PixelData"]: ("OW", bytes(100))}
    assert refused(engine, tmp_path, {TAGS["ReferencedSeriesSequence"]: ("SQ", [item])}, patient)
    del item[TAGS["Manufacturer"]]
    assert not refused(engine, tmp_path, {TAGS["ReferencedSeriesSequence"]: ("SQ", [item])}, patient)
