"""The drops: what came in, and where every file of it is. The counts add up, or the page says that they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods, require_safe

from main import identity, overview
from main.models import Batch, Event, FileOutcome, Image
from web import originals, paging
from web.live import answer

PAGE, FILES = 25, 100

# The columns of a balance: where a file can be, in the order of the table, and how that looks.
PLACES: tuple[tuple[str, str, str], ...] = (
    ("NEW", "waiting for identifiers", "info"),
    ("PROCESSING", "in de-identification", "info"),
    ("DONEPROCESSING", "released, being delivered", "info"),
    ("SENT", "delivered and proven", "good"),
    ("DONE", "being cleaned up", "good"),
    ("cleaned", "cleaned up", "good"),
    ("EXCLUDED", "excluded", "quiet"),
    ("QUARANTINED", "in quarantine", "bad"),
    ("conflict", "in conflict", "bad"),
    ("unreadable", "damaged or unreadable", "bad"),
    ("unassigned", "of no project, or of several", "bad"),
    ("not-dicom", "not DICOM", "warn"),
    ("duplicate", "duplicate", "quiet"),
    ("dicomdir", "DICOMDIR", "quiet"),
    ("system", "of the system", "quiet"),
    ("discarded", "discarded by a person", "quiet"),
)


@dataclass(frozen=True)
class Place:
    """How many files of a drop are at one place."""

    name: str
    tone: str
    count: int


@dataclass(frozen=True)
class Ledgered:
    """A drop with its balance."""

    batch: Batch
    places: list[Place]

    @property
    def registering(self) -> bool:
        """Whether its files are still being counted."""
        return self.batch.stage == "register"

    @property
    def accounted(self) -> int:
        """Files whose place is known."""
        return sum(place.count for place in self.places)

    @property
    def adds_up(self) -> bool:
        """Whether every file of the drop has its place (R5)."""
        return self.accounted == self.batch.files

    @property
    def settled(self) -> bool:
        """Whether nothing of it is on its way or waits for a person."""
        return not self.registering and all(place.tone in ("good", "quiet") for place in self.places)


def ledgered(batches: Sequence[Batch]) -> list[Ledgered]:
    """Add the balances, in a constant number of statements."""
    found = overview.balances(batches)
    return [
        Ledgered(
            batch, [Place(name, tone, number) for key, name, tone in PLACES if (number := found[batch.pk].get(key, 0))]
        )
        for batch in batches
    ]


@require_safe
def drops(request: HttpRequest) -> HttpResponse:
    """List the drops, the newest first."""
    rows = Batch.objects.all()
    if request.GET.get("state") == "register":
        rows = rows.filter(stage="register")
    elif request.GET.get("state") == "held":
        files = FileOutcome.objects.filter(held=True).values("batch")
        images = overview.held_images().values("batch")
        rows = rows.filter(Q(pk__in=files) | Q(pk__in=images))
    page = paging.by_time(rows, request.GET, PAGE, "received_at")
    context = {"page": page, "drops": ledgered(page.rows), "state": request.GET.get("state", "")}
    return answer(request, "web/drops.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def drop(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one drop. A POST, by someone with the right, shows the names it came with and records that."""
    batch = get_object_or_404(Batch, pk=pk)
    revealed = request.method == "POST" and originals.may_see(request)
    if revealed:
        originals.note_reveal(request, "The names of the drop's files were shown.", batch_id=batch.pk)
    page = paging.by_id(FileOutcome.objects.filter(batch=batch), request.GET, FILES)
    by_series = Image.objects.filter(batch=batch).values("series", "series__modality", "status").annotate(n=Count("id"))
    series: dict[int, dict[str, object]] = {}
    for row in by_series.order_by("series"):
        one = series.setdefault(row["series"], {"pk": row["series"], "modality": row["series__modality"], "counts": []})
        one["counts"].append((row["status"], row["n"]))  # type: ignore[attr-defined]  # the list put in just above
    context = {
        "drop": ledgered([batch])[0],
        "files": [(row, _open(row.sealed_path) if revealed else "") for row in page.rows],
        "page": page,
        "series": list(series.values())[:200],
        "series_more": max(0, len(series) - 200),
        "events": Event.objects.filter(batch_id=batch.pk).order_by("-pk")[:100],
        "revealed": revealed,
        "name": _open(batch.sealed_name) if revealed else "",
    }
    return answer(request, "web/drop.html", context)


def _open(token: str) -> str:
    try:
        return originals.Original(identity.unseal(token))
    except ImproperlyConfigured:
        return "(does not open with the vault's key)"
