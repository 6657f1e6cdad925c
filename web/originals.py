"""The right to see original values: who has it, what others see instead, and the record of each look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest

from deidentify import Change
from main.clients import source
from main.history import record
from main.models import SeriesIdentifiers
from main.rights import ORIGINALS

MASK = "•••"

# Of these only the length is shown, to everybody.
_NO_TEXT = frozenset(
    ["AT", "FD", "FL", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SQ", "SS", "SV", "UL", "UN", "US", "UV"]
)
_LENGTHS = ((8, "1–8"), (16, "9–16"), (32, "17–32"), (63, "33–63"))


class Original(str):
    """A text that only a template shows: anything that prints objects, such as a log, gets the mask."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


@dataclass(frozen=True)
class Row:
    """One element before and after, as this person may see it."""

    path: str
    keyword: str
    vr: str
    before: str
    after: str
    rule: str
    kind: str


def may_see(request: HttpRequest) -> bool:
    """Whether the person behind `request` may see original values."""
    return ORIGINALS.is_of(request)


def actor(request: HttpRequest) -> str:
    """Who acts, for the history: the user who is signed in, else the address that opened the lock."""
    if request.user.is_authenticated:
        return request.user.get_username()
    return f"page, {source(request)}"


def note_reveal(request: HttpRequest, what: str, *, series_id: int | None = None, batch_id: int | None = None) -> None:
    """Record that original values are shown now. Call it before they are."""
    names = SeriesIdentifiers.objects.filter(series=series_id).values_list("patient_id", flat=True)
    record(
        "reveal",
        actor=actor(request),
        series_id=series_id,
        batch_id=batch_id,
        count=1,
        sentence=what,
        names=list(names),
    )


def rows(changes: Sequence[Change], *, revealed: bool, passed_on: bool) -> list[Row]:
    """Give the header table for the eyes of this person.

    Parameters
    ----------
    revealed : bool
        Original values are shown, and that was recorded.
    passed_on : bool
        The recipe passes the original on: then the released values are the original ones and are masked like them.
    """
    return [
        Row(
            one.path,
            one.keyword,
            one.vr,
            _before(one, revealed),
            Original(one.after) if revealed or not passed_on else _masked(one.after, one.vr),
            one.rule,
            one.kind,
        )
        for one in changes
    ]


def _before(one: Change, revealed: bool) -> str:
    return Original(one.before) if revealed else _masked(one.before, one.vr)


def _masked(value: str, vr: str) -> str:
    """The class of its length instead of a value; an absent one stays absent."""
    if not value or vr in _NO_TEXT:
        return value
    for longest, name in _LENGTHS:
        if len(value) <= longest:
            return f"{MASK} {name} characters"
    return f"{MASK} 64 characters or more"
