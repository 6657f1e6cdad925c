"""No name stays in a text whatever its letters are and whatever SpecificCharacterSet says of them (PS3.5 6.1)."""

from pathlib import Path

import pytest

from deidentify import Deidentifier, Identifiers, Recipe
from deidentify.charset import decode
from deidentify.dictionary import TAGS
from tests.deidentify.objects import KEY, MINIMAL, encoded, part10

DESCRIBING = ("StudyDescription", "ImageComments", "Manufacturer", "ScanOptions", "ReasonForStudy")


def korean(text: str) -> bytes:
    return b"\x1b$)C" + text.encode("euc_kr")


def chinese(text: str) -> bytes:
    return b"\x1b$)A" + text.encode("gb2312")


def mixed(text: str) -> bytes:
    return b"".join(
        b"\x1b-L" + char.encode("iso8859_5") if char > "\u0400" else b"\x1b-A" + char.encode("latin-1") for char in text
    )


CASES = [
    ("ISO_IR 100", "latin-1", "Müller", "Gößwein"),
    ("ISO_IR 101", "iso8859_2", "Wałęsa", "Škvorecký"),
    ("ISO_IR 109", "iso8859_3", "Ġużeppi", "Ĉapoŝto"),
    ("ISO_IR 110", "iso8859_4", "Bērziņš", "Šķēleņi"),
    ("ISO_IR 144", "iso8859_5", "Иванов", "Щербаков"),
    ("ISO_IR 127", "iso8859_6", "قباني", "محمد"),
    ("ISO_IR 126", "iso8859_7", "Διονυσιος", "Παπαδόπουλος"),
    ("ISO_IR 138", "iso8859_8", "שרון", "יעקב"),
    ("ISO_IR 148", "iso8859_9", "Çavuşoğlu", "Yıldırım"),
    ("ISO_IR 13", "shift_jis", "ﾔﾏﾀﾞ", "ｻﾄｳ"),
    ("ISO_IR 166", "tis_620", "นามสกุล", "สมชาย"),
    ("ISO_IR 192", "utf-8", "Nguyễn", "佐藤花子"),
    ("GB18030", "gb18030", "王小东", "欧阳秀英"),
    ("\\ISO 2022 IR 87", "iso2022_jp", "山田太郎", "佐藤花子"),
    ("\\ISO 2022 IR 149", korean, "김희중", "박정희"),
    ("\\ISO 2022 IR 58", chinese, "王小东", "李秀英"),
    ("ISO 2022 IR 100\\ISO 2022 IR 144", mixed, "MüИван", "Щербаков"),
    # What is said is not what is there.
    ("", "utf-8", "Müller", "佐藤花子"),
    ("ISO_IR 100", "utf-8", "Müller", "佐藤花子"),
    ("ISO_IR 144", "utf-8", "Müller", "Щербаков"),
    ("ISO_IR 192", "latin-1", "Müller", "Gößwein"),
    ("", "latin-1", "Müller", "Gößwein"),
    ("ISO_IR 100", "shift_jis", "山田太郎", "佐藤花子"),
    ("", "shift_jis", "山田太郎", "佐藤花子"),
    ("ISO_IR 192", "gb18030", "王小东", "欧阳秀英"),
    ("ISO_IR 100", "euc_kr", "김희중", "박정희"),
    ("", "iso2022_jp", "山田太郎", "佐藤花子"),
    ("ISO_IR 100", "iso2022_jp", "山田太郎", "佐藤花子"),
    ("ISO_IR 192", "iso2022_jp", "山田太郎", "佐藤花子"),
    ("ISO_IR 100", korean, "김희중", "박정희"),
    ("ISO_IR 999", "utf-8", "Müller", "佐藤花子"),
    ("ISO_IR 100", "cp1251", "Иванов", "Щербаков"),
    ("ISO_IR 100", "utf-16-le", "Müller", "Gößwein"),
]


@pytest.mark.parametrize("recipe", ["basic", "research"])
@pytest.mark.parametrize(("character_set", "codec", "patient", "other"), CASES)
def test_a_name_goes_in_every_alphabet_and_the_words_around_it_stay(
    recipe: str, character_set: str, codec: object, patient: str, other: str, tmp_path: Path
) -> None:
    def written(text: str) -> bytes:
        return codec(text) if callable(codec) else text.encode(str(codec))

    texts = {
        TAGS[keyword]: ("LO", b"CT HEAD %s %s AXIAL" % (written(other), written(patient))) for keyword in DESCRIBING
    }
    elements = {
        **MINIMAL,
        **texts,
        TAGS["SpecificCharacterSet"]: ("CS", character_set),
        TAGS["PatientName"]: ("PN", written(patient)),
    }
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded(elements)))
    engine = Deidentifier(Recipe.load(recipe), KEY)
    engine.file(source, target, Identifiers({"PatientID": "P", "PatientName": "P"}))

    content = target.read_bytes()
    for name in (patient, other):
        letters = written(name).replace(b"\x1b(B", b"").split(b"\x1b")[-1].lstrip(b"$()AB")
        assert letters[:4] not in content
        assert not any(form in content for form in (letters[-3:], letters[len(letters) // 2 :]))
    if recipe == "research":
        assert content.count(b"CT HEAD") == len(DESCRIBING)
        assert content.count(b"AXIAL") == len(DESCRIBING)


def test_utf_8_is_read_as_such_whatever_is_said() -> None:
    assert decode("Größe 山".encode(), b"ISO_IR 100") == "Größe 山"
    assert decode("Größe".encode("latin-1"), b"ISO_IR 100") == "Größe"
    assert decode("Größe".encode("latin-1"), b"ISO_IR 192") == "Größe"
    assert decode("欧阳".encode("gb18030"), b"GB18030") == "欧阳"
