"""The first pass finds what the second needs: names at every depth, also in what hides its items."""

from pathlib import Path

import pytest

from deidentify.dictionary import TAGS
from deidentify.elements import Encoding
from deidentify.facts import MOST_REMEMBERED, REGIONS, Events, Facts
from deidentify.source import Source
from deidentify.walk import Limits, Walk
from tests.deidentify.objects import EXPLICIT, MINIMAL, Elements, encoded
from tests.deidentify.rewriting import rewritten

IMPLICIT = Encoding(implicit=True, little=True)
NAME: Elements = {TAGS["PatientName"]: ("PN", "Grunwald^Ottilie")}


def events_of(data: bytes, encoding: Encoding = EXPLICIT) -> Events:
    source = Source.of_bytes(data)
    return Events(Walk(source, 0, len(data), implicit=encoding.implicit, little=True, limits=Limits()))


def hidden(item: Elements) -> bytes:
    """Return items as the value of an element that does not say that it is a sequence."""
    pieces = IMPLICIT.item([encoded(item, IMPLICIT)], undefined=False)
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


@pytest.mark.parametrize("encoding", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("tag", [0x00291008, TAGS["ReferencedImageSequence"]])
def test_a_name_is_known_from_every_depth(encoding: Encoding, tag: int) -> None:
    inside: Elements = {tag: ("SQ", [NAME])}
    ways: list[Elements] = [{tag: ("SQ", [inside])}, {tag: ("UN", hidden(inside))}, {tag: ("UN", hidden(NAME))}]
    for way in ways:
        facts = Facts.of(events_of(encoded({**MINIMAL, **way}, encoding), encoding), frozenset())
        assert b"Grunwald^Ottilie" in {raw for _, raw in facts.known}
        assert b"ORIGINAL-7" in {raw.strip() for _, raw in facts.known}


def test_only_wanted_values_of_the_top_level_are_kept() -> None:
    elements: Elements = {**MINIMAL, TAGS["Modality"]: ("CS", "CT"), TAGS["ReferencedImageSequence"]: ("SQ", [NAME])}
    facts = Facts.of(events_of(encoded(elements)), frozenset({TAGS["Modality"], TAGS["PatientName"]}))
    assert facts.values == {TAGS["Modality"]: b"CT"}
    assert facts.text(TAGS["Modality"]) == "CT"
    assert "CT" not in repr(facts)


def test_the_regions_of_ultrasound_are_read() -> None:
    corner = TAGS["RegionLocationMinX0"]
    items: list[Elements] = [{corner: ("UL", b"\5\0\0\0")}, {}, {corner: ("UL", b"\7\0\0\0")}]
    facts = Facts.of(events_of(encoded({REGIONS: ("SQ", items)})), frozenset())
    assert facts.regions == [{corner: b"\5\0\0\0"}, {}, {corner: b"\7\0\0\0"}]


def test_more_events_than_are_remembered_are_walked_again() -> None:
    items: list[Elements] = [{}] * (MOST_REMEMBERED // 2)
    events = events_of(encoded({**MINIMAL, TAGS["ReferencedImageSequence"]: ("SQ", items)}))
    assert list(events) == list(events)
    assert len(list(events)) > MOST_REMEMBERED


def test_a_name_that_is_known_from_below_is_cleaned_above(tmp_path: Path) -> None:
    elements: Elements = {
        TAGS["StudyDescription"]: ("LO", "CT CHEST WHITE"),
        TAGS["SourceImageSequence"]: ("UN", hidden({TAGS["PatientName"]: ("PN", "White^Anna")})),
    }
    assert rewritten(elements, tmp_path)[(TAGS["StudyDescription"],)] == b"CT CHEST"
