"""UIDs below a root of one's own are valid, keyed, as long as they may be, and a part of what was done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import UID

from deidentify import Deidentifier, Identifiers, Recipe, Refused
from deidentify.cli import main
from deidentify.uids import LONGEST_ROOT, UidMap, wrong_root
from tests.deidentify.objects import KEY

ROOT = "1.2.826.0.1.3680043.10.9999"
CT = str(get_testdata_file("CT_small.dcm"))

parts = st.integers(0, 10**9).map(str)
roots = st.lists(parts, min_size=0, max_size=8).map(lambda found: ".".join(["2", "999", *found]))


@given(root=roots, original=st.text("0123456789.", min_size=1, max_size=64))
def test_every_root_that_is_taken_gives_valid_uids_with_enough_digits(root: str, original: str) -> None:
    if wrong_root(root):
        assert len(root) > LONGEST_ROOT
        return
    found = UidMap(KEY, root).replacement(original)
    assert UID(found).is_valid
    assert found.startswith(f"{root}.") or found == original
    assert UidMap(KEY, root).replacement(original) == found
    assert UidMap(KEY[::-1], root).replacement(original) != found or found == original


@pytest.mark.parametrize(
    "root",
    ["", "2", "1.02.3", "1.2.", ".1.2", "3.1", "1.40.1", "0.039", "1.2.840.10008", "1.2.840.10008.5", "1.2.a", "1.2.３"]
    + ["2.999." + "1" * (LONGEST_ROOT - 5), "1.2\n"],
)
def test_what_is_no_root_is_refused_with_a_sentence(root: str) -> None:
    with pytest.raises(Refused) as refused:
        UidMap(KEY, root)
    assert refused.value.code == "bad-recipe"
    assert refused.value.sentence.startswith("The root of UIDs ")


def test_the_longest_root_leaves_83_bits() -> None:
    root = "2.999." + "1" * (LONGEST_ROOT - 6)
    uids = {UidMap(KEY, root).replacement(f"1.2.{n}") for n in range(2000)}
    assert max(map(len, uids)) == 64
    assert len(uids) == 2000
    assert UidMap(KEY, "1.2.840.100080").replacement("1.2.3")


def test_a_recipe_that_names_no_root_is_as_before_there_were_roots() -> None:
    plain = Recipe.load("basic")
    assert plain.hash == "32b372e501637d895f3585425ca7b0e3d4880c41661702116e9d56c7005b3101"
    assert plain.below("2.25").hash == plain.hash
    assert plain.below(ROOT).hash != plain.hash
    assert Recipe.load("none").below(ROOT) == Recipe.load("none")


def test_a_recipe_names_its_root(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"name: own\nprofile: basic\nuid-root: {ROOT}\n")
    recipe = Recipe.load(path)
    assert recipe.below("2.999").uid_root == ROOT, "the recipe decides"
    engine = Deidentifier(recipe, KEY)
    released = engine.file(CT, tmp_path / "out.dcm", Identifiers({"PatientID": "A"}))
    out, source = dcmread(tmp_path / "out.dcm"), dcmread(CT)
    assert out.SOPInstanceUID == out.file_meta.MediaStorageSOPInstanceUID == released.sop_instance_uid
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert out[keyword].value == engine.uid(source[keyword].value)
        assert re.fullmatch(re.escape(ROOT) + r"\.[0-9]{30,36}", out[keyword].value)
    path.write_text("name: own\nprofile: basic\nuid-root: 1.02\n")
    with pytest.raises(Refused, match="line 3"):
        Recipe.load(path)


def test_the_command_takes_a_root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key"
    main(["key", str(key)])
    plain = [CT, str(tmp_path / "out.dcm"), "--recipe", "basic", "--key-file", str(key)]
    assert main([*plain, "--uid-root", "1.2.840.10008"]) == 2
    assert "belongs to the DICOM standard" in capsys.readouterr().err
    assert main([*plain, "--uid-root", ROOT]) == 0
    assert dcmread(tmp_path / "out.dcm").StudyInstanceUID.startswith(f"{ROOT}.")
