"""What wants to become large, deep or endless ends in time and within a stated memory, released or refused with a code."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deidentify.errors import CODES
from tests.deidentify.bombs import BOMBS
from tests.deidentify.confined import codes
from tests.deidentify.objects import FILES

# The recipe that looks most closely: it cleans text, documents and pixels.
RECIPE = "research"
SECONDS = 60
SMALL = [path for path in FILES if path.stat().st_size < 200_000 and "dicomdirtests" not in str(path)]


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.__name__)
def test_a_bomb_is_released_or_refused_in_time(bomb: Callable[[], bytes], tmp_path: Path) -> None:
    source = tmp_path / "bomb"
    source.write_bytes(bomb())
    (code,) = codes(RECIPE, [source], seconds=SECONDS)
    assert code in {"released", *CODES}


def test_every_real_file_is_released_or_refused_within_the_memory() -> None:
    found = codes(RECIPE, SMALL, seconds=5 * SECONDS)
    assert len(found) == len(SMALL)
    assert set(found) <= {"released", *CODES}
    assert found.count("released") > 50
