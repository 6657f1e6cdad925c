"""`python -m tests.deidentify.detection`: how much of the text that is drawn into real images is found and would be blanked.

Prints the table of docs/pixels.md. The texts, their places, sizes, typefaces and shades are drawn from a seed.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread
from pydicom.data import get_testdata_file

from deidentify.pixels.search import search
from tests.deidentify.judge.people import Inventor

BASES = ("examples_jpeg2k.dcm", "examples_rgb_color.dcm", "examples_overlay.dcm", "693_J2KI.dcm", "JPEG2000.dcm")
SIZES, A_PICTURE = (8, 12, 16, 24, 40), 5
SHADES = ("white on a dark strip", "yellow", "white", "light grey", "black, on what is dark or speckled")
TYPEFACES = (
    "dejavu/DejaVuSans.ttf",
    "dejavu/DejaVuSansMono-Bold.ttf",
    "dejavu/DejaVuSerif.ttf",
    "noto/NotoSansMono-Regular.ttf",
)
_FOLDER = Path("/usr/share/fonts/truetype")
_AROUND = 12


@dataclass(frozen=True)
class Drawn:
    """A text that was drawn: what it is like, and how much of it is covered by boxes."""

    shade: str
    size: int
    turned: bool
    covered: float


def picture(number: int) -> list[Drawn]:
    """Draw texts into one image, search it, and return them."""
    random, inventor = Random(number), Inventor(number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels = dcmread(get_testdata_file(BASES[number % len(BASES)])).pixel_array
    values = pixels.copy()
    taken, masks = np.zeros(values.shape[:2], bool), []
    for _ in range(A_PICTURE):
        size, shade, turned = random.choice(SIZES), random.choice(SHADES), random.random() < 0.4
        ink = _ink(_text(random, inventor), size, random)
        ink = np.rot90(ink) if turned else ink
        rows, columns = ink.shape
        if rows >= values.shape[0] or columns >= values.shape[1]:
            continue
        y, x = random.randrange(values.shape[0] - rows), random.randrange(values.shape[1] - columns)
        place = slice(y, y + rows), slice(x, x + columns)
        if taken[_grown(place)].any():
            continue
        taken[_grown(place)] = True
        _draw(values, place, ink, shade)
        masks.append((shade, size, turned, place, ink))
    blanked = np.zeros(taken.shape, bool)
    for box in search([values], 1):
        blanked[box.y : box.bottom, box.x : box.right] = True
    return [Drawn(shade, size, turned, float(blanked[place][ink].mean())) for shade, size, turned, place, ink in masks]


def _text(random: Random, inventor: Inventor) -> str:
    day = inventor.date()
    return random.choice(
        (
            f"{inventor.word().upper()}, {inventor.word()}",
            f"ID {inventor.number(8)}",
            f"{day:%d.%m.%Y}",
            inventor.word(),
        )
    )


def _ink(text: str, size: int, random: Random) -> np.ndarray:
    name = random.choice((*TYPEFACES, ""))
    font = ImageFont.truetype(_FOLDER / name, size * 1.37) if name else ImageFont.load_default(size=size * 1.37)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2), 0)
    ImageDraw.Draw(image).text((1 - left, 1 - top), text, fill=255, font=font)
    return np.asarray(image) > 127


def _grown(place: tuple[slice, slice]) -> tuple[slice, slice]:
    y, x = place
    return slice(max(y.start - _AROUND, 0), y.stop + _AROUND), slice(max(x.start - _AROUND, 0), x.stop + _AROUND)


def _draw(values: np.ndarray, place: tuple[slice, slice], ink: np.ndarray, shade: str) -> None:
    least, most = int(values.min()), int(np.percentile(values, 99.9))
    if shade.startswith("white on"):
        values[place] = least
    value = {"light grey": least + 0.7 * (most - least), "black, on what is dark or speckled": least}.get(shade, most)
    area = values[place]
    area[ink] = np.array(value, float).astype(values.dtype)
    if shade == "yellow" and values.ndim == 3:
        area[ink, 2] = least


def _rows(drawn: list[Drawn]) -> Iterator[tuple[str, list[Drawn]]]:
    groups: dict[str, list[Drawn]] = defaultdict(list)
    for one in drawn:
        groups[one.shade].append(one)
        groups[f"{one.size} pixels high"].append(one)
        if one.turned:
            groups["turned by a quarter, of these"].append(one)
    names = (*SHADES, *(f"{size} pixels high" for size in SIZES), "turned by a quarter, of these")
    yield from ((name, groups[name]) for name in names if groups[name])
    yield "**all**", drawn


def main() -> None:
    """Draw, search and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.deidentify.detection", description=__doc__)
    parser.add_argument("--pictures", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    first = options.seed * 1_000_000
    with ProcessPoolExecutor(options.workers) as pool:
        found = [one for drawn in pool.map(picture, range(first, first + options.pictures)) for one in drawn]
    print("| text | drawn | covered | mostly |\n| --- | --- | --- | --- |")
    for name, group in _rows(found):
        whole, half = (sum(one.covered >= least for one in group) / len(group) for least in (1, 0.5))
        print(f"| {name} | {len(group)} | {whole:.1%} | {half:.1%} |")


if __name__ == "__main__":
    main()
