"""A preview shows every element before and after with its rule, warns of what it shows, and changes nothing."""

from pathlib import Path

from pydicom import dcmread

from tests.deidentify.command import finished, key_file, outputs, write_image


def rows(said: str) -> dict[str, list[str]]:
    lines = said.splitlines()
    table = lines[lines.index("element | before | after | rule") + 1 :]
    return {cells[0]: cells[1:] for cells in (line.split(" | ") for line in table)}


def test_a_preview_is_what_the_command_does(tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "a", "ADALBERTA", 1, 1, StudyDescription="CT ABDOMEN OF QUINBY")
    key = key_file(tmp_path)
    before = (tmp_path / "in" / "a").read_bytes()

    said = finished("preview", tmp_path / "in" / "a", "--recipe", "research", "--key-file", key)
    finished(tmp_path / "in", tmp_path / "out", "--recipe", "research", "--key-file", key)

    assert said.startswith("This holds ORIGINAL VALUES")
    (name,) = outputs(tmp_path / "out")
    after = dcmread(tmp_path / "out" / name)
    shown = rows(said)
    assert shown["PatientID"][:2] == ["ADALBERTA", after.PatientID]
    assert shown["StudyDescription"][:2] == ["CT ABDOMEN OF QUINBY", after.StudyDescription]
    assert shown["SOPInstanceUID"][:2] == ["1.2.3.1.1.1", after.SOPInstanceUID]
    assert all(cells[2] for cells in shown.values())
    for element in after:
        if element.keyword and element.VR != "SQ":
            assert element.keyword in shown
    assert (tmp_path / "in" / "a").read_bytes() == before


def test_without_a_key_it_says_whose_pseudonyms_these_are(tmp_path: Path) -> None:
    write_image(tmp_path / "a", "P1", 1, 1)

    first, second = (finished("preview", tmp_path / "a", "--recipe", "basic") for _ in range(2))

    assert "made for this preview" in first
    assert rows(first)["PatientID"] != rows(second)["PatientID"]


def test_a_file_that_is_not_released_says_why(tmp_path: Path) -> None:
    write_image(tmp_path / "a", "P1", 1, 1)
    (tmp_path / "cut").write_bytes((tmp_path / "a").read_bytes()[:-10])

    said = finished("preview", tmp_path / "cut", "--recipe", "basic", code=3)

    assert "Not released" in said
    assert "truncated" in said


def test_what_a_file_holds_cannot_steer_the_terminal(tmp_path: Path) -> None:
    write_image(tmp_path / "a", "P1", 1, 1, StudyDescription="\x1b[31mred\x07")

    assert "\x1b" not in finished("preview", tmp_path / "a", "--recipe", "basic")
