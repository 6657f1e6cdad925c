"""What the pages, the sweep and the pipeline cost with 100,000 and 1,000,000 images in the database.

`.venv/bin/python -m tests.benchmarks.scale [--images 100000 1000000] [--a-series 100] [--backlog]
[--postgresql] [--explain]`

Each size has a database of its own beside an empty one, all of one node. Pages are opened through the real URLs with
the lock in front. For throughput the same small series goes through the node by turns, once on the empty database and
once on the full one. `--explain` prints the plan of every statement that takes long.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.own_node import forget_files, hand_over, own_node, prepare
from tests.benchmarks.report import alternate, ratios, verdict
from tests.peers.images import make_series

if TYPE_CHECKING:
    from tests.benchmarks.pages import Open

PAGE_MILLISECONDS, SWEEP_MILLISECONDS, SLOWER = 100, 50, 1.1
EMPTY = "empty"


def main() -> None:
    """Fill the databases and print what things cost on each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--a-series", type=int, default=100, help="images in each series")
    parser.add_argument("--rounds", type=int, default=9, help="of the throughput")
    parser.add_argument(
        "--backlog", action="store_true", help="the destination was away: nearly all images wait for it"
    )
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--explain", action="store_true", help="show the plans of slow statements")
    options = parser.parse_args()
    with own_node(postgresql=options.postgresql, SENDIT_CLEANUP="yes") as folder:
        from tests.benchmarks import many_rows
        from tests.benchmarks.pages import explain, milliseconds, pages

        sizes = [EMPTY, *(f"{images:,}".replace(",", "_") for images in options.images)]
        found: dict[str, dict[str, float]] = {}
        for name, images in zip(sizes, [0, *options.images], strict=True):
            _use(name, new=True)
            _series_through(folder, 200)()
            if images:
                began = time.perf_counter()
                many_rows.fill(images, options.a_series, backlog=options.backlog)
                print(f"{name}: {_megabytes():,.0f} MB, filled in {time.perf_counter() - began:.0f} s")
                for what, act in {**pages(), **_machinery()}.items():
                    took = milliseconds(act)
                    found.setdefault(what, {})[name] = took
                    budget = SWEEP_MILLISECONDS if what.startswith("sweep") else PAGE_MILLISECONDS
                    if options.explain and took > budget / 2:
                        print(f"{what} ({took:.0f} ms):", *explain(act, budget / 5), sep="\n")
        _print_costs(found, sizes[1:])
        for name in sizes[1:]:
            print(f"\n{name} images")
            _judge({what: costs[name] for what, costs in found.items()})
            seconds = alternate(
                {base: lambda base=base: _through(base, folder, 200) for base in (EMPTY, name)}, options.rounds
            )
            verdict("register to proven, times that of an empty database", ratios(seconds, name, EMPTY), SLOWER)


def _machinery() -> dict[str, Open]:
    """What sweeper and workers ask all the time; a claim is rolled back."""
    from main.claims import claim
    from main.models import Batch, Series
    from main.pipeline import sweep
    from main.pipeline.load import claim_load

    return {
        "sweep: what is due": sweep.due_stages,
        "sweep: is it stalled": sweep.is_stalled,
        "sweep: clamp the clock": lambda: _undone(sweep.clamp),
        "claim of a drop": lambda: _undone(lambda: claim(Batch, "register")),
        "claim of a series": lambda: _undone(lambda: claim(Series, "deidentify")),
        "claim of deliveries": lambda: _undone(claim_load),
    }


def _undone(act: Callable[[], object]) -> None:
    from django.db import transaction

    with transaction.atomic():
        act()
        transaction.set_rollback(True)


def _through(database: str, folder: Path, images: int) -> Callable[[], object]:
    _use(database)
    return _series_through(folder, images)


def _series_through(folder: Path, images: int) -> Callable[[], object]:
    """Make a series and hand it over; the returned call takes this one through register, identify, de-identify, deliver."""
    from django.conf import settings

    from main import work
    from main.models import Image

    forget_files(settings.DATA_DIR / "outbox") if (settings.DATA_DIR / "outbox").exists() else None
    source = settings.WATCH_FOLDERS[0].path / "series"
    make_series(source, images, size=128)
    batch = hand_over(source)

    def run() -> None:
        work.work_one("register", batch.pk)
        series = Image.objects.filter(batch=batch).values_list("series", flat=True)[0]
        work.work_one("identify", series)
        work.work_one("deidentify", series)
        while work.work_one("deliver", series):
            pass
        assert Image.objects.filter(batch=batch, status="SENT").count() == images

    return run


def _use(name: str, *, new: bool = False) -> None:
    """Let the node work on the database `name` from now on."""
    from django.db import connection

    place = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        place = str(Path(place).with_name(f"{name}.sqlite3"))
    else:
        if new:
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{name}"')
        place = name
    connection.close()
    connection.settings_dict["NAME"] = place
    if new:
        prepare()


def _megabytes() -> float:
    """What the database in use takes on the disk."""
    from django.db import connection

    if connection.vendor == "sqlite":
        return Path(connection.settings_dict["NAME"]).stat().st_size / 1e6
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return float(cursor.fetchone()[0]) / 1e6


def _print_costs(found: dict[str, dict[str, float]], sizes: list[str]) -> None:
    print(f"\n{'ms':36}" + "".join(f"{name:>14}" for name in sizes))
    for what, costs in found.items():
        print(f"{what:36}" + "".join(f"{costs[name]:14.1f}" for name in sizes))


def _judge(costs: dict[str, float]) -> None:
    groups: dict[str, list[str]] = {"page": [], "sweep": [], "claim": []}
    for what in costs:
        groups[what.split()[0].rstrip(":") if what.startswith(("sweep", "claim")) else "page"].append(what)
    for group, goal in (("page", PAGE_MILLISECONDS), ("sweep", SWEEP_MILLISECONDS), ("claim", SWEEP_MILLISECONDS)):
        slowest = max(groups[group], key=lambda what: costs[what])
        verdict(f"slowest {group} ({slowest})", [costs[slowest]], goal, " ms")
    print(f"median page: {statistics.median(costs[what] for what in groups['page']):.0f} ms")


if __name__ == "__main__":
    main()
