"""A recipe that cannot be carried out exactly as written is refused, with the line and what would be accepted."""

import re
from pathlib import Path

import pytest

from deidentify import Deidentifier, Identifiers, Recipe, Refused
from deidentify.dictionary import TAGS
from deidentify.errors import CODES
from deidentify.recipe import IMPLEMENTED_OPTIONS, SHIPPED, DatePolicy, Override, TextPolicy
from deidentify.tables import OPTIONS
from tests.deidentify.objects import KEY, MINIMAL, Elements, encoded, part10, written


def load(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return Recipe.load(path)


def test_the_shipped_recipes() -> None:
    recipes = {name: Recipe.load(name) for name in SHIPPED}
    assert [recipe.name for recipe in recipes.values()] == list(SHIPPED)
    assert len({recipe.hash for recipe in recipes.values()}) == len(SHIPPED)
    assert all(len(recipe.hash) == 64 and recipe.edition == "2026c" for recipe in recipes.values())
    assert not recipes["none"].deidentifies
    basic, research = recipes["basic"], recipes["research"]
    assert (basic.options, basic.dates.mode, basic.pixels.mode, basic.documents.mode) == (
        (),
        "remove",
        "clean",
        "remove",
    )
    assert (research.dates.mode, research.pixels.mode, research.documents.mode) == ("shift", "clean", "clean")
    assert "retain-institution-identity" not in research.options


@pytest.mark.parametrize("option", IMPLEMENTED_OPTIONS)
def test_every_option_can_be_selected(option: str, tmp_path: Path) -> None:
    assert load(tmp_path, f"name: mine\nprofile: basic\noptions:\n  - {option}\n").options == (option,)
    assert set(OPTIONS) < set(IMPLEMENTED_OPTIONS)


def test_a_recipe_of_the_first_version_means_what_it_did_but_for_pixels_which_fail_closed(tmp_path: Path) -> None:
    old = load(tmp_path, "name: old\nprofile: basic\noptions: []\noverrides:\n  StudyTime: keep\n  0008,0070: remove\n")
    assert old.overrides == (Override("remove", tag=0x00080070), Override("keep", tag=0x00080030))[::-1]
    assert old.pixels.mode == "clean"


def test_a_whole_recipe_is_read(tmp_path: Path) -> None:
    recipe = load(tmp_path, WHOLE)
    assert recipe.dates == DatePolicy("shift", 30, 365, "keep")
    assert recipe.text == TextPolicy(keep=("sinus", "tilt"), remove=("station 4",))
    assert recipe.pixels.rectangles[0].boxes == ((0, 0, 640, 40), (600, 440, 40, 40))
    assert recipe.documents.mode == "quarantine"
    targets = {(one.tag, one.vr, one.creator): one.action for one in recipe.overrides}
    assert targets == {
        (0x00180015, "", ""): "remove",
        (None, "UT", ""): "remove",
        (0x00290010, "", "SIEMENS CSA HEADER"): "keep",
        (None, "", "GEMS_PARM_01"): "keep",
        (0x00081032, "", ""): "clean",
    }
    assert recipe.when[0].overrides == (Override("shift", tag=TAGS["AcquisitionDate"]),)
    assert [(one.name, one.action, one.reason) for one in recipe.filters] == [
        ("dose screens", "exclude", "no image of the patient"),
        ("other makers", "quarantine", ""),
    ]
    assert recipe.asked >= {TAGS["Modality"], TAGS["Manufacturer"], TAGS["ImageType"], TAGS["Rows"]}


WHOLE = """
name: whole
profile: basic
options: [retain-modified-dates, clean-descriptors, retain-safe-private]
dates: {mode: shift, least-days: 30, most-days: 365, times: keep}
text:
  keep: [Tilt, Sinus]
  remove: ["Station 4"]
pixels:
  mode: clean
  rectangles:
    - if: {Modality: US, ManufacturerModelName: "MAKE*"}
      columns: 640
      rows: 480
      boxes: [[0, 0, 640, 40], [600, 440, 40, 40]]
documents: quarantine
overrides:
  BodyPartExamined: remove
  VR:UT: remove
  "(0029,xx10) SIEMENS CSA HEADER": keep
  "private: GEMS_PARM_01": keep
  ProcedureCodeSequence: clean
when:
  - if: {Modality: [US, XA], Manufacturer: "GE*"}
    overrides: {AcquisitionDate: shift}
filters:
  - name: dose screens
    if: {Modality: CT, ImageType: "*DOSE*"}
    action: exclude
    reason: no image of the patient
  - name: other makers
    if: {Manufacturer: ["!GE*", "!Siemens*"], Rows: "512"}
    action: quarantine
"""


HEAD = "name: a\nprofile: basic\n"
MORE = [
    ("options: [clean-recognizable-visual-features]\n", "line 3: 'clean-recognizable-visual-features' needs defacing"),
    ("options:\n- retain-full-dates\n- retain-modified-dates\n", "line 5: retain-full-dates and retain-modified-dates"),
    ("options: [retain-uids, retain-uids]\n", "line 3: option 'retain-uids' is there twice"),
    ("dates: {mode: shift}\n", "line 3: the mode follows from the options"),
    ("dates: {least-days: 3}\n", "line 3: days and times of a shift need the option retain-modified-dates"),
    ("options: [retain-modified-dates]\ndates:\n  least-days: 9\n  most-days: 3\n", "line 5: least-days is more than"),
    ("options: [retain-modified-dates]\ndates:\n  least-days: 0\n", "line 5: least-days is a whole number from 1"),
    (
        "options: [retain-modified-dates]\ndates: {times: drop}\n",
        "line 4: times 'drop' is not known. Accepted: shift, keep",
    ),
    ("overrides:\n  StudyDate: shift\n", "line 4: a shift needs the option retain-modified-dates"),
    ("overrides:\n  PatientName: shift\n", "line 4: 'PatientName' is no date or time"),
    ("overrides:\n  StudyDate: replace-uid\n", "line 4: 'StudyDate' is no UID"),
    ("overrides:\n  Rows: clean\n", "line 4: 'Rows' is no text or sequence"),
    ("overrides:\n  VR:OW: remove\n", "line 4: 'VR:OW': an override by VR is for one of"),
    ("overrides:\n  'private: X': empty\n  'private:  X': keep\n", "line 5: private:  X is there twice"),
    ("overrides:\n  '(0029,xx10) X': shift\n", "line 4: '(0029,xx10) X': a private element is kept, removed"),
    ("text: {keep: [Tilt], remove: [tilt]}\n", "line 3: 'tilt' is under keep and under remove"),
    ("text: {keep: tilt}\n", "line 3: keep is a list"),
    ("pixels: blur\n", "line 3: pixel mode 'blur' is not known. Accepted: keep, quarantine, clean."),
    ("options: [clean-pixel-data]\npixels: keep\n", "line 4: pixel mode 'keep' is not known. Accepted: clean."),
    ("pixels:\n  mode: keep\n  rectangles:\n    - {}\n", "line 6: rectangles are blanked under pixel mode clean only"),
    ("pixels: {rectangles: [{if: {Modality: US}, columns: 8, rows: 8}]}\n", "line 3: 'boxes' is missing"),
    (
        "pixels: {rectangles: [{if: {Modality: US}, columns: 8, rows: 8, boxes: [[1, 0, 8, 8]]}]}\n",
        "line 3: the box is not inside 8 x 8",
    ),
    ("pixels: {rectangles: [{if: {Modality: US}, columns: 8, rows: 8, boxes: [[1]]}]}\n", "line 3: a box is [x, y,"),
    ("documents: shred\n", "line 3: document mode 'shred' is not known. Accepted: remove, quarantine, clean."),
    ("when:\n  - if: {Modalty: US}\n    overrides: {}\n", "line 4: 'Modalty' is no keyword"),
    ("when:\n  - if: {PixelData: US}\n    overrides: {}\n", "line 4: PixelData (OB or OW) is no text or whole number"),
    ("when:\n  - if: {}\n    overrides: {}\n", "line 4: a condition needs at least one attribute"),
    ("when:\n  - overrides: {}\n", "line 4: 'if' is missing"),
    ("filters:\n  - {name: x, if: {Modality: US}, action: burn}\n", "line 4: filter action 'burn' is not known."),
    (
        "filters:\n  - {name: x, if: {Modality: US}, action: exclude}\n  - {name: x, if: {Modality: CT}, action: exclude}\n",
        "line 5: filter 'x' is there twice",
    ),
]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: a\nprofile: basci\n", "line 2: profile 'basci' is not known. Accepted: basic, none."),
        (
            "name: a\nprofile: basic\noption: []\n",
            "line 3: 'option' is not known here. Accepted: name, profile, options, dates, text, pixels,",
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
        (
            "name: a\nprofile: basic\noverrides:\n  0009,1001: keep\n",
            "line 4: '0009,1001': a private element is named with its creator",
        ),
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
        *((HEAD + text, complaint) for text, complaint in MORE),
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
        with pytest.raises(Refused, match="basic, research, minimal, none"):
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


def test_filters_say_which_of_them_acted_and_give_no_value(tmp_path: Path) -> None:
    recipe = load(tmp_path, WHOLE)
    modality, kind, maker, rows = (TAGS[k] for k in ("Modality", "ImageType", "Manufacturer", "Rows"))
    recipe.admit({modality: b"CT", kind: b"ORIGINAL\\PRIMARY ", maker: b"Siemens Healthineers ", rows: b"\0\2"})
    recipe.admit({modality: b"CT", maker: b"Qzv ", rows: b"\0\1"})
    with pytest.raises(Refused) as excluded:
        recipe.admit({modality: b"ct", kind: b"DERIVED\\dose_info "})
    assert (excluded.value.code, excluded.value.rule) == ("excluded", "dose screens")
    assert "no image of the patient" in excluded.value.sentence
    with pytest.raises(Refused) as held:
        recipe.admit({modality: b"CT", maker: b"Qzv ", rows: b"\2\0"}, little=False)
    assert (held.value.code, held.value.rule) == ("quarantined-by-recipe", "other makers")
    assert "Qzv" not in str(held.value)


def test_every_code_in_the_sources_is_in_the_vocabulary() -> None:
    sources = "".join(path.read_text() for path in Path("deidentify").rglob("*.py"))
    used = set(re.findall(r'Refused\(\s*"([a-z-]+)"', sources)) | set(re.findall(r'\(_\w+, "(no-[a-z-]+)"', sources))
    assert used == CODES.keys()
