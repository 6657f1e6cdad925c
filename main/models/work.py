"""The columns of everything that workers claim: what is next, when it is due, who holds it, how often it was tried."""

from __future__ import annotations

from math import inf

from django.db import models


class Work(models.Model):
    """A row that can be claimed (`main/claims.py`).

    `due_at` says when somebody should work on it; None: nobody should. A claim writes a new `token` and moves `due_at`
    to the end of its lease, so an expired lease is simply due again. `attempts` counts claims since the last progress.
    `in_hand` names the one item being worked on once something has gone wrong before, or says that the row goes alone.
    """

    stage = models.CharField(max_length=12, default="")
    due_at = models.DateTimeField(null=True, blank=True)
    token = models.UUIDField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    in_hand = models.CharField(max_length=40, blank=True, default="")
    deaths_in_hand = models.PositiveSmallIntegerField(default=0)
    error_code = models.CharField(max_length=40, blank=True, default="")
    error = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        abstract = True

    @property
    def load(self) -> tuple[float, float]:
        """Images and bytes to work on, by which small rows are claimed together; unknown ones are without bounds."""
        return inf, inf

    @property
    def kin(self) -> str:
        """Only rows that say the same here are claimed together."""
        return ""
