"""The examples of the page on de-identification are true: each command is run, each recipe is read, in their order."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deidentify import Recipe, validity
from deidentify.recipe import IMPLEMENTED_OPTIONS, SHIPPED
from tests.deidentify.command import write_image

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "deidentification.md").read_text("utf-8")


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page that are marked with a language."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [content for written, content in found if written == language]


RECIPES = [(page, text) for page in ("deidentification.md", "pixels.md") for text in blocks(page, "yaml")]
LINES = [
    line
    for block in blocks("deidentification.md", "")
    for line in block.splitlines()
    if line.startswith("python -m deidentify")
]
CTP = '<script><e en="T" t="00080080" n="InstitutionName">@remove()</e></script>'
DEID = "FORMAT dicom\n\n%header\n\nREMOVE InstitutionName\nJITTER StudyDate 30\n"


@pytest.mark.skipif(not validity.is_there(), reason="dciodvfy (package dicom3tools) is not installed")
def test_every_command_on_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    for number in (1, 2):
        write_image(tmp_path / "incoming" / f"image{number}.dcm", "ADALBERTA", 1, number)
    (tmp_path / "incoming" / "image1.dcm").rename(tmp_path / "incoming" / "image.dcm")
    (tmp_path / "our-ct.yaml").write_text(next(text for _, text in RECIPES if text.startswith("name: our-ct")))
    (tmp_path / "anonymizer.script").write_text(CTP)
    (tmp_path / "deid.dicom").write_text(DEID)

    assert len(LINES) >= 8
    for line in LINES:
        code, said = _run(line, tmp_path)
        assert code == 0 or (code == 3 and " convert " in line), said
    verify = next(line for line in LINES if " verify " in line)
    assert "2 of 2 outputs are there, byte for byte." in _run(verify, tmp_path)[1]
    assert len(list((tmp_path / "outgoing").rglob("*.dcm"))) == 2


def _run(line: str, folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        line.replace("python", sys.executable, 1),
        shell=True,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_program_on_the_page_runs(tmp_path: Path) -> None:
    (program,) = blocks("deidentification.md", "python")
    write_image(tmp_path / "incoming" / "image.dcm", "P1", 1, 1)

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "function.dcm").exists()


@pytest.mark.parametrize(("page", "text"), RECIPES)
def test_every_recipe_on_the_pages_is_right(page: str, text: str, tmp_path: Path) -> None:
    whole = text if "profile:" in text else f"name: mine\nprofile: basic\n{text}"
    (tmp_path / "recipe.yaml").write_text(whole)
    Recipe.load(tmp_path / "recipe.yaml")


@pytest.mark.parametrize("name", [*IMPLEMENTED_OPTIONS, *SHIPPED])
def test_every_option_and_shipped_recipe_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_page_has_the_options_of_the_command() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "deidentify", "--help"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    for option in set(re.findall(r"--[a-z-]+", said)) - {"--help"}:
        assert option in PAGE, option
