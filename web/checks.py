"""Django's system checks of the lock: a node whose pages would be open, or are badly locked, does not start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from web.lock import problems

SHORTEST_PASSWORD = 10


@register(Tags.security)
def lock_is_shut(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse settings that leave the pages open; warn about a password that is easily guessed."""
    found: list[CheckMessage] = [Error(problem, id="web.E001") for problem in problems()]
    if not found and settings.LOCKDOWN_ENABLED:
        short = [password for password in settings.LOCKDOWN_PASSWORDS if len(password) < SHORTEST_PASSWORD]
        if short:
            found.append(
                Warning(
                    f"A password in LOCKDOWN_PASSWORDS has fewer than {SHORTEST_PASSWORD} characters.",
                    hint="Leave LOCKDOWN_PASSWORDS out and a good one is made on first start.",
                    id="web.W001",
                )
            )
    return found
