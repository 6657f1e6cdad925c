"""API tokens are made, recognised and taken away here; which call takes which right is said by `api/`.

A token is 256 random bits. It is shown once: the node keeps HMAC-SHA256 of it under the key of the blind index.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from main import identity
from main.history import record
from main.models import ApiToken

PREFIX = "sendit_"
# A time that is written at every call would be one more write for each; a minute is exact enough.
_EXACT = timedelta(minutes=1)


def add(name: str, user: User, rights: Sequence[str], days: int, reason: str, actor: str) -> str:
    """Make a token and return it; nobody can read it again.

    Parameters
    ----------
    name : str
        By which people know it.
    user : User
        Who stands in the record when it is used.
    rights : sequence of str
        Names of `main.rights.RIGHTS`.
    days : int
        How long it is good for.
    reason : str
        What stands in the record where a call gives no reason; may be empty.
    actor : str
        Who makes it.
    """
    token, now = PREFIX + secrets.token_urlsafe(32), timezone.now()
    with transaction.atomic():
        ApiToken.objects.create(
            name=name,
            user=user,
            key_index=_index(token),
            rights=list(rights),
            reason=reason,
            added_at=now,
            expires_at=now + timedelta(days=days),
        )
        sentence = f"Token {name} acts for {user.username} for {days} days: {', '.join(rights)}."
        record("token", actor=actor, sentence=sentence)
    return token


def revoke(name: str, actor: str) -> bool:
    """Take a token away at once; tells whether there was one."""
    with transaction.atomic():
        count, _ = ApiToken.objects.filter(name=name).delete()
        if count:
            record("token", actor=actor, sentence=f"Token {name} was revoked.")
    return bool(count)


def recognised(token: str) -> ApiToken | None:
    """Return the token with its user, when it is one, has not expired and its user may sign in."""
    now = timezone.now()
    found = (
        ApiToken.objects.select_related("user")
        .filter(key_index=_index(token), expires_at__gt=now, user__is_active=True)
        .first()
    )
    if found and (found.last_used_at is None or found.last_used_at < now - _EXACT):
        ApiToken.objects.filter(pk=found.pk).update(last_used_at=now)
    return found


def _index(token: str) -> str:
    return identity.blind_index("api-token", token)
