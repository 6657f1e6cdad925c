"""What came in: a drop, and those of its files that did not become an image."""

from __future__ import annotations

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models

from main.models.work import Work


class Batch(Work):
    """A drop: a folder, or loose files taken together. Its stage is `register`, then empty.

    `sealed_name` is the name it came with, encrypted: people name folders after patients.
    `cleaned` counts its images that were delivered, proven and removed. What came by DICOM says from whom: `node` is the
    number of the node that was let in, and its series wait until nothing of their study came for `quiet` seconds. None:
    nothing waits. `watched` is the watched folder it was taken from, `project` the project that who handed it over named.
    """

    key = models.UUIDField(unique=True, default=uuid.uuid4)
    sealed_name = models.TextField()
    source = models.CharField(max_length=64)
    received_at = models.DateTimeField()
    registered_at = models.DateTimeField(null=True, blank=True)
    files = models.PositiveIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    cleaned = models.PositiveIntegerField(default=0)
    node = models.BigIntegerField(null=True, blank=True)
    sender = models.CharField(max_length=64, blank=True, default="")
    calling_ae_title = models.CharField(max_length=16, blank=True, default="")
    called_ae_title = models.CharField(max_length=16, blank=True, default="")
    watched = models.TextField(blank=True, default="")
    project = models.CharField(max_length=64, blank=True, default="")
    address = models.CharField(max_length=45, blank=True, default="")
    association = models.CharField(max_length=36, blank=True, default="")
    quiet = models.FloatField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], name="batch_due", condition=models.Q(due_at__isnull=False)),
            models.Index(fields=["-received_at"], name="batch_received"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(stage__in=["register", ""]), name="batch_stage"),
        ]

    @property
    def folder(self) -> Path:
        """Where the drop's files are kept."""
        return settings.DROPS_DIR / str(self.key)


class FileOutcome(models.Model):
    """A file of a drop that did not become an image, and why; `held` files are kept until a person decides.

    `uid_index` is the blind index of the SOP Instance UID, where the file has one.
    """

    class Outcome(models.TextChoices):
        """How the file ended."""

        DUPLICATE = "duplicate", "Duplicate of an image that is known"
        CONFLICT = "conflict", "Same SOP Instance UID, other content"
        NOT_DICOM = "not-dicom", "Not DICOM"
        DICOMDIR = "dicomdir", "DICOMDIR"
        UNREADABLE = "unreadable", "Damaged or unreadable"
        SYSTEM = "system", "System file"
        UNASSIGNED = "unassigned", "Of no project, or of several"
        DISCARDED = "discarded", "Discarded by a person"

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="outcomes")
    outcome = models.CharField(max_length=12, choices=Outcome)
    held = models.BooleanField(default=False)
    code = models.CharField(max_length=40)
    sentence = models.CharField(max_length=500)
    detail = models.JSONField(default=dict, blank=True)
    sealed_path = models.TextField()
    uid_index = models.CharField(max_length=64, blank=True, default="")
    size = models.PositiveBigIntegerField(default=0)
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["code", "id"], name="outcome_held", condition=models.Q(held=True)),
            models.Index(fields=["uid_index"], name="outcome_uid", condition=models.Q(held=True)),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    outcome__in=[
                        "duplicate",
                        "conflict",
                        "not-dicom",
                        "dicomdir",
                        "unreadable",
                        "system",
                        "unassigned",
                        "discarded",
                    ]
                ),
                name="outcome_known",
            ),
        ]
