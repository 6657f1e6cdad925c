"""How the pages write times, sizes, counts and states."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

_UNITS = ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "min"))
TONE = {
    "NEW": "info",
    "PROCESSING": "info",
    "DONEPROCESSING": "info",
    "SENT": "good",
    "DONE": "good",
    "QUARANTINED": "bad",
    "EXCLUDED": "quiet",
}
WORD = {
    "NEW": "New",
    "PROCESSING": "Processing",
    "DONEPROCESSING": "Released",
    "SENT": "Sent",
    "DONE": "Done",
    "QUARANTINED": "Quarantined",
    "EXCLUDED": "Excluded",
}


@register.simple_tag(takes_context=True)
def ago(context: template.Context, at: datetime | str | None) -> SafeString | str:
    """A time as its distance from now, with the time itself as title. In live blocks the script writes the distance."""
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at)
        except ValueError:
            at = None
    if at is None:
        return ""
    local = timezone.localtime(at)
    text = "" if context.get("live") else distance((timezone.now() - at).total_seconds())
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(timespec="seconds"),
        local.strftime("%Y-%m-%d %H:%M:%S %Z"),
        text,
    )


def distance(seconds: float) -> str:
    """`12 min` or `3 d`; a moment is `now`."""
    if seconds < 5:
        return "now"
    for length, name in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {name}"
    return f"{int(seconds)} s"


@register.filter
def size(count: int | None) -> str:
    """Bytes in decimal units, as disks are sold."""
    value = float(count or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


@register.filter
def count(number: int | None) -> str:
    """A number with thin spaces between thousands."""
    return f"{number or 0:,}".replace(",", "\u202f")


@register.filter
def plural(number: int, words: str) -> str:
    """`3|plural:"image,images"`: the number with its noun."""
    one, many = words.split(",")
    return f"{count(number)} {one if number == 1 else many}"


@register.filter
def tone(status: str) -> str:
    """The colour class of a status."""
    return TONE.get(status, "quiet")


@register.filter
def word(status: str) -> str:
    """A status in a word."""
    return WORD.get(status, status)


@register.filter
def get(mapping: dict[Any, Any], key: Any) -> Any:
    """Look up `key`."""
    return mapping.get(key)
