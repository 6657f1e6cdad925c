"""Any bytes at all end in a clean output or in a refusal with a code; nothing crashes, hangs or leaks."""

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deidentify import Deidentifier, Identifiers, Recipe, read_structure
from deidentify.dictionary import VRS
from deidentify.errors import CODES
from deidentify.recipe import PixelPolicy
from deidentify.walk import HEADER
from tests.deidentify.objects import EXPLICIT, FILES, IDENTIFIERS, KEY, MINIMAL, code_of, encoded, part10

SMALL = [path for path in FILES if path.stat().st_size < 200_000]
# Pixels are kept, because searching them takes seconds: what is hostile in pixels is in test_pixels_*.py and the bombs.
ENGINES = [
    Deidentifier(replace(Recipe.load(name), pixels=PixelPolicy("keep")), KEY)
    for name in ("basic", "research", "minimal")
]
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


def released_or_refused(content: bytes, folder: Path, engine: Deidentifier) -> None:
    source, target = folder / "source", folder / "target"
    source.write_bytes(content)
    target.unlink(missing_ok=True)
    assert code_of(lambda: read_structure(source, [0x00100010, 0x0020000D])) in {"", *CODES}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code = code_of(lambda: engine.file(source, target, FILLED))
    assert code in {"", *CODES}
    assert target.exists() == (not code)
    if not code:
        read_structure(target)
        engine.compare(source, target)


@QUICK
@given(content=corrupted(), engine=st.sampled_from(ENGINES))
def test_every_corrupted_file_is_released_whole_or_refused(
    content: bytes, engine: Deidentifier, tmp_path: Path
) -> None:
    released_or_refused(content, tmp_path, engine)


@QUICK
@given(content=st.binary(max_size=600), engine=st.sampled_from(ENGINES))
def test_random_elements_behind_a_good_start_are_released_whole_or_refused(
    content: bytes, engine: Deidentifier, tmp_path: Path
) -> None:
    released_or_refused(part10(encoded(MINIMAL) + content), tmp_path, engine)


TAG = st.sampled_from(sorted(VRS)) | st.integers(0x00080000, 0x7FE0FFFF)
VALUE = st.binary(max_size=40) | st.sampled_from(
    [b"1.2.3\\4.5", b"A^B=C", b"\x1b$B", b"x" * 5000, bytes(70_000), b"\\" * 9]
)
LONG_VR = {b"OB", b"UN", b"UT", b"SQ", b"OW"}


@st.composite
def data_set(draw: st.DrawFn, depth: int = 3) -> bytes:
    """Elements whose tags are real and whose VRs, values and nesting are not."""
    out = b""
    for _ in range(draw(st.integers(0, 5))):
        tag, vr = draw(TAG), draw(st.sampled_from(sorted(HEADER)))
        if depth and draw(st.booleans()):
            undefined = draw(st.booleans())
            item = EXPLICIT.item([draw(data_set(depth=depth - 1))], undefined=undefined)
            out += b"".join(p for p in EXPLICIT.sequence(tag, b"SQ", item, undefined=undefined) if isinstance(p, bytes))
        else:
            value = draw(VALUE)
            out += EXPLICIT.element(tag, vr if len(value) < 1 << 16 or vr in LONG_VR else b"UN", value)
    return out


@QUICK
@given(content=data_set(), engine=st.sampled_from(ENGINES))
def test_attributes_with_foreign_vrs_and_nesting_are_released_whole_or_refused(
    content: bytes, engine: Deidentifier, tmp_path: Path
) -> None:
    released_or_refused(part10(encoded(MINIMAL) + content), tmp_path, engine)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_cut_in_half_is_released_whole_or_refused(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    for engine in ENGINES[:2]:
        released_or_refused(content[: len(content) // 2], tmp_path, engine)
