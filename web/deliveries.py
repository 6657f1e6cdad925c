"""Deliveries of series as the pages show them: a dot for each destination in lists, a matrix on the page of a series."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Max, Min

from main.models import Delivery, Series
from main.models.delivery import Proof

State = Delivery.State


@dataclass(frozen=True)
class Dot:
    """How a series stands at a destination, in a tone and words."""

    tone: str
    says: str


@dataclass
class Row:
    """One destination's line in the matrix of a series."""

    destination: str
    held: bool
    recipe: str
    by_state: dict[str, int] = field(default_factory=dict)
    proofs: dict[str, int] = field(default_factory=dict)
    errors: list[tuple[str, str, int]] = field(default_factory=list)
    next_at: datetime | None = None
    attempts: int = 0

    @property
    def total(self) -> int:
        """All deliveries."""
        return sum(self.by_state.values())

    @property
    def proven(self) -> int:
        """Those that are proven."""
        return self.by_state.get(State.PROVEN, 0)

    @property
    def waiting(self) -> int:
        """Those that are to be sent or proven."""
        return self.by_state.get(State.PENDING, 0) + self.by_state.get(State.ACCEPTED, 0)

    @property
    def accepted(self) -> int:
        """Those that were sent and are not proven yet."""
        return self.by_state.get(State.ACCEPTED, 0)

    @property
    def blocked(self) -> int:
        """Those that were refused."""
        return self.by_state.get(State.BLOCKED, 0)

    @property
    def tone(self) -> str:
        """The colour of the line."""
        return _tone(self.by_state)


def dots(series: Collection[int]) -> dict[tuple[int, int], Dot]:
    """The dot of each (series, destination) that has deliveries: one statement."""
    found: dict[tuple[int, int], dict[str, int]] = {}
    rows = Delivery.objects.filter(series__in=series).values_list("series", "destination", "state")
    for one, destination, state, number in rows.annotate(n=Count("id")).order_by():
        found.setdefault((one, destination), {})[state] = number
    return {key: Dot(_tone(states), _says(states)) for key, states in found.items()}


def matrix(series: Series) -> list[Row]:
    """The deliveries of a series by destination, state, proof and error: one statement."""
    found: dict[str, Row] = {}
    groups = (
        Delivery.objects.filter(series=series)
        .values_list(
            "destination__name", "destination__held", "destination__recipe", "state", "proof", "error_code", "error"
        )
        .annotate(n=Count("id"), due=Min("due_at"), attempts=Max("attempts"))
        .order_by("destination__name")
    )
    for name, held, recipe, state, proof, code, error, number, due, attempts in groups:
        row = found.setdefault(name, Row(name, held, recipe))
        row.by_state[state] = row.by_state.get(state, 0) + number
        if state == State.PROVEN:
            row.proofs[Proof(proof).label] = row.proofs.get(Proof(proof).label, 0) + number
        elif error:
            row.errors.append((code, error, number))
        if due is not None:
            row.next_at = min(filter(None, (row.next_at, due)))
            row.attempts = max(row.attempts, attempts)
    return list(found.values())


def _tone(states: dict[str, int]) -> str:
    if states.get(State.BLOCKED):
        return "bad"
    if states.get(State.PENDING) or states.get(State.ACCEPTED):
        return "info"
    return "good"


def _says(states: dict[str, int]) -> str:
    total, proven, blocked = sum(states.values()), states.get(State.PROVEN, 0), states.get(State.BLOCKED, 0)
    if proven == total:
        return f"all {total} proven"
    refused = f", {blocked} refused" if blocked else ""
    return f"{proven} of {total} proven{refused}"
