"""What every page shows: the node's label, the warning about originals that leave, theme and person."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from main.models import Destination
from main.rights import RESTORE
from web.originals import may_see

THEMES = ("system", "light", "dark")


def page(request: HttpRequest) -> dict[str, Any]:
    """Context of all templates. Evaluated only where a template asks: the lock's page asks the database nothing."""
    theme = request.COOKIES.get("theme", "system")
    return {
        "label": settings.SENDIT_LABEL,
        "theme": theme if theme in THEMES else "system",
        "lock_on": settings.LOCKDOWN_ENABLED,
        "live": request.headers.get("X-Sendit-Live") == "1",
        "gets_originals": lambda: list(
            Destination.objects.filter(enabled=True, recipe="none").order_by("name").values_list("name", flat=True)
        ),
        "sees_originals": lambda: may_see(request),
        "may_restore": lambda: RESTORE.is_of(request),
    }
