"""Every row of Table E.1-1 is carried out, at the top level and inside sequences."""

import json
from pathlib import Path

import pytest

from deidentify import Deidentifier, Identifiers
from deidentify.dictionary import TAGS, vr_of
from deidentify.tables import OPTIONS, Row, table_e1_1, types
from tests.deidentify.objects import CT_IMAGE, MINIMAL, Elements, encoded, part10, written

UID = "1.2.826.0.1.3680043.9.77.5"
VALUES: dict[str, str | bytes] = {
    "UI": UID,
    "PN": "Hollerith^Ada",
    "DA": "18890323",
    "TM": "111213",
    "DT": "18890323111213",
    "AS": "077Y",
    "CS": "ZQMARK",
    "AE": "ZQMARK",
    "OB": b"zqmark",
    "UN": b"zqmark",
    "OW": b"zqmark",
    "DS": "77.125",
    "IS": "77125",
}
OUTER = TAGS["RequestAttributesSequence"]
KEPT_OUTER = TAGS["ReferencedSeriesSequence"]
PET = "1.2.840.10008.5.1.4.1.1.128"
SUPPLIED = Identifiers({"PatientID": "PSEUDO-1"})
PLAIN_ROWS = [
    row for row in table_e1_1().rows if "x" not in row.tag and row.tag != "private" and int(row.tag[:4], 16) > 7
]


def test_the_table_is_the_edition_that_the_recipe_names() -> None:
    table = table_e1_1()
    assert table.edition == "2026c"
    assert len(table.rows) == 656
    counts = {action: sum(row.basic == action for row in table.rows) for action in {row.basic for row in table.rows}}
    assert counts == {"X": 416, "D": 93, "U": 55, "Z": 42, "X/D": 23, "X/Z": 11, "X/Z/D": 8, "Z/D": 6, "X/Z/U*": 2}
    options = {option: sum(option in row.options for row in table.rows) for option in OPTIONS}
    assert options["retain-full-dates"] == options["retain-modified-dates"] == 169
    assert options["clean-descriptors"] == 140
    assert options["retain-uids"] == 60


def test_the_shipped_table_holds_facts_only() -> None:
    raw = json.loads(Path("deidentify/tables/e1_1.json").read_text())
    assert set(raw) == {"edition", "source_sha256", "rows"}
    assert all(len(cell) < 80 for row in raw["rows"] for cell in row)


@pytest.mark.parametrize("row", PLAIN_ROWS, ids=lambda row: f"{row.tag}-{row.keyword}-{row.basic}")
def test_a_row_is_carried_out(row: Row, engine: Deidentifier, tmp_path: Path) -> None:
    tag = int(row.tag, 16)
    vr = (vr_of(tag) or row.vr).split(" or ")[0]
    if vr == "SQ":
        value: object = [{TAGS["TextValue"]: ("UT", "zqmark text"), TAGS["ReferencedSOPInstanceUID"]: ("UI", UID)}]
    else:
        value = VALUES.get(vr, "zqmark")
    element: Elements = {tag: (vr, value)}  # type: ignore[dict-item]  # built from the VR just above
    inside: Elements = {KEPT_OUTER: ("SQ", [element])}
    source, target = tmp_path / "source", tmp_path / "target"

    for elements, path in ((element, (tag,)), (inside, (KEPT_OUTER, 0, tag))):
        source.write_bytes(part10(encoded({**MINIMAL, **elements})))
        engine.file(source, target, SUPPLIED)
        output = target.read_bytes()
        found = written(target)
        target.unlink()

        assert b"zqmark" not in output.lower()
        assert b"18890323" not in output
        assert UID.encode() not in output
        after = found.get(path)
        if path == (TAGS["PatientID"],):
            assert after == b"PSEUDO-1"
        elif row.basic != "X/Z/U*" and expected(row, tag, vr) == "removed":
            assert after is None
        elif expected(row, tag, vr) == "empty":
            assert after == b""
            assert not [inner for inner in found if inner[: len(path)] == path and inner != path]
        elif row.basic == "U" or vr == "UI":
            assert after is not None
            assert after.rstrip(b"\0").decode() == engine.uid(MINIMAL_UIDS.get(path, UID))
        elif vr == "SQ":
            assert found[(*path, 0, TAGS["ReferencedSOPInstanceUID"])].rstrip(b"\0").decode() == engine.uid(UID)
        else:
            assert after, "a dummy has to have a value"


def expected(row: Row, tag: int, vr: str) -> str:
    """What Table E.1-1a asks for: the weakest of the letters that keeps a CT image valid."""
    kinds = types(CT_IMAGE).get(tag, frozenset())
    if row.basic == "U" or (vr == "UI" and "D" in row.basic):
        return "UID"
    if row.basic == "D" or kinds == {1}:
        return "dummy"
    if kinds == {2} or "X" not in row.basic:
        return "dummy" if row.basic == "Z/D" and kinds != {2} else "empty"
    if kinds == {3} or row.basic == "X":
        return "removed"
    return "empty" if row.basic == "X/Z" else "dummy"


MINIMAL_UIDS: dict[tuple[int, ...], str] = {}


def test_repeating_groups_and_private_elements_are_removed(engine: Deidentifier, tmp_path: Path) -> None:
    gone: Elements = {
        0x50000010: ("US", b"\1\0"),
        0x501E3000: ("OW", b"zqmark"),
        0x60000022: ("LO", "zqmark"),
        0x60001500: ("LO", "zqmark"),
        0x60003000: ("OW", b"zqmark"),
        0x601E4000: ("LT", "zqmark"),
        0x00091001: ("LO", "zqmark"),
        0x00090010: ("LO", "ZQMARK"),
        0x00091002: ("SQ", [{TAGS["PatientName"]: ("PN", "zqmark")}]),
        0x00100000: ("UL", b"\4\0\0\0"),
        0xFFFCFFFC: ("OB", b"zqmark"),
        0xFFFAFFFA: ("SQ", [{TAGS["CertificateOfSigner"]: ("OB", b"zqmark")}]),
        0x00181FFE: ("LO", "zqmark, in no dictionary"),
    }
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded({**MINIMAL, **gone, KEPT_OUTER: ("SQ", [dict(gone)])})))
    released = engine.file(source, target, SUPPLIED)
    assert b"zqmark" not in target.read_bytes().lower()
    assert not {path[-1] for path in written(target)} & gone.keys()
    assert {"overlay", "curve", "private", "group-length", "not-in-dictionary"} <= released.actions.keys()


def test_series_dates_of_pet_keep_a_dummy_because_they_are_type_1(engine: Deidentifier, tmp_path: Path) -> None:
    dated: Elements = {TAGS["SeriesDate"]: ("DA", "18890323"), TAGS["SOPClassUID"]: ("UI", PET)}
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded({**MINIMAL, **dated}), meta={0x00020002: ("UI", PET)}))
    engine.file(source, target, SUPPLIED)
    assert written(target)[(TAGS["SeriesDate"],)] == b"19000101"
