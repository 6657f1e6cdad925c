"""Rows of the pages themselves: tries at the lock, and the rights to original values. Nothing of the pipeline."""

from __future__ import annotations

from django.db import models


class Attempt(models.Model):
    """One wrong password (or one being looked at), and from where."""

    what = models.CharField(max_length=8)
    address = models.CharField(max_length=45)
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["what", "address", "at"], name="attempt_address"),
            models.Index(fields=["at"], name="attempt_at"),
        ]


class OriginalValues(models.Model):
    """No rows: what original values are to Django's permissions, `web.view_originals` and `web.restore_originals`."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [
            ("view_originals", "May see original values of patients"),
            ("restore_originals", "May learn who is behind a pseudonym"),
        ]
