"""No output has an error that `dciodvfy` did not find in the input: every real file, every recipe.

Text is searched in the pixels of every sixth file only, because that takes seconds.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from deidentify import Deidentifier, Identifiers, Recipe
from deidentify.recipe import PixelPolicy
from tests.deidentify.judge import validity
from tests.deidentify.objects import FILES, IDENTIFIERS, KEY, code_of

# dciodvfy reads no deflated data sets: it takes their bytes for elements. The other has thirty frames to be searched.
LEFT_OUT = {"image_dfl.dcm", "examples_ybr_color.dcm"}
READABLE = [path for path in FILES if path.name not in LEFT_OUT]


@pytest.mark.skipif(not validity.PROGRAM, reason="dciodvfy (package dicom3tools) is not installed")
@pytest.mark.parametrize("recipe", ["basic", "research", "minimal"])
def test_no_output_has_an_error_that_its_input_had_not(recipe: str, tmp_path: Path) -> None:
    whole = Recipe.load(recipe)
    searching, quick = (Deidentifier(one, KEY) for one in (whole, replace(whole, pixels=PixelPolicy("keep"))))
    pairs = []
    for number, source in enumerate(READABLE, start=len(recipe)):
        target, engine = tmp_path / str(number), searching if number % 6 == 0 else quick
        if not code_of(lambda: engine.file(source, target, Identifiers(IDENTIFIERS))):  # noqa: B023  # called at once
            pairs.append((source, target))
    assert len(pairs) > 120
    found = {source.name: new for (source, _), new in zip(pairs, validity.new_errors_of(pairs), strict=True) if new}
    assert found == {}


def test_an_error_that_was_added_is_seen(ct: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    content = ct.read_bytes()
    broken.write_bytes(content.replace(b"\x08\x00\x60\x00CS\x02\x00CT", b"\x08\x00\x60\x00CS\x02\x00ct"))
    assert validity.new_errors(ct, broken)
