"""What the campaign tells a person, and a program: tables of what was done to the node, and what came of it.

Everything is said as counts and sentences; no value of an invented patient either.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from tests.faults import every_failpoint, red, storm
from tests.faults.trial import Findings


@dataclass
class Report:
    """The results of one campaign, in the order in which they came."""

    seed: int
    deaths: dict[str, every_failpoint.Result] = field(default_factory=dict)
    storms: dict[str, storm.Result] = field(default_factory=dict)
    proofs: list[red.Proof] = field(default_factory=list)

    @property
    def is_green(self) -> bool:
        """Whether nothing is wrong, and what had to turn red did."""
        findings = [result.findings for result in self.storms.values()]
        findings += [result.findings for result in self.deaths.values()]
        return not any(found for one in findings for found in one.values()) and all(one.holds for one in self.proofs)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {
            "seed": self.seed,
            "green": self.is_green,
            "deaths": {name: vars(result) for name, result in self.deaths.items()},
            "storms": {name: vars(result) for name, result in self.storms.items()},
            "proofs": [{**vars(one), "holds": one.holds} for one in self.proofs],
        }


def of_deaths(name: str, result: every_failpoint.Result) -> list[str]:
    """Say how long it took from each death to the end of the work."""
    lines = ["", f"{name}: {len(result.seconds)} deaths, {result.images} images"]
    ordered = sorted(result.seconds.items(), key=lambda item: -item[1])
    lines += [f"  slowest: {', '.join(f'{name} {seconds:.1f} s' for name, seconds in ordered[:4])}"]
    return [*lines, *of_findings(result.findings)]


def of_storm(name: str, seed: int, result: storm.Result) -> list[str]:
    """Say what struck, and what was lost."""
    lines = ["", f"Storm on {name} parts, seed {seed}: {sum(result.faults.values())} faults"]
    lines += [f"  {count:>4}  {fault}" for fault, count in result.faults.most_common()]
    lines += [f"  {result.images} images in {result.files} files; {result.restarts} processes started again"]
    lines += [f"  lost {result.lost}, stored twice {result.stored_twice}"]
    if result.recoveries:
        mean, tail = statistics.mean(result.recoveries), percentile(result.recoveries, 0.95)
        lines += [f"  next image proven {mean:.1f} s after a fault on average, {tail:.1f} s in 95 % of cases"]
    lines += [f"  all through {result.drained_after:.1f} s after the last fault"]
    return [*lines, *of_findings(result.findings)]


def of_proofs(proofs: list[red.Proof]) -> list[str]:
    """Say of each experiment what it had to become, and became."""
    lines = ["", "The campaign can turn red"]
    for one in proofs:
        became = "red" if one.findings else "green"
        lines.append(f"  {'ok' if one.holds else 'NOT OK':<7}{one.name}: {became}, as it {_must(one)} be {one.wanted}")
        if one.findings:
            lines.append(f"         {one.findings[0]}")
    return lines


def of_findings(findings: Findings) -> list[str]:
    """Say of each check whether it holds, and else why not."""
    lines = []
    for name, found in findings.items():
        lines.append(f"  {'RED' if found else 'ok':<5}{name}")
        lines += [f"         {sentence}" for sentence in found]
    return lines


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of all values are."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _must(proof: red.Proof) -> str:
    return "has to" if proof.holds else "had to"
