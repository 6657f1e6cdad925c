"""Every shipped recipe before the judge: nothing leaks, what is promised stays, and everything still belongs together."""

import shutil
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

from tests.deidentify.judge.run import Engine, judge
from tests.deidentify.judge.score import Judgement

SEED, FILES = 11, 5


@pytest.mark.parametrize("recipe", ["basic", "minimal", "research"])
def test_nothing_leaks_and_what_is_promised_stays(recipe: str, tmp_path: Path) -> None:
    found = judge(recipe, SEED, FILES, tmp_path)
    print(found.table(), found.findings(), sep="\n")
    assert sum(found.planted.values()) > 200 * FILES
    assert found.leaks == []
    assert found.retention >= 0.99
    assert found.integrity == 1


def test_the_command_leaks_nothing_in_images_or_beside_them(tmp_path: Path) -> None:
    found = judge("research", SEED + 2, 3, tmp_path, by_command=True)
    print(found.table(), found.findings(), sep="\n")
    assert found.leaks == []
    assert found.integrity == 1


def test_the_judge_turns_red_over_a_machine_that_copies(tmp_path: Path) -> None:
    found = judge("basic", SEED, 6, tmp_path, lambda source, target, _: shutil.copyfile(source, target), valid=False)
    assert found.clean_files == 0
    assert found.privacy < 0.01
    assert found.score < 10
    assert {"marks", "patient mapping"} <= set(found.wrong)


def test_the_judge_sees_nested_private_elements_that_were_missed(tmp_path: Path) -> None:
    engine = Engine("basic")

    def careless(source: Path, target: Path, pseudonym: str) -> None:
        engine(source, target, pseudonym)
        original, output = pydicom.dcmread(source), pydicom.dcmread(target)
        for item in _items(original):
            private = {tag: item[tag] for tag in item.keys() if tag.is_private}  # noqa: SIM118
            if private:
                output.add_new(0x00081140, "SQ", [Dataset(private)])
        output.save_as(target)

    found = judge("basic", SEED, 6, tmp_path, careless, valid=False)
    assert _leaking(found) >= {"private"}


def _items(ds: Dataset) -> list[Dataset]:
    tags = [tag for tag in ds.keys() if not tag.is_private and tag.element]  # noqa: SIM118  # yields elements otherwise
    return [item for tag in tags if ds[tag].VR == "SQ" for item in ds[tag].value]


def _leaking(found: Judgement) -> set[str]:
    return {plant.category for _, plant, _ in found.leaks}
