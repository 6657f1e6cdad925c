"""The score of one judgement, 100 · privacy^.5 · retention^.3 · integrity^.2, and the table that explains it.

Privacy is a weighted mean over categories, so that thousands of easy places do not hide one that always leaks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tests.deidentify.judge.truth import WEIGHTS, Keep, Plant, Truth

_RETENTION = {"standard attributes": 4, "safe words": 3, "SR measurements": 1, "safe private": 1}


@dataclass
class Judgement:
    """What was found in one run."""

    recipe: str
    seed: int
    files: int
    refused: dict[str, str]
    planted: Counter[str] = field(default_factory=Counter)
    leaks: list[tuple[Truth, Plant, str]] = field(default_factory=list)
    kept: dict[str, list[tuple[Truth, Keep, bool, str]]] = field(default_factory=lambda: defaultdict(list))
    held: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    clean_files: int = 0
    invisible: int = 0

    @property
    def privacy(self) -> float:
        """One minus the weighted share of places that leak."""
        leaked = Counter(plant.category for _, plant, _ in self.leaks)
        there = [category for category in WEIGHTS if self.planted[category]]
        lost = sum(WEIGHTS[c] * min(1.0, leaked[c] / self.planted[c]) for c in there)
        return 1 - lost / sum(WEIGHTS[c] for c in there)

    @property
    def retention(self) -> float:
        """The weighted share of what was promised to be kept and is there."""
        shares = {c: sum(held for _, _, held, _ in found) / len(found) for c, found in self.kept.items() if found}
        total = sum(_RETENTION[c] for c in shares)
        return sum(_RETENTION[c] * share for c, share in shares.items()) / total if total else 1.0

    @property
    def integrity(self) -> float:
        """The mean over the kinds of checks."""
        names = {*self.held, *self.wrong}
        if not names:
            return 0.0
        return sum(self.held.get(n, 0) / (self.held.get(n, 0) + len(self.wrong.get(n, []))) for n in names) / len(names)

    @property
    def score(self) -> float:
        """From 0 to 100."""
        return 100 * self.privacy**0.5 * self.retention**0.3 * self.integrity**0.2

    def table(self) -> str:
        """Return the figures by category as text."""
        leaked = Counter(plant.category for _, plant, _ in self.leaks)
        lines = [
            f"recipe {self.recipe}, seed {self.seed}: {self.files} files, {sum(self.planted.values())} places "
            f"({self.invisible} were overwritten), {len(self.refused)} files refused, {self.clean_files} without a leak",
            f"score {self.score:.2f}  privacy {self.privacy:.4f}  retention {self.retention:.4f}  "
            f"integrity {self.integrity:.4f}",
            "",
            f"{'places':28}{'planted':>9}{'leaked':>9}",
            *(f"{c:28}{self.planted[c]:9}{leaked[c]:9}" for c in WEIGHTS if self.planted[c]),
            "",
            f"{'kept':28}{'promised':>9}{'missing':>9}",
            *(f"{c:28}{len(f):9}{sum(not held for _, _, held, _ in f):9}" for c, f in self.kept.items()),
            "",
            f"{'integrity':28}{'held':>9}{'wrong':>9}",
            *(
                f"{n:28}{self.held.get(n, 0):9}{len(self.wrong.get(n, [])):9}"
                for n in sorted({*self.held, *self.wrong})
            ),
        ]
        return "\n".join(lines)

    def findings(self, most: int = 40) -> str:
        """Return every kind of leak, loss, complaint and refusal once, with how often and an example."""
        lines = []
        groups: dict[tuple[str, str, str], list[tuple[Truth, str]]] = defaultdict(list)
        for truth, plant, token in self.leaks:
            groups[plant.category, plant.where, plant.shape].append((truth, token))
        for (category, where, shape), found in sorted(groups.items(), key=lambda entry: -len(entry[1]))[:most]:
            truth, token = found[0]
            lines.append(
                f"LEAK {len(found)} x {category}: {where}, {shape}; {truth.kind} {truth.name} "
                f"{truth.transfer_syntax} {token!r}"
            )
        missing: dict[tuple[str, str], list[str]] = defaultdict(list)
        for truth, keep, held, value in (one for found_ in self.kept.values() for one in found_):
            if not held and f"{truth.kind} {truth.name}" not in self.refused:
                lost = [word for word in keep.words if word not in value.lower()]
                wanted = f"{' '.join(lost)} of {keep.value}" if keep.words else keep.value
                place = ".".join(f"{tag:08X}" for tag in keep.path[::2])
                missing[keep.category, place].append(f"{truth.kind} {truth.name}: {wanted[:90]!r} -> {value[:60]!r}")
        for (category, place), examples in sorted(missing.items(), key=lambda entry: -len(entry[1]))[:most]:
            lines.append(f"LOST {len(examples)} x {category}: {place} {examples[0]}")
        for name, complaints in self.wrong.items():
            lines += [f"WRONG {len(complaints)} x {name}: {complaint}" for complaint in complaints[:8]]
        for code, count in Counter(text for text in self.refused.values()).most_common(most):
            example = next(name for name, text in self.refused.items() if text == code)
            lines.append(f"REFUSED {count} x {code} ({example})")
        return "\n".join(lines)
