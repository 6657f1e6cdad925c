"""Keyset pagination: a page starts after a row, so that the thousandth page costs what the first costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from django.db.models import Model, Q, QuerySet
from django.http import QueryDict

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Page(Generic[M]):
    """The rows of one page, the query that leads to the next one ('' on the last), and the one to the first."""

    rows: Sequence[M]
    next_query: str
    first_query: str
    is_first: bool


def by_id(rows: QuerySet[M], query: QueryDict, size: int, *, newest_first: bool = False) -> Page[M]:
    """Page `rows` by their number."""
    after = query.get("after", "")
    first = not after.isdecimal()
    if not first:
        edge = min(int(after), 2**63 - 1)
        rows = rows.filter(pk__lt=edge) if newest_first else rows.filter(pk__gt=edge)
    found = list(rows.order_by("-pk" if newest_first else "pk")[: size + 1])
    cursor = str(found[size - 1].pk) if len(found) > size else ""
    return Page(found[:size], _with(query, cursor), _without(query), first)


def by_time(rows: QuerySet[M], query: QueryDict, size: int, field: str) -> Page[M]:
    """Page `rows` from the newest `field` on; equal times are told apart by number."""
    at, _, number = query.get("after", "").partition("_")
    first = True
    try:
        edge = datetime.fromisoformat(at)
        if edge.tzinfo is not None and number.isdecimal():
            older = Q(**{f"{field}__lt": edge}) | Q(pk__lt=min(int(number), 2**63 - 1))
            rows, first = rows.filter(older, **{f"{field}__lte": edge}), False
    except ValueError:
        pass
    found = list(rows.order_by(f"-{field}", "-pk")[: size + 1])
    cursor = ""
    if len(found) > size:
        cursor = f"{getattr(found[size - 1], field).isoformat()}_{found[size - 1].pk}"
    return Page(found[:size], _with(query, cursor), _without(query), first)


def _with(query: QueryDict, cursor: str) -> str:
    if not cursor:
        return ""
    changed = query.copy()
    changed["after"] = cursor
    return changed.urlencode()


def _without(query: QueryDict) -> str:
    changed = query.copy()
    changed.pop("after", None)
    return changed.urlencode()
