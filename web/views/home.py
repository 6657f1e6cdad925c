"""The home page: the pipeline at a glance, what needs a person, inputs, destinations, processes, disk, recent drops."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from main import overview
from main.models import Batch
from main.overview import StageCount
from web import attention
from web.live import answer
from web.views.drops import Ledgered, ledgered

# A stage whose oldest item has waited for longer (seconds) is coloured.
SLOW = {"register": 300, "identify": 900, "deidentify": 900, "deliver": 900, "cleanup": 3600}
NAMES = {
    "register": "Register",
    "identify": "Identify",
    "deidentify": "De-identify",
    "deliver": "Deliver",
    "cleanup": "Clean up",
}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the state of the node."""
    stages, quarantine, destinations = overview.pipeline(), overview.quarantine(), overview.destinations()
    processes, disk = overview.processes(), overview.disk()
    needs = attention.items(quarantine, destinations, processes, disk, stages)
    context = {
        "boxes": [_box(stage) for stage in stages],
        "said": _said(stages),
        "needs": needs[: attention.MOST],
        "needs_more": max(0, len(needs) - attention.MOST),
        "inputs": [one for one in processes if one["kind"] == "watcher"],
        "receiver": overview.receiver(),
        "destinations": destinations,
        "processes": [one for one in processes if one["kind"] != "watcher" and not _replaced(one)],
        "disk": disk,
        "disk_used": round(disk["total"] - disk["free"], -8),
        "disk_high": max(0, disk["total"] - disk["required"]),
        "drops": recent_drops(),
    }
    return answer(request, "web/home.html", context)


def recent_drops() -> list[Ledgered]:
    """The last drops with their balance."""
    return ledgered(list(Batch.objects.order_by("-received_at", "-pk")[:6]))


def _box(stage: StageCount) -> dict[str, object]:
    slow = stage.oldest_seconds > SLOW[stage.stage] and stage.waiting
    where = (
        reverse("drops") + "?state=register"
        if stage.stage == "register"
        else f"{reverse('series')}?stage={stage.stage}"
    )
    return {
        "stage": stage,
        "name": NAMES[stage.stage],
        "unit": "series" if stage.stage != "register" else "drop" if stage.waiting == 1 else "drops",
        "tone": "bad" if stage.errors else "warn" if slow else "busy" if stage.waiting else "idle",
        "href": where,
    }


def _said(stages: list[StageCount]) -> str:
    """The strip in a sentence, for those who hear it."""
    busy = [f"{stage.waiting} in {NAMES[stage.stage]}" for stage in stages if stage.waiting]
    return ("Waiting: " + ", ".join(busy)) if busy else "Nothing is waiting."


def _replaced(process: dict[str, object]) -> bool:
    return process["kind"] == "worker" and bool(process["silent"])
