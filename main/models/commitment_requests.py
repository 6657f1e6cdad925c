"""Storage commitment that others ask of us: each request until it is answered, and what was passed on and is cleaned up.

UIDs are sealed, or blind indexes of them. What is answered is decided in `main/pipeline/commitment.py`.
"""

from __future__ import annotations

from django.db import models

from main.models.work import Work


class CommitmentRequest(Work):
    """A request of a node (PS3.4 J.3.2). Its stage is `commitment`, then empty.

    `sealed` holds the transaction UID and the references; it is emptied once the answer is brought. `content_index` is the
    blind index of the references: the same request again is no new one. `decided_at` is when the answer was known first;
    a request that ended with an `error_code` never got it.
    """

    node = models.BigIntegerField()
    sender = models.CharField(max_length=64)
    calling_ae_title = models.CharField(max_length=16, blank=True, default="")
    transaction_index = models.CharField(max_length=64)
    content_index = models.CharField(max_length=64)
    sealed = models.TextField()
    instances = models.PositiveIntegerField()
    requested_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    committed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], name="request_due", condition=models.Q(due_at__isnull=False)),
            models.Index(fields=["requested_at"], name="request_age"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["node", "transaction_index"], name="request_once"),
            models.CheckConstraint(condition=models.Q(stage__in=["commitment", ""]), name="request_stage"),
        ]


class PassedImage(models.Model):
    """An image that came by DICOM, was proven at every destination and is cleaned up: remembered for a while."""

    uid_index = models.CharField(max_length=64)
    sop_class_uid = models.CharField(max_length=64, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["at"], name="passed_age")]
        constraints = [models.UniqueConstraint(fields=["uid_index", "sop_class_uid"], name="passed_once")]
