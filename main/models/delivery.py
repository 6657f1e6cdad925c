"""Where images go: destinations, releases (what the de-identifier wrote) and one delivery per release and destination."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import models

from main.models.imaging import Image, Series


class Destination(models.Model):
    """A configured receiver. `retry_at` is the circuit breaker: nobody tries before it; `held` is a person's switch."""

    name = models.CharField(max_length=40, unique=True)
    kind = models.CharField(max_length=20)
    settings = models.JSONField(default=dict)
    recipe = models.CharField(max_length=200)
    trusted = models.BooleanField(default=False)
    required_proof = models.CharField(max_length=10, default="highest")
    enabled = models.BooleanField(default=True)
    held = models.BooleanField(default=False)
    retry_at = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    last_proven_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=40, blank=True, default="")
    error = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(recipe="none") | models.Q(trusted=True), name="originals_only_to_trusted"
            ),
        ]


class Release(models.Model):
    """A file that may leave: written by the de-identifier under a recorded recipe and key, with a passed leak check.

    `report` says what was done, without values: how many elements each rule acted on, what about the pixels, and which
    profile and options the output claims.
    """

    image = models.ForeignKey(Image, models.CASCADE, related_name="releases")
    recipe = models.CharField(max_length=200)
    recipe_hash = models.CharField(max_length=64)
    key_id = models.CharField(max_length=16)
    study_instance_uid = models.CharField(max_length=64)
    series_instance_uid = models.CharField(max_length=64)
    sop_instance_uid = models.CharField(max_length=64)
    sop_class_uid = models.CharField(max_length=64)
    transfer_syntax_uid = models.CharField(max_length=64)
    dataset_offset = models.PositiveIntegerField()
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    file_name = models.CharField(max_length=120)
    report = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["study_instance_uid"], name="release_study"),
            models.Index(fields=["series_instance_uid"], name="release_series"),
            models.Index(fields=["sop_instance_uid"], name="release_instance"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["image", "recipe"], name="release_once_per_recipe"),
            models.CheckConstraint(condition=~models.Q(sha256="") & ~models.Q(recipe_hash=""), name="release_recorded"),
        ]

    @property
    def path(self) -> Path:
        """Where the released file is."""
        return settings.RELEASES_DIR / self.file_name


class Proof(models.TextChoices):
    """How far the arrival is proven, weakest first."""

    NONE = "", "not proven"
    ACCEPTED = "accepted", "accepted (status 0x0000)"
    COMMITTED = "committed", "storage commitment"
    FOUND = "found", "found by query"
    CONTENT = "content", "content read back"


class Delivery(models.Model):
    """One release on its way to one destination. Claimed like `Work`, many rows at a time."""

    class State(models.TextChoices):
        """Where the delivery stands."""

        PENDING = "PENDING", "to be sent"
        ACCEPTED = "ACCEPTED", "sent, not yet proven"
        PROVEN = "PROVEN", "proven"
        BLOCKED = "BLOCKED", "refused: a person must look"

    release = models.ForeignKey(Release, models.CASCADE, related_name="deliveries")
    series = models.ForeignKey(Series, models.CASCADE, related_name="deliveries", db_index=False)
    destination = models.ForeignKey(Destination, models.PROTECT, related_name="deliveries", db_index=False)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    proof = models.CharField(max_length=10, choices=Proof, default=Proof.NONE, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    token = models.UUIDField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    proven_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=40, blank=True, default="")
    error = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["series", "destination", "due_at"], name="delivery_series"),
            models.Index(
                fields=["destination", "due_at"], name="delivery_due", condition=models.Q(due_at__isnull=False)
            ),
            models.Index(
                fields=["destination", "id"], name="delivery_waiting", condition=models.Q(due_at__isnull=False)
            ),
            models.Index(
                fields=["destination", "error_code"], name="delivery_blocked", condition=models.Q(state="BLOCKED")
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["release", "destination"], name="delivery_once"),
            models.CheckConstraint(
                condition=models.Q(state__in=["PENDING", "ACCEPTED", "PROVEN", "BLOCKED"]), name="delivery_state"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="PROVEN") | (~models.Q(proof="") & models.Q(proven_at__isnull=False)),
                name="proven_has_proof",
            ),
        ]
