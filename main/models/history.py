"""What happened and who is alive: append-only events, the ledger of what was cleaned up, heartbeats, key fingerprints."""

from __future__ import annotations

from typing import Any

from django.db import models

from main.models.imaging import default_project


class Event(models.Model):
    """One thing that happened, for good: rows are added, never changed (the database refuses it). No patient values.

    Where original values were given out, `names` says whose: the pseudonyms and released UIDs that it was about.
    """

    at = models.DateTimeField()
    kind = models.CharField(max_length=24)
    actor = models.CharField(max_length=64, default="sendit")
    batch_id = models.BigIntegerField(null=True, blank=True)
    series_id = models.BigIntegerField(null=True, blank=True)
    node_id = models.BigIntegerField(null=True, blank=True)
    destination = models.CharField(max_length=40, blank=True, default="")
    from_status = models.CharField(max_length=16, blank=True, default="")
    to_status = models.CharField(max_length=16, blank=True, default="")
    count = models.PositiveIntegerField(default=0)
    code = models.CharField(max_length=40, blank=True, default="")
    sentence = models.CharField(max_length=500, blank=True, default="")
    names = models.JSONField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["series_id", "id"], name="event_series"),
            models.Index(fields=["batch_id", "id"], name="event_batch"),
            models.Index(fields=["node_id", "id"], name="event_node", condition=models.Q(node_id__isnull=False)),
            models.Index(fields=["-at"], name="event_at"),
            models.Index(fields=["-at"], name="event_reveal", condition=models.Q(names__isnull=False)),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the event; a row that exists is never written again."""
        if self.pk is not None:
            raise TypeError("history is append-only")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refused: history is append-only."""
        raise TypeError("history is append-only")


class LedgerEntry(models.Model):
    """What remains of a series after cleanup: counts, sizes, times and pseudonymised UIDs."""

    series_id = models.BigIntegerField(db_index=True)
    project = models.CharField(max_length=64, default=default_project)
    study_instance_uid = models.CharField(max_length=64)
    series_instance_uid = models.CharField(max_length=64)
    patient_id = models.CharField(max_length=64)
    modality = models.CharField(max_length=16, blank=True, default="")
    images = models.PositiveIntegerField()
    excluded = models.PositiveIntegerField(default=0)
    bytes = models.PositiveBigIntegerField()
    recipes = models.JSONField(default=list)
    destinations = models.JSONField(default=dict)
    received_at = models.DateTimeField()
    proven_at = models.DateTimeField()
    cleaned_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["study_instance_uid"], name="ledger_study"),
            models.Index(fields=["series_instance_uid"], name="ledger_series"),
            models.Index(fields=["patient_id"], name="ledger_patient"),
        ]


class Heartbeat(models.Model):
    """The last sign of life of a process, and the facts it wants shown."""

    kind = models.CharField(max_length=16)
    name = models.CharField(max_length=80)
    at = models.DateTimeField()
    facts = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="heartbeat_once")]


class KeyRecord(models.Model):
    """The fingerprint of a key in use: a start with another key, or without it, is refused."""

    name = models.CharField(max_length=80, unique=True)
    fingerprint = models.CharField(max_length=16)
    since = models.DateTimeField()
