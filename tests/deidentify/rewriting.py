"""One object through an engine and back, as values by path, for tests that build their objects element by element."""

from dataclasses import replace
from pathlib import Path

from deidentify import Deidentifier, Identifiers, Recipe
from deidentify.recipe import PixelPolicy
from tests.deidentify.objects import KEY, MINIMAL, Elements, encoded, part10, written

RESEARCH = Deidentifier(replace(Recipe.load("research"), pixels=PixelPolicy()), KEY)


def rewritten(elements: Elements, folder: Path, engine: Deidentifier = RESEARCH) -> dict[tuple[int, ...], bytes]:
    """Return every value of what becomes of a small object with `elements`, stripped."""
    return rewritten_bytes(encoded({**MINIMAL, **elements}), folder, engine)


def rewritten_bytes(data: bytes, folder: Path, engine: Deidentifier = RESEARCH) -> dict[tuple[int, ...], bytes]:
    """Return every value of what becomes of an explicit little endian data set, stripped."""
    source, target = folder / "source", folder / "target"
    source.write_bytes(part10(data))
    target.unlink(missing_ok=True)
    engine.file(source, target, Identifiers({"PatientID": "PSEUDO-1"}))
    return {path: value.strip(b"\0 ") for path, value in written(target).items()}
