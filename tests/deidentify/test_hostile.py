"""Any bytes at all end in a clean output or in a refusal with a code; nothing crashes, hangs or leaks."""

import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deidentify import Deidentifier, Identifiers, Recipe, Refused, read_structure
from deidentify.errors import CODES
from tests.deidentify.objects import FILES, IDENTIFIERS, KEY, MINIMAL, encoded, part10

SMALL = [path for path in FILES if path.stat().st_size < 200_000]
ENGINE = Deidentifier(Recipe.load("basic"), KEY)
FILLED = Identifiers(IDENTIFIERS)
QUICK = settings(
    max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@st.composite
def corrupted(draw: st.DrawFn) -> bytes:
    """A real file that was cut, overwritten, shifted or spliced."""
    content = bytearray(draw(st.sampled_from(SMALL)).read_bytes())
    for _ in range(draw(st.integers(1, 4))):
        # Most of what there is to break stands in the first few kilobytes.
        limit = min(len(content), draw(st.sampled_from([400, 4000, 1 << 30])))
        at = draw(st.integers(0, max(0, limit - 1)))
        match draw(st.integers(0, 4)):
            case 0:
                del content[at:]
            case 1:
                junk = draw(st.binary(min_size=1, max_size=8))
                content[at : at + len(junk)] = junk
            case 2:
                content[at:at] = draw(st.binary(min_size=1, max_size=16))
            case 3:
                del content[at : at + draw(st.integers(1, 40))]
            case 4:
                word = draw(
                    st.sampled_from(
                        [b"\xff\xff\xff\xff", b"\xfe\xff\xdd\xe0", b"\xfe\xff\x00\xe0", b"SQ", b"UN", b"\0\0"]
                    )
                )
                content[at : at + len(word)] = word
    return bytes(content)


def released_or_refused(content: bytes, folder: Path) -> None:
    source, target = folder / "source", folder / "target"
    source.write_bytes(content)
    target.unlink(missing_ok=True)
    try:
        read_structure(source, [0x00100010, 0x0020000D])
    except Refused as refused:
        assert refused.code in CODES
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ENGINE.file(source, target, FILLED)
    except Refused as refused:
        assert refused.code in CODES
        assert not target.exists()
    else:
        read_structure(target)
        ENGINE.compare(source, target)


@QUICK
@given(content=corrupted())
def test_every_corrupted_file_is_released_whole_or_refused(content: bytes, tmp_path: Path) -> None:
    released_or_refused(content, tmp_path)


@QUICK
@given(content=st.binary(max_size=600))
def test_random_elements_behind_a_good_start_are_released_whole_or_refused(content: bytes, tmp_path: Path) -> None:
    released_or_refused(part10(encoded(MINIMAL) + content), tmp_path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_cut_in_half_is_released_whole_or_refused(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    released_or_refused(content[: len(content) // 2], tmp_path)
