"""How many SQL statements each stage needs for one series, by the number of its images.

`.venv/bin/python -m tests.benchmarks.bookkeeping [--images 20 200 2000] [--postgresql] [--show STAGE]`

Everything that is sent to the database counts, also BEGIN; COMMIT goes another way. What grows does so by design, with
chunks and not with images: register reads 1,000 files a chunk, de-identify commits after 16, 32, 64 … 512 images,
deliver takes 100 images at a time. `--show deliver` prints the statements of a stage, equal ones counted.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.own_node import hand_over, own_node
from tests.benchmarks.report import verdict
from tests.peers.images import make_series

STAGES = ("take", "register", "identify", "deidentify", "deliver", "cleanup")

# A statement for each image, or for each of a few, would show in this; a statement for each chunk hardly does.
GOAL = 0.5


def main() -> None:
    """Send a series of each size through the node, stage by stage, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[20, 200, 2000])
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--show", choices=STAGES, help="print what this stage says to the database")
    options = parser.parse_args()
    with own_node(postgresql=options.postgresql, SENDIT_CLEANUP="yes", SENDIT_RETENTION_HOURS="0") as folder:
        _through(folder, 5)  # keys, caches and the like
        found = {images: _through(folder, images) for images in options.images}
        prove_all_gone()
    print("stage       " + "".join(f"{images:>7} images" for images in found) + "   per further image")
    slope = 0.0
    for stage in (*STAGES, "all"):
        counts = [sum(len(one) for name, one in stages.items() if stage in (name, "all")) for stages in found.values()]
        slope = (counts[-1] - counts[0]) / max(1, options.images[-1] - options.images[0])
        print(f"{stage:12}" + "".join(f"{count:14}" for count in counts) + f"{slope:20.3f}")
    print()
    verdict("statements per further image, all stages", [slope], GOAL)
    if options.show:
        for images, stages in found.items():
            print_statements(f"{options.show}, {images} images", Counter(stages[options.show]))


def _through(folder: Path, images: int) -> dict[str, list[str]]:
    """What each stage says to the database for one new series of `images` images."""
    from django.conf import settings

    from main import work

    source = settings.WATCH_FOLDERS[0].path / f"series-{images}"
    make_series(source, images, size=128)
    found = {"take": said(lambda: hand_over(source))}
    for stage in STAGES[1:]:
        found[stage] = said(lambda stage=stage: all_of(work.work_one, stage))
    return found


def print_statements(title: str, statements: Counter[str]) -> None:
    """Print each distinct statement with how often it was said."""
    print(f"\n{title}:")
    for statement, count in statements.most_common():
        print(f"{count:6} x {statement}")


def all_of(work_one: Callable[[str], bool], stage: str) -> None:
    """Work on `stage` until nothing is due."""
    while work_one(stage):
        pass


def said(act: Callable[[], object]) -> list[str]:
    """What `act` says to the database."""
    from django.db import connection

    found: list[str] = []

    def listen(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        found.append(_shortened(sql))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen):
        act()
    return found


def _shortened(sql: str) -> str:
    """One statement without its lists of columns, values and names of tables before columns."""
    sql = re.sub(r"SELECT (?!1 ).*? FROM", "SELECT … FROM", re.sub(r"\s+", " ", sql), count=1)
    sql = re.sub(r"IN \([^()SELECT]*\)|VALUES .*|\([^()]*%s[^()]*(, %s)+\)", "…", sql)
    return sql.replace('"', "")[:180]


def prove_all_gone() -> None:
    """Every image that went in came out, was cleaned up, and is in the ledger."""
    from main.models import Image, LedgerEntry

    assert not Image.objects.exists(), "something did not get through"
    assert LedgerEntry.objects.count() > 1, "something left no entry in the ledger"


if __name__ == "__main__":
    main()
