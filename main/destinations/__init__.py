"""Kinds of destinations, one a file: each has a class `Kind` that sends releases and proves that they arrived.

Adding one touches nothing else: a module in this package with a `Kind` is found by its name. A kind classifies what
happened (`Receipt`); the pipeline decides what follows.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Literal, Protocol

from main.models import Destination
from main.models.delivery import Proof
from main.pipeline.release import OpenRelease

Outcome = Literal["sent", "proven", "unproven", "transient", "permanent"]

# Strength of a proof; what is configured must be reached or surpassed.
STRENGTH = {Proof.NONE: 0, Proof.ACCEPTED: 1, Proof.COMMITTED: 2, Proof.FOUND: 3, Proof.CONTENT: 4}


@dataclass(frozen=True)
class Receipt:
    """What happened to one release: `sent` and `proven` with the level of proof, or why not, in a sentence."""

    delivery_id: int
    outcome: Outcome
    proof: Proof = Proof.NONE
    code: str = ""
    sentence: str = ""


class Kind(Protocol):
    """One way to deliver, made for one load of releases to one destination."""

    def send(self, releases: Sequence[OpenRelease]) -> Iterator[Receipt]:
        """Send releases; a receipt `sent`, `transient` or `permanent` for each, in any order."""
        ...

    def begin_to_prove(self, release: OpenRelease) -> None:
        """Hear that `release` was accepted and will be asked about: who can may begin, while others are being sent."""
        ...

    def prove(self, releases: Sequence[OpenRelease]) -> Iterator[Receipt]:
        """Prove that releases arrived, as strongly as the destination can; `unproven` sends again."""
        ...

    def check(self) -> str:
        """Try the destination and say in one sentence how it is.

        Raises
        ------
        Transient, Permanent
            With what is wrong and what to do.
        """
        ...

    def close(self) -> None:
        """Leave off whatever was begun."""
        ...


def kinds() -> list[str]:
    """Names of the kinds there are."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if hasattr(_module(m.name), "Kind"))


def kind_of(destination: Destination) -> Kind:
    """The kind that delivers to `destination`."""
    kind: Kind = _module(destination.kind).Kind(destination.name, destination.settings)
    return kind


def _module(name: str) -> ModuleType:
    return import_module(f"main.destinations.{name}")
