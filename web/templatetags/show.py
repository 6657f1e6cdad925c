"""How the pages write times, sizes, counts and states."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from main.models import Event

register = template.Library()

_UNITS = ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
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

HAPPENED = {
    "new-images": "New images",
    "held-files": "Files held for a person",
    "proven": "Arrival proven",
    "unproven": "Arrival not proven",
    "blocked": "Refused",
    "retry": "Retried",
    "replay": "Replayed",
    "cleaned": "Cleaned up",
    "complete": "Study said to be complete",
    "incomplete": "Study may lack images",
    "commitment": "Storage commitment answered",
    "commitment-lost": "Storage commitment answer not brought",
    "reveal": "Original values shown",
    "restore": "Originals restored",
    "forget": "Patient forgotten",
    "search": "Found by an original value",
    "access": "Right given or taken",
    "token": "Token made or revoked",
    "export-map": "Identity map exported",
}
_EVENT_TONES = {
    "blocked": "bad",
    "stopped": "bad",
    "waiting": "warn",
    "delayed": "warn",
    "incomplete": "warn",
    "commitment-lost": "bad",
    "unproven": "warn",
    "held-files": "warn",
    "proven": "good",
    "cleaned": "good",
    "reveal": "eye",
    "restore": "eye",
    "forget": "eye",
    "search": "eye",
    "access": "eye",
    "token": "eye",
    "export-map": "eye",
}


@register.simple_tag(takes_context=True)
def ago(context: template.Context, at: datetime | str | None, suffix: str = "") -> SafeString | str:
    """A time as its distance from now, with the time itself as title. In live blocks the script writes the distance."""
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at)
        except ValueError:
            at = None
    if at is None:
        return ""
    return format_html(
        '<time datetime="{}" title="{}" data-form="{}">{}</time>',
        at.isoformat(timespec="seconds"),
        timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S %Z"),
        suffix,
        "" if context.get("live") else distance((timezone.now() - at).total_seconds(), suffix),
    )


def distance(seconds: float, suffix: str = "") -> str:
    """`12 min`, `12 min ago` or `in 12 min`; a moment is `now`."""
    if abs(seconds) < 5:
        return "now"
    whole = int(abs(seconds))
    text = next((f"{whole // length} {name}" for length, name in _UNITS if whole >= length), "")
    if seconds < 0:
        return f"in {text}"
    return f"{text} {suffix}".strip()


@register.filter
def clock(at: datetime) -> str:
    """A moment on the clock, with its day when that is not today."""
    local = timezone.localtime(at)
    return local.strftime("%H:%M:%S" if local.date() == timezone.localdate() else "%Y-%m-%d %H:%M:%S")


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
def rate(per_second: float) -> str:
    """Images a second; below ten with one digit after the point."""
    return f"{per_second:.1f}/s" if 0 < per_second < 10 else f"{per_second:.0f}/s"


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
def happened(event: Event) -> str:
    """What an event was, in words."""
    if event.kind == "status":
        return WORD.get(event.to_status, event.to_status)
    return HAPPENED.get(event.kind, event.kind.replace("-", " ").capitalize())


@register.filter
def event_tone(event: Event) -> str:
    """The colour class of an event."""
    if event.kind == "status":
        return {"SENT": "good", "DONE": "good", "QUARANTINED": "bad"}.get(event.to_status, "")
    return _EVENT_TONES.get(event.kind, "")
