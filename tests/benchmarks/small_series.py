"""What a series of one small image costs, stage by stage: milliseconds and SQL statements.

`.venv/bin/python -m tests.benchmarks.small_series [--series 1000] [--rounds 3] [--postgresql] [--show STAGE]`

One drop with so many loose files, each a series of its own, as X-ray and research exports make them, goes through this
process into a folder. A large drop is also what shows whether small series share their statements and commits: each
stage is a call of `work_one` until nothing is due. The first round is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter, defaultdict
from pathlib import Path

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from tests.benchmarks.bookkeeping import STAGES, all_of, print_statements, prove_all_gone, said
from tests.benchmarks.own_node import forget_files, hand_over, own_node
from tests.benchmarks.report import verdict

# Up to the release; to deliver depends on the destination.
_COUNTED = ("register", "identify", "deidentify")
MILLISECONDS, STATEMENTS = 10.0, 10.0


def main() -> None:
    """Send drops of small series through, print the table and what one series costs up to its release."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--show", choices=STAGES, help="print what this stage says to the database")
    options = parser.parse_args()
    seconds: dict[str, list[float]] = defaultdict(list)
    statements: dict[str, list[str]] = {}
    with own_node(postgresql=options.postgresql, SENDIT_CLEANUP="yes", SENDIT_RETENTION_HOURS="0") as folder:
        for number in range(options.rounds + 1):
            statements, took = _through(folder, options.series)
            for stage in took if number else ():
                seconds[stage].append(took[stage])
        prove_all_gone()
    print(
        f"{options.series} series of one image, {'PostgreSQL' if options.postgresql else 'SQLite'}; for each series\n"
    )
    print(f"{'stage':12}{'ms':>10}{'statements':>14}")
    for stage in STAGES:
        one = 1000 * statistics.median(seconds[stage]) / options.series
        print(f"{stage:12}{one:10.2f}{len(statements[stage]) / options.series:14.2f}")
    print()
    rounds = zip(*(seconds[stage] for stage in _COUNTED), strict=True)
    verdict("a series, drop to release", [1000 * sum(one) / options.series for one in rounds], MILLISECONDS, " ms")
    counted = sum(len(statements[stage]) for stage in _COUNTED)
    verdict("statements for a series, drop to release", [counted / options.series], STATEMENTS)
    if options.show:
        print_statements(options.show, Counter(statements[options.show]))


def _through(folder: Path, series: int) -> tuple[dict[str, list[str]], dict[str, float]]:
    """What each stage says for a new drop, and the seconds it takes."""
    from django.conf import settings

    from main import work

    outbox = settings.DATA_DIR / "outbox"
    if outbox.exists():
        forget_files(outbox)
    source = settings.WATCH_FOLDERS[0].path / "loose"
    _make(source, series)
    statements = {"take": said(lambda: hand_over(source))}
    seconds = {"take": 0.0}
    for stage in STAGES[1:]:
        began = time.perf_counter()
        statements[stage] = said(lambda stage=stage: all_of(work.work_one, stage))
        seconds[stage] = time.perf_counter() - began
    return statements, seconds


def _make(folder: Path, series: int) -> None:
    """Files of one image each, of series, studies and patients of their own."""
    image = dcmread(str(get_testdata_file("CT_small.dcm")))
    folder.mkdir()
    for number in range(series):
        image.PatientID, image.PatientName = f"P{generate_uid()[-12:]}", f"DOE^J{number}"
        image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.save_as(folder / f"{number:06}.dcm", enforce_file_format=True)


if __name__ == "__main__":
    main()
