"""The state of a series in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from main.models import Series
from web.deliveries import Row
from web.templatetags.show import clock, plural

_IMAGES = "image,images"


def in_a_sentence(series: Series, matrix: Sequence[Row]) -> str:
    """Say where a series is, and what stands in its way."""
    parts = [_way(series, matrix)]
    if series.study.note:
        parts.append(series.study.note)
    if series.error_code:
        parts.append(f"Last error: {series.error}")
    for row in matrix:
        if row.blocked:
            why = row.errors[0][1] if row.errors else f"by {row.destination}."
            parts.append(f"{row.blocked} of {plural(row.total, _IMAGES)} refused: {why}")
        elif row.waiting and row.held:
            parts.append(f"{row.destination} is held by a person.")
    if series.n_quarantined:
        waits = "image waits,images wait"
        parts.append(f"{plural(series.n_quarantined, waits)} in quarantine for a person.")
    if series.n_excluded:
        was = "image was,images were"
        parts.append(f"{plural(series.n_excluded, was)} excluded.")
    return " ".join(parts)


def _way(series: Series, matrix: Sequence[Row]) -> str:
    if series.n_new and series.study.complete_at:
        waits = plural(series.n_new, "image waits,images wait")
        return f"{waits} for the study to be complete, until {clock(series.study.complete_at)}."
    if series.n_new:
        return f"{plural(series.n_new, _IMAGES)} of {series.images} to get identifiers."
    if series.n_processing:
        return f"{plural(series.n_processing, _IMAGES)} of {series.images} to be de-identified."
    if series.n_doneprocessing:
        done = [row for row in matrix if row.proven == row.total]
        return f"Proven at {len(done)} of {plural(len(matrix), 'destination,destinations')}."
    if series.n_sent:
        where = ", ".join(row.destination for row in matrix) or "every destination"
        return f"Delivered to {where}; the arrival of {plural(series.n_sent, _IMAGES)} is proven."
    if series.n_done:
        return f"Delivered and proven; {plural(series.n_done, _IMAGES)} being cleaned up."
    return "Nothing of it is on its way."
