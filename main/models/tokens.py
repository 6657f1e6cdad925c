"""API tokens: what a program shows instead of a password, each bound to a user."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class ApiToken(models.Model):
    """A token of a user; of the token itself only a keyed hash is kept.

    It may do what is among its `rights` (names of `main.rights.RIGHTS`) and among those of its user. `reason` stands in
    the record where a call gives none.
    """

    name = models.CharField(max_length=40, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    key_index = models.CharField(max_length=64, unique=True)
    rights = models.JSONField(default=list)
    reason = models.CharField(max_length=200, blank=True, default="")
    added_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
