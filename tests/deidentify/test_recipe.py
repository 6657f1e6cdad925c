"""A recipe that cannot be carried out exactly as written is refused, with the line and what would be accepted."""

import re
from pathlib import Path

import pytest

from deidentify import Deidentifier, Identifiers, Recipe, Refused
from deidentify.dictionary import TAGS
from deidentify.errors import CODES
from deidentify.tables import OPTIONS
from tests.deidentify.objects import KEY, MINIMAL, Elements, encoded, part10, written


def load(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return Recipe.load(path)


def test_the_shipped_recipes() -> None:
    basic, none = Recipe.load("basic"), Recipe.load("none")
    assert (basic.name, basic.profile, basic.options, basic.edition) == ("basic", "basic", (), "2026c")
    assert basic.deidentifies
    assert not none.deidentifies
    assert len(basic.hash) == 64 != none.hash


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_is_not_implemented_is_refused_by_name(option: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=rf"mine.yaml, line 4: option '{option}' is not implemented"):
        load(tmp_path, f"name: mine\nprofile: basic\noptions:\n  - {option}\n")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: a\nprofile: basci\n", "line 2: profile 'basci' is not known. Accepted: basic, none."),
        (
            "name: a\nprofile: basic\noption: []\n",
            "line 3: 'option' is not known here. Accepted: name, profile, options, overrides.",
        ),
        ("profile: basic\n", "line 1: 'name' is missing"),
        ("name: a\n", "line 1: 'profile' is missing"),
        ("name: a\nname: b\nprofile: basic\n", "line 2: 'name' is there twice"),
        ("name: a\nprofile: basic\noptions: [fly]\n", "line 3: option 'fly' is not known"),
        ("name: a\nprofile: basic\noptions: fly\n", "line 3: options is a list"),
        ("name: a\nprofile: basic\noverrides:\n  PatientNmae: keep\n", "line 4: 'PatientNmae' is no keyword"),
        (
            "name: a\nprofile: basic\noverrides:\n  PatientName: burn\n",
            "line 4: action 'burn' is not known. Accepted: keep, remove, empty",
        ),
        (
            "name: a\nprofile: basic\noverrides:\n  StudyDate: keep\n  0008,0020: keep\n",
            "line 5: StudyDate is there twice",
        ),
        ("name: a\nprofile: basic\noverrides:\n  PatientID: keep\n", "line 4: PatientID follows from the profile"),
        ("name: a\nprofile: basic\noverrides:\n  0009,1001: keep\n", "line 4: private elements are always removed"),
        (
            "name: a\nprofile: basic\noverrides:\n  0002,0010: keep\n",
            "line 4: '0002,0010' is no attribute of a data set",
        ),
        (
            "name: a\nprofile: none\noverrides:\n  StudyDate: keep\n",
            "line 2: profile 'none' passes objects on unchanged",
        ),
        ("name: a\nprofile: [basic\n", "this is not YAML"),
        ("- basic\n", "line 1: the recipe has to be written as 'key: value' lines"),
        ("", "line 1: the recipe has to be written"),
        ("name: 'a/../b'\nprofile: basic\n", "line 1: a name is 1 to 32"),
        ("name: [a]\nprofile: basic\n", "line 1: a single word is expected"),
        ("name: !!python/object/apply:os.system [ls]\nprofile: basic\n", "line 1: a single word is expected"),
        ("[" * 5000, "mine.yaml"),
    ],
)
def test_mistakes_are_named_with_their_line(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        load(tmp_path, text)
    assert refused.value.code == "bad-recipe"
    assert complaint in refused.value.sentence


def test_a_recipe_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for name in ("bsaic", "../recipes/basic", str(tmp_path), str(tmp_path / "x.yaml"), "\0"):
        with pytest.raises(Refused, match="basic, none"):
            Recipe.load(name)


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    one = load(tmp_path, "name: m\nprofile: basic\noverrides: {StudyDate: keep, StudyTime: remove}\n")
    two = load(tmp_path, "# a comment\nprofile: basic\nname: m\noverrides:\n  (0008,0030): remove\n  0008,0020: keep\n")
    three = load(tmp_path, "name: m\nprofile: basic\noverrides: {StudyDate: keep}\n")
    assert one == two
    assert one.hash == two.hash != three.hash


def test_overrides_act_at_every_depth(tmp_path: Path) -> None:
    recipe = load(
        tmp_path,
        "name: m\nprofile: basic\noverrides:\n"
        "  StudyTime: keep\n  Manufacturer: remove\n  KVP: empty\n  SliceThickness: replace-dummy\n",
    )
    elements: Elements = {
        TAGS["StudyTime"]: ("TM", "111213"),
        TAGS["Manufacturer"]: ("LO", "Maker"),
        TAGS["KVP"]: ("DS", "120"),
        TAGS["SliceThickness"]: ("DS", "2.5"),
    }
    outer = TAGS["ReferencedSeriesSequence"]
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(part10(encoded({**MINIMAL, **elements, outer: ("SQ", [elements])})))
    released = Deidentifier(recipe, KEY).file(source, target, Identifiers({"PatientID": "P"}))
    found = written(target)
    for place in ((), (outer, 0)):
        assert found[*place, TAGS["StudyTime"]] == b"111213"
        assert (*place, TAGS["Manufacturer"]) not in found
        assert found[*place, TAGS["KVP"]] == b""
        assert found[*place, TAGS["SliceThickness"]] == b"0 "
    assert released.actions["override-keep"] == 2
    assert released.recipe_hash == recipe.hash


def test_every_code_in_the_sources_is_in_the_vocabulary() -> None:
    sources = "".join(path.read_text() for path in Path("deidentify").rglob("*.py"))
    used = set(re.findall(r'Refused\(\s*"([a-z-]+)"', sources)) | set(re.findall(r'\(_\w+, "(no-[a-z-]+)"', sources))
    assert used == CODES.keys()
