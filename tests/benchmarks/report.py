"""Rounds that alternate, medians, ratios from one run, and whether a goal is met: how every benchmark measures and prints.

A ratio is taken within each round, from neighbours in time; the median of the rounds is printed with its range.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from os import getloadavg

# Each call prepares a round, untimed, and returns what is timed.
Prepare = Callable[[], Callable[[], object]]
Seconds = dict[str, list[float]]


def alternate(ways: dict[str, Prepare], rounds: int, clock: Callable[[], float] = time.perf_counter) -> Seconds:
    """Seconds of each way in each round, by `clock`; a first round warms up and is not counted."""
    found: Seconds = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, prepare in ways.items():
            run = prepare()
            gc.collect()
            began = clock()
            run()
            seconds = clock() - began
            if number:
                found[name].append(seconds)
    return found


def ratios(seconds: Seconds, name: str, reference: str) -> list[float]:
    """Time of `name` in times of `reference`, round by round."""
    return [one / other for one, other in zip(seconds[name], seconds[reference], strict=True)]


def print_rates(seconds: Seconds, count: int, unit: str, reference: str) -> None:
    """A line for each way: milliseconds and rate (medians), and its time in times of the reference's."""
    print(f"{'':24}{'ms/' + unit:>12}{unit + 's/s':>12}{'x ' + reference:>24}")
    for name, values in seconds.items():
        one = statistics.median(values) / count
        factor = statistics.median(ratios(seconds, name, reference))
        print(f"{name:24}{1000 * one:12.3f}{1 / one:12.0f}{factor:24.2f}")
    print()


def below(what: str, seconds: Seconds, name: str, reference: str, goal: float | None) -> None:
    """Print the ratio of two ways, with its range and its goal, which it should not exceed."""
    verdict("ratio " + what, ratios(seconds, name, reference), goal)


def verdict(what: str, values: Sequence[float], goal: float | None, unit: str = "", *, at_least: bool = False) -> None:
    """Print the median of `values` with its range, the goal and whether it is met, and the load of the machine."""
    median = statistics.median(values)
    spread = f" (from {min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    said = ""
    if goal is not None:
        met = median >= goal if at_least else median <= goal
        said = f"; goal {'at least' if at_least else 'at most'} {goal:g}{unit}: {'met' if met else 'NOT MET'}"
    print(f"{what}: {median:.2f}{unit}{spread}{said} [load {getloadavg()[0]:.1f}]")
