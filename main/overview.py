"""What the status page and `status` show: counts, oldest ages, balances; all from indexed columns, none of it a patient's."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from main import associations
from main.models import (
    Batch,
    CommitmentRequest,
    Delivery,
    Destination,
    FileOutcome,
    Heartbeat,
    Image,
    LedgerEntry,
    Refusal,
    Series,
)
from main.models.imaging import Status
from main.pipeline.sweep import is_stalled
from main.projects import several

# A process that gave no sign of life for so long is shown as silent.
SILENT_AFTER = timedelta(seconds=90)


@dataclass(frozen=True)
class StageCount:
    """One box of the pipeline strip: what waits there, since when, and how many of them show an error."""

    stage: str
    waiting: int
    images: int
    oldest_seconds: float
    errors: int
    oldest_at: datetime | None = None


def pipeline() -> list[StageCount]:
    """Counts of every stage, in the order of the way. Series that are through take no part, however many there are."""
    now = timezone.now()
    drops = Batch.objects.filter(stage="register").aggregate(n=Count("id"), at=Min("received_at"), e=_errors())
    rows = [StageCount("register", drops["n"], 0, _age(drops["at"], now), drops["e"], drops["at"])]
    active = [Status.NEW, Status.PROCESSING, Status.DONEPROCESSING]
    found = {
        row["stage"]: row
        for row in Series.objects.filter(status__in=active)
        .values("stage")
        .annotate(
            n=Count("id"),
            at=Min("changed_at"),
            e=_errors(),
            new=Sum("n_new"),
            processing=Sum("n_processing"),
            released=Sum("n_doneprocessing"),
        )
        .order_by()
    }
    for stage, column in (("identify", "new"), ("deidentify", "processing"), ("deliver", "released")):
        row: dict[str, Any] | None = found.get(stage)  # type: ignore[assignment]  # read by a name from the line above
        rows.append(
            StageCount(stage, row["n"], row[column], _age(row["at"], now), row["e"], row["at"])
            if row
            else StageCount(stage, 0, 0, 0, 0)
        )
    cleanup = Series.objects.filter(stage="cleanup", due_at__lte=now).aggregate(
        n=Count("id"), at=Min("due_at"), i=Sum("images")
    )
    rows.append(StageCount("cleanup", cleanup["n"], cleanup["i"] or 0, _age(cleanup["at"], now), 0, cleanup["at"]))
    return rows


def images_by_status() -> dict[str, int]:
    """Images of all series by status."""
    columns = {status: Sum(f"n_{status.lower()}") for status in Status.values}
    found = Series.objects.aggregate(**columns)
    return {status: found[status] or 0 for status in Status.values}


def images_by_project() -> dict[str, dict[str, int]]:
    """Images of all series by project and status."""
    columns = {status: Sum(f"n_{status.lower()}") for status in Status.values}
    rows = Series.objects.values_list("project").annotate(**columns).order_by("project")
    return {name: {status: n or 0 for status, n in zip(columns, counts, strict=True)} for name, *counts in rows}


def quarantine() -> list[dict[str, Any]]:
    """What waits for a person, by reason: code, a sentence, images and files."""
    groups: dict[str, dict[str, Any]] = {}
    images = held_images().values("code").annotate(n=Count("id"), s=Min("sentence"))
    files = FileOutcome.objects.filter(held=True).values("code").annotate(n=Count("id"), s=Min("sentence"))
    for key, rows in (("images", images.order_by()), ("files", files.order_by())):
        for row in rows:
            group = groups.setdefault(row["code"], {"code": row["code"], "sentence": row["s"], "images": 0, "files": 0})
            group[key] += row["n"]
    return sorted(groups.values(), key=lambda group: -(group["images"] + group["files"]))


def destinations() -> list[dict[str, Any]]:
    """Every destination that is configured, or still has something waiting: what waits, what is blocked, how it is."""
    rows = []
    waiting_for = Delivery.objects.filter(destination=OuterRef("pk"), due_at__isnull=False)
    for one in Destination.objects.filter(Q(enabled=True) | Exists(waiting_for)).order_by("name"):
        waiting = Delivery.objects.filter(destination=one, due_at__isnull=False)
        first = waiting.aggregate(pk=Min("pk"))["pk"]
        oldest = Delivery.objects.filter(pk=first).values_list("release__at", flat=True).first()
        rows.append(
            {
                "id": one.pk,
                "name": one.name,
                "kind": one.kind,
                "recipe": one.recipe,
                "trusted": one.trusted,
                "state": _state(one),
                "waiting": waiting.count(),
                "oldest_seconds": _age(oldest, timezone.now()),
                "oldest_at": oldest,
                "blocked": blocked().filter(destination=one).count(),
                "required_proof": one.required_proof,
                "last_proven_at": one.last_proven_at,
                "retry_at": one.retry_at,
                "error_code": one.error_code,
                "error": one.error,
            }
        )
    return rows


def held_images() -> QuerySet[Image]:
    """Images that wait for a person. The condition on the code is always true, as that of `blocked`."""
    return Image.objects.filter(status=Status.QUARANTINED, code__gte="")


def blocked() -> QuerySet[Delivery]:
    """Refused deliveries. The condition on the code is always true: it makes SQLite choose the partial index."""
    return Delivery.objects.filter(state=Delivery.State.BLOCKED, error_code__gte="")


def _state(one: Destination) -> str:
    if not one.enabled:
        return "not configured"
    return "held" if one.held else "failing" if one.failures else "ok"


def processes() -> list[dict[str, Any]]:
    """The last sign of life of each process of the last day."""
    now = timezone.now()
    rows = Heartbeat.objects.filter(at__gt=now - timedelta(days=1)).order_by("kind", "name")
    return [
        {
            "kind": row.kind,
            "name": row.name,
            "at": row.at,
            "seconds": (now - row.at).total_seconds(),
            "silent": now - row.at > SILENT_AFTER,
            "facts": row.facts,
        }
        for row in rows
    ]


def receiver() -> dict[str, Any]:
    """Where images are received by DICOM, how many associations are open, and how often somebody was refused today."""
    alive = associations.processes()
    refused = Refusal.objects.filter(day=timezone.localdate()).aggregate(n=Sum("count"))["n"]
    return {
        "processes": len(alive),
        "listening": list(dict.fromkeys(place for one in alive for place in one.listening)),
        "associations": sum(len(one.associations) for one in alive),
        "refused_today": refused or 0,
    }


def disk() -> dict[str, int]:
    """Bytes free and in all where the node keeps its data."""
    usage = shutil.disk_usage(settings.DATA_DIR)
    return {"free": usage.free, "total": usage.total, "required": settings.SENDIT_MIN_FREE_BYTES}


def balance(batch: Batch) -> dict[str, int]:
    """Where every file of a drop is. `files` equals the sum of the others once the drop is registered (R5)."""
    return balances([batch])[batch.pk]


def balances(batches: Collection[Batch]) -> dict[int, dict[str, int]]:
    """The balance of each of several drops, in two statements."""
    found = {batch.pk: {"files": batch.files} for batch in batches}
    images = Image.objects.filter(batch__in=found).values_list("batch", "status")
    outcomes = FileOutcome.objects.filter(batch__in=found).values_list("batch", "outcome")
    for rows in (images, outcomes):
        for pk, kind, number in rows.annotate(n=Count("id")).order_by():
            found[pk][kind] = number
    for batch in batches:
        found[batch.pk]["cleaned"] = batch.cleaned
    return found


def drops(number: int) -> list[dict[str, Any]]:
    """The last drops, newest first, each with its balance."""
    rows = []
    for batch in Batch.objects.order_by("-received_at")[:number]:
        counts = balance(batch)
        files = counts.pop("files")
        rows.append(
            {
                "id": batch.pk,
                "received_at": batch.received_at,
                "registered": not batch.stage,
                "files": files,
                "balance": counts,
                "error_code": batch.error_code,
                "error": batch.error,
            }
        )
    return rows


def in_flight(batch: Batch) -> int:
    """Images of a drop that are on their way."""
    waiting = [Status.NEW, Status.PROCESSING, Status.DONEPROCESSING]
    return Image.objects.filter(batch=batch, status__in=waiting).count()


def commitments() -> dict[str, int]:
    """Storage commitment requests of others: how many wait for their answer, and whose answer nobody took."""
    waiting = CommitmentRequest.objects.filter(stage="commitment").count()
    return {"waiting": waiting, "not_taken": not_taken().count()}


def not_taken() -> QuerySet[CommitmentRequest]:
    """Storage commitment requests whose answer nobody took."""
    return CommitmentRequest.objects.filter(stage="").exclude(error_code="")


def summary() -> dict[str, Any]:
    """All of it, for `status --json` and the API."""
    ledger = LedgerEntry.objects.aggregate(n=Count("id"), images=Sum("images"), bytes=Sum("bytes"))
    return {
        "at": timezone.now(),
        "pipeline": [asdict(one) for one in pipeline()],
        "images": images_by_status(),
        **({"projects": images_by_project()} if several() else {}),
        "drops": drops(5),
        "quarantine": quarantine(),
        "destinations": destinations(),
        "commitments": commitments(),
        "receiver": receiver(),
        "processes": processes(),
        "disk": disk(),
        "stalled": is_stalled(),
        "cleaned": {"series": ledger["n"], "images": ledger["images"] or 0, "bytes": ledger["bytes"] or 0},
    }


def _errors() -> Count:
    return Count("id", filter=~Q(error_code=""))


def _age(at: datetime | None, now: datetime) -> float:
    return max(0.0, (now - at).total_seconds()) if at else 0.0
