"""Storage commitment requests and their answers, which may come hours later and on another process's port."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from django.db import models, transaction
from django.utils import timezone

# A request without an answer is repeated after this time.
_ANSWER_WITHIN = timedelta(hours=1)


class Commitment(models.Model):
    """One image in one request; `reason` is None when the peer committed, else its failure reason (PS3.3 C.14)."""

    transaction_uid = models.CharField(max_length=64)
    destination = models.CharField(max_length=40)
    sop_instance_uid = models.CharField(max_length=64)
    asked_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    reason = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["transaction_uid"], name="commitment_transaction"),
            models.Index(fields=["destination", "sop_instance_uid"], name="commitment_image"),
        ]

    @classmethod
    def ask(cls, destination: str, transaction_uid: str, uids: Collection[str]) -> None:
        """Note a request before it is sent."""
        now = timezone.now()
        with transaction.atomic():
            cls.objects.filter(destination=destination, sop_instance_uid__in=uids, answered_at=None).delete()
            Commitment.objects.bulk_create(
                Commitment(transaction_uid=transaction_uid, destination=destination, sop_instance_uid=uid, asked_at=now)
                for uid in uids
            )

    @classmethod
    def answer(
        cls, transaction_uid: str, committed: Collection[tuple[str, str]], failed: Collection[tuple[str, str, int]]
    ) -> None:
        """Keep an answer; what was not asked for under this transaction is ignored."""
        now = timezone.now()
        with transaction.atomic():
            mine = cls.objects.filter(transaction_uid=transaction_uid)
            mine.filter(sop_instance_uid__in=[uid for _, uid in committed]).update(answered_at=now, reason=None)
            for _, uid, reason in failed:
                mine.filter(sop_instance_uid=uid).update(answered_at=now, reason=reason)

    @classmethod
    def answers(cls, destination: str, uids: Collection[str]) -> dict[str, int | None]:
        """Answer for each image that has one: None, committed, or the reason of the failure."""
        rows = cls.objects.filter(destination=destination, sop_instance_uid__in=list(uids), answered_at__isnull=False)
        return dict(rows.order_by("answered_at").values_list("sop_instance_uid", "reason"))

    @classmethod
    def open_requests(cls, destination: str, uids: Collection[str]) -> set[str]:
        """Images that were asked for lately without an answer yet: they are not asked for again."""
        edge = timezone.now() - _ANSWER_WITHIN
        rows = cls.objects.filter(destination=destination, sop_instance_uid__in=list(uids), answered_at=None)
        return set(rows.filter(asked_at__gt=edge).values_list("sop_instance_uid", flat=True))

    @classmethod
    def is_answered(cls, transaction_uid: str) -> bool:
        """Whether every image of the request has its answer."""
        return not cls.objects.filter(transaction_uid=transaction_uid, answered_at=None).exists()

    @classmethod
    def forget(cls, destination: str, uids: Collection[str]) -> None:
        """Drop answers that were read."""
        cls.objects.filter(destination=destination, sop_instance_uid__in=list(uids)).delete()
