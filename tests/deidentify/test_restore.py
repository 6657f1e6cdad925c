"""Whatever the recipe removed or changed comes back in its bytes, from any release of the object, and nothing else does."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from deidentify import Deidentifier, Identifiers, Refused, WayBack, Ways, restore
from deidentify.dictionary import TAGS
from deidentify.way_back import LARGEST, merged
from tests.deidentify.objects import FOLDER, IDENTIFIERS, MINIMAL, Elements, encoded, part10
from tests.deidentify.rewriting import RESEARCH
from tests.deidentify.test_engine import RELEASABLE


def released(engine: Deidentifier, source: Path, target: Path) -> WayBack:
    way = engine.file(source, target, Identifiers(IDENTIFIERS), way_back=True).way_back
    assert way is not None
    return way


def back(released: Path, way: WayBack) -> bytes:
    target = released.with_suffix(".back")
    assert restore(released, way, target) == way.lost
    return target.read_bytes()


@pytest.mark.parametrize("path", RELEASABLE, ids=lambda path: path.name)
def test_the_file_comes_back_byte_for_byte(engine: Deidentifier, tmp_path: Path, path: Path) -> None:
    for number, one in enumerate((engine, RESEARCH)):
        out = tmp_path / str(number)
        way = released(one, path, out)
        copied = Ways.unpacked(_packed({"1.2": way})).get("1.2")
        assert copied == way
        restored = back(out, way)
        if way.lost:
            assert set(way.lost) <= {TAGS["PixelData"], TAGS["ExtendedOffsetTable"]}
        elif "dfl" in path.name:  # deflated by another program
            assert dcmread(out.with_suffix(".back")) == dcmread(path)
        else:
            assert restored == path.read_bytes()


def _packed(ways: dict[str, WayBack]) -> bytes:
    block = Ways()
    for uid, way in ways.items():
        block.add(uid, way)
    return block.packed()


def test_it_is_not_gathered_unless_it_is_asked_for(engine: Deidentifier, ct: Path, tmp_path: Path) -> None:
    plain = engine.file(ct, tmp_path / "a", Identifiers(IDENTIFIERS))
    asked = engine.file(ct, tmp_path / "b", Identifiers(IDENTIFIERS), way_back=True)
    assert plain.way_back is None
    assert plain.sha256 == asked.sha256
    assert dcmread(ct).PatientID not in repr(asked)


def test_it_tells_whose_it_is_whatever_the_recipe_leaves_alone(engine: Deidentifier, tmp_path: Path) -> None:
    ds = dcmread(FOLDER / "CT_small.dcm")
    ds.SpecificCharacterSet, ds.PatientName, ds.StudyDescription = "ISO_IR 100", "MÜLLER^JÖRG", "KOPF \\ HALS"
    ds.save_as(tmp_path / "in")
    kept = ("Modality", "SeriesNumber", "PatientSex", "StudyDate")
    for number, one in enumerate((engine, RESEARCH)):
        way = released(one, tmp_path / "in", tmp_path / str(number))
        told = way.texts(["PatientName", "StudyDescription", "PatientAddress", "ReferencedImageSequence", *kept])
        assert told == {
            "PatientName": "MÜLLER^JÖRG",
            "StudyDescription": "KOPF \\ HALS",
            **{keyword: str(ds[keyword].value) for keyword in kept},
        }
        assert back(tmp_path / str(number), way) == (tmp_path / "in").read_bytes()


def test_the_way_of_two_recipes_leads_back_from_either(engine: Deidentifier, ct: Path, tmp_path: Path) -> None:
    ways = [released(one, ct, tmp_path / name) for one, name in ((engine, "a"), (RESEARCH, "b"))]
    for order in (ways, ways[::-1]):
        one = merged(order)
        for name in ("a", "b"):
            (tmp_path / name).with_suffix(".back").unlink(missing_ok=True)
            assert back(tmp_path / name, one) == ct.read_bytes()
    with pytest.raises(Refused, match="lacks"):  # alone, that of the one that keeps more does not lead back
        restore(tmp_path / "a", ways[1], tmp_path / "c")


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([TAGS[one] for one in ("PatientName", "StudyDate", "InstitutionName", "Rows")]),
        st.sampled_from([b"", b"AB", b"19990101", b"1\\2 "]),
    ),
    st.lists(st.integers(0x00091001, 0x00091010), max_size=3),
    st.integers(0, 40),
    st.integers(0, 1),
)
def test_every_small_object_comes_back(
    tmp_path_factory: pytest.TempPathFactory, some: dict[int, bytes], private: list[int], padding: int, twice: int
) -> None:
    elements: Elements = dict(MINIMAL)
    elements |= {tag: ("US" if tag == TAGS["Rows"] else "LO", value) for tag, value in some.items()}
    elements |= dict.fromkeys(private, ("UN", b"secret"))
    content = encoded(elements)
    content += twice * 2 * encoded({TAGS["ImageComments"] + 0x00100000: ("LO", b"again ")})
    folder = tmp_path_factory.mktemp("d")
    (folder / "in").write_bytes(part10(content) + bytes(2 * padding))
    way = released(RESEARCH, folder / "in", folder / "out")
    assert back(folder / "out", way) == (folder / "in").read_bytes()


def test_what_is_too_large_is_lost_and_said(tmp_path: Path) -> None:
    large = MINIMAL | {0x00091001: ("OB", bytes(LARGEST)), 0x00091002: ("OB", b"kept")}
    (tmp_path / "in").write_bytes(part10(encoded(large)))
    way = released(RESEARCH, tmp_path / "in", tmp_path / "out")
    assert way.lost == (0x00091001,)
    assert sum(map(len, way.runs)) < 2000
    del large[0x00091001]
    assert back(tmp_path / "out", way).endswith(encoded(large))


def test_a_file_that_lacks_something_or_is_compressed_is_refused(engine: Deidentifier, tmp_path: Path) -> None:
    source = FOLDER / "CT_small.dcm"
    way = released(engine, source, tmp_path / "out")
    thinner = dcmread(tmp_path / "out")
    del thinner.Rows, thinner.Columns
    thinner.save_as(tmp_path / "thinner")
    with pytest.raises(Refused, match="lacks 2 elements") as caught:
        restore(tmp_path / "thinner", way, tmp_path / "back")
    assert caught.value.code == "does-not-fit"
    compressed = dcmread(tmp_path / "out")
    compressed.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    compressed.save_as(tmp_path / "compressed")
    with pytest.raises(Refused, match="another transfer syntax"):
        restore(tmp_path / "compressed", way, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_what_another_system_added_does_not_come_along(engine: Deidentifier, ct: Path, tmp_path: Path) -> None:
    way = released(engine, ct, tmp_path / "out")
    more = dcmread(tmp_path / "out")
    more.InstanceAvailability = "ONLINE"
    more.save_as(tmp_path / "more")
    assert "InstanceAvailability" not in dcmread(tmp_path / "out")
    assert back(tmp_path / "more", way) == ct.read_bytes()


def test_images_of_a_series_share_what_they_have_in_common(engine: Deidentifier, ct: Path, tmp_path: Path) -> None:
    ways, image = {}, dcmread(ct)
    for number in range(50):
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        image.save_as(tmp_path / f"in{number}")
        ways[f"1.2.3.{number}"] = released(engine, tmp_path / f"in{number}", tmp_path / f"out{number}")
    block = _packed(ways)
    assert len(block) < 50 * 200
    some = Ways.unpacked(block).without({"1.2.3.7"})
    assert set(some) == ways.keys() - {"1.2.3.7"}
    assert all(some.get(uid) == ways[uid] for uid in some)
    later = bytearray(zlib.decompress(block))
    struct.pack_into("<L", later, 4, 99)
    with pytest.raises(ValueError, match="later version"):
        Ways.unpacked(zlib.compress(bytes(later)))
