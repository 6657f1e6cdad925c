"""An engine that has seen other objects gives the bytes that a new one gives: what it remembers changes nothing."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deidentify import Deidentifier, Identifiers, Recipe
from deidentify.dictionary import TAGS
from deidentify.memory import Became, Memory
from tests.deidentify.objects import KEY, MINIMAL, Elements, encoded, part10, written
from tests.deidentify.rewriting import RESEARCH
from tests.deidentify.test_engine import RELEASABLE


def output(path: Path, target: Path, engine: Deidentifier) -> tuple[bytes, dict[str, int], dict[str, str]]:
    target.unlink(missing_ok=True)
    mapping: dict[str, str] = {}
    released = engine.file(path, target, Identifiers({"PatientID": "PSEUDO-1"}), mapping=mapping)
    return target.read_bytes(), released.actions, mapping


def test_real_files_become_the_same_the_first_time_the_second_time_and_alone(tmp_path: Path) -> None:
    shared = Deidentifier(RESEARCH.recipe, KEY)
    for path in RELEASABLE:
        alone = output(path, tmp_path / "out", Deidentifier(RESEARCH.recipe, KEY))
        first, second = (output(path, tmp_path / "out", shared) for _ in range(2))
        assert first == second == alone, path.name


# Elements of which one changes what another becomes: dates by their times, private ones by the creator of their block,
# values by the concept beside them, texts by their character set. The same bytes come again beside other neighbours.
MOVED = st.fixed_dictionaries(
    {},
    optional={
        TAGS["StudyDate"]: st.sampled_from([("DA", "20200102"), ("DA", "no date")]),
        TAGS["StudyTime"]: st.sampled_from([("TM", "235959"), ("TM", "0001"), ("TM", "")]),
        TAGS["StudyDescription"]: st.just(("LO", "CT Müller ABDOMEN")),
        TAGS["SpecificCharacterSet"]: st.sampled_from([("CS", "ISO_IR 192"), ("CS", "ISO_IR 100")]),
        0x00190010: st.sampled_from([("LO", "GEMS_ACQU_01"), ("LO", "OTHER")]),
        0x00190011: st.just(("LO", "GEMS_ACQU_01")),
        0x00191023: st.just(("DS", "5.0 ")),
        0x00191123: st.just(("DS", "5.0 ")),
        TAGS["CodeValue"]: st.sampled_from([("SH", "121401"), ("SH", "4711")]),
        TAGS["CodeMeaning"]: st.just(("LO", "Quinby")),
        TAGS["TextValue"]: st.just(("UT", "Quinby saw 3 mm")),
        TAGS["ConceptNameCodeSequence"]: st.sampled_from(
            [
                ("SQ", [{TAGS["CodeValue"]: ("SH", value), TAGS["CodingSchemeDesignator"]: ("SH", "DCM")}])
                for value in ("121401", "121106", "121022")
            ]
        ),
        TAGS["ReferencedStudySequence"]: st.sampled_from(
            [("SQ", [{TAGS["ReferencedSOPInstanceUID"]: ("UI", f"1.2.3.{number}")}]) for number in (4, 5)]
        ),
        TAGS["PatientName"]: st.sampled_from([("PN", "Quinby^Zoe"), ("PN", "Abdomen^Al")]),
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(MOVED, min_size=2, max_size=4))
def test_an_element_becomes_what_its_neighbours_make_of_it(tmp_path: Path, objects: list[Elements]) -> None:
    shared = Deidentifier(RESEARCH.recipe, KEY)
    for elements in objects:
        (tmp_path / "in").write_bytes(part10(encoded({**MINIMAL, **elements})))
        alone = output(tmp_path / "in", tmp_path / "out", Deidentifier(RESEARCH.recipe, KEY))
        assert output(tmp_path / "in", tmp_path / "out", shared) == alone


def test_the_same_private_element_of_another_creator_is_another_element(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        "name: r\nprofile: basic\npixels: clean\noverrides: {'private: ACME': keep, 'private: OTHER': clean}\n"
    )
    shared = Deidentifier(Recipe.load(tmp_path / "r.yaml"), KEY)
    for creator, left in (("ACME", b"Quinby CT"), ("OTHER", b"CT"), ("ACME", b"Quinby CT")):
        elements: Elements = {0x00190010: ("LO", creator), 0x00191023: ("LO", "Quinby CT ")}
        (tmp_path / "in").write_bytes(part10(encoded({**MINIMAL, **elements})))
        output(tmp_path / "in", tmp_path / "out", shared)
        assert written(tmp_path / "out")[0x00191023,].strip() == left


def test_a_character_set_that_is_there_twice_is_that_of_what_follows_it(tmp_path: Path) -> None:
    shared = Deidentifier(RESEARCH.recipe, KEY)
    text = encoded({TAGS["StudyDescription"]: ("LO", "CT Schädel".encode("latin-1"))})
    latin, cyrillic = (encoded({TAGS["SpecificCharacterSet"]: ("CS", name)}) for name in ("ISO_IR 100", "ISO_IR 144"))
    made = set()
    for data in (cyrillic + text, latin + text + cyrillic, cyrillic + text, latin + text):
        (tmp_path / "in").write_bytes(part10(data + encoded(MINIMAL)))
        alone = output(tmp_path / "in", tmp_path / "out", Deidentifier(RESEARCH.recipe, KEY))
        assert output(tmp_path / "in", tmp_path / "out", shared) == alone
        made.add(written(tmp_path / "out")[TAGS["StudyDescription"],].strip())
    assert made == {"CT Schädel".encode("latin-1"), b"CT"}, "the bytes read as Latin-1, and as Cyrillic"


@pytest.mark.parametrize("size", [10, 1 << 12])
def test_it_forgets_instead_of_growing(size: int) -> None:
    memory = Memory()
    for number in range(20_000):
        memory.remember(number.to_bytes(4, "big"), size, Became((), (), frozenset(), same=True))
        assert len(memory) * (size + 200) <= (1 << 20) + size + 200
