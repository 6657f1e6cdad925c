"""Safe private elements stay with the creator of their block, everything else that is private goes (PS3.15 E.3.10)."""

from pathlib import Path
from struct import pack

from deidentify import Deidentifier, Identifiers
from deidentify.dictionary import TAGS
from deidentify.elements import Encoding
from tests.deidentify.objects import MINIMAL, Elements, encoded, part10
from tests.deidentify.rewriting import RESEARCH, rewritten, rewritten_bytes

GEMS: Elements = {
    0x00190010: ("LO", "GEMS_ACQU_01"),
    0x00191023: ("DS", "5.0 "),  # table speed, safe
    0x00191060: ("DS", "1.5 "),  # not in the table
}
SIEMENS = "SIEMENS MR HEADER"


def private(found: dict[tuple[int, ...], bytes]) -> dict[tuple[int, ...], bytes]:
    return {path: value for path, value in found.items() if path[-1] >> 16 & 1}


def test_a_safe_element_stays_with_its_creator_and_no_other(tmp_path: Path, engine: Deidentifier) -> None:
    found = rewritten(GEMS, tmp_path)
    assert private(found) == {(0x00190010,): b"GEMS_ACQU_01", (0x00191023,): b"5.0"}
    assert private(rewritten(GEMS, tmp_path, engine)) == {}


def test_a_creator_of_which_nothing_stays_goes(tmp_path: Path) -> None:
    elements: Elements = {**GEMS, 0x00290010: ("LO", "SMITH^JOHN"), 0x00291010: ("LO", "x ")}
    assert 0x00290010 not in {path[-1] for path in rewritten(elements, tmp_path)}


def test_the_block_is_found_wherever_it_was_put(tmp_path: Path) -> None:
    elements: Elements = {
        0x00190010: ("LO", "OTHER"),
        0x001900A7: ("LO", "GEMS_ACQU_01"),
        0x00191023: ("DS", "7 "),
        0x0019A723: ("DS", "5 "),
    }
    assert private(rewritten(elements, tmp_path)) == {(0x001900A7,): b"GEMS_ACQU_01", (0x0019A723,): b"5"}


def test_each_item_names_its_own_creators(tmp_path: Path) -> None:
    item = {**GEMS}
    orphan: Elements = {0x00191023: ("DS", "9 ")}
    elements: Elements = {**GEMS, TAGS["ReferencedInstanceSequence"]: ("SQ", [item, orphan])}
    found = rewritten(elements, tmp_path)
    sequence = TAGS["ReferencedInstanceSequence"]
    assert found[sequence, 0, 0x00191023] == b"5.0"
    assert found[sequence, 0, 0x00190010] == b"GEMS_ACQU_01"
    assert not any(path[:2] == (sequence, 1) for path in private(found))


def test_a_block_with_two_names_has_none(tmp_path: Path) -> None:
    def one(tag: int, vr: str, value: str) -> bytes:
        return encoded({tag: (vr, value)})

    data = encoded(MINIMAL) + one(0x00290010, "LO", SIEMENS) + one(0x00291008, "CS", "IMAGE NUM 4 ")
    assert private(rewritten_bytes(data, tmp_path)) == {}
    data = encoded({tag: e for tag, e in MINIMAL.items() if tag < 0x00190000})
    data += one(0x00190010, "LO", "GEMS_ACQU_01") + one(0x00191023, "DS", "5 ")
    data += one(0x00190010, "LO", "SOMEBODY") + one(0x00191024, "DS", "6 ")
    data += encoded({tag: e for tag, e in MINIMAL.items() if tag > 0x00190000})
    assert private(rewritten_bytes(data, tmp_path)) == {}


def test_what_is_written_as_unknown_follows_the_rule_for_its_vr(tmp_path: Path) -> None:
    elements: Elements = {
        0x00190010: ("LO", "GEMS_ACQU_01"),
        0x00191023: ("UN", "5.0 "),
        0x00191024: ("UN", "John Zwock"),  # a DS by the table
    }
    assert private(rewritten(elements, tmp_path)) == {(0x00190010,): b"GEMS_ACQU_01", (0x00191023,): b"5.0"}


def test_a_safe_sequence_is_opened_also_as_a_value(tmp_path: Path) -> None:
    creator, tag = "Philips Imaging DD 001", 0x2001105F  # a sequence by the table
    implicit = Encoding(implicit=True, little=True)
    item: Elements = {
        TAGS["PatientName"]: ("PN", "Zwock^John"),
        TAGS["ReferencedSOPInstanceUID"]: ("UI", "1.2.826.0.1.9.9.9"),
        TAGS["KVP"]: ("DS", "120 "),
        0x20010010: ("LO", creator),
        0x20011099: ("LO", "Zwock "),
    }
    pieces = implicit.item([encoded(item, implicit)], undefined=False)
    hidden = b"".join(piece for piece in pieces if isinstance(piece, bytes))
    for value in (("SQ", [item]), ("UN", hidden)):
        elements: Elements = {0x20010010: ("LO", creator), tag: value}
        found = rewritten(elements, tmp_path)
        content = (tmp_path / "target").read_bytes()
        assert b"Zwock" not in content
        assert b"1.2.826.0.1.9.9.9" not in content
        assert b"120 " in content
        assert (0x20010010,) in found


def test_private_blocks_of_an_implicit_object_are_treated_alike(tmp_path: Path) -> None:
    implicit = Encoding(implicit=True, little=True)
    source = tmp_path / "source"
    source.write_bytes(part10(encoded({**MINIMAL, **GEMS}, implicit), "1.2.840.10008.1.2"))
    RESEARCH.file(source, tmp_path / "target", Identifiers({"PatientID": "P"}))
    content = (tmp_path / "target").read_bytes()
    assert b"GEMS_ACQU_01" in content
    assert pack("<HHL", 0x0019, 0x1023, 4) + b"5.0 " in content
    assert pack("<HH", 0x0019, 0x1060) not in content
