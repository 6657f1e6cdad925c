"""What needs a person: plain sentences, each with its cause and one thing to do, for the top of the home page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Max
from django.urls import reverse
from django.utils import timezone

from main import refusals
from main.models import Batch, Series
from main.models.imaging import Status
from main.overview import StageCount, not_taken
from main.pipeline.sweep import NOBODY_WORKS, is_stalled
from web.reasons import reason
from web.templatetags.show import plural, size

MOST = 10
_DOING = {
    "identify": "wait for identifiers",
    "deidentify": "wait to be de-identified",
    "deliver": "wait to be delivered",
    "cleanup": "wait to be cleaned up",
    "": "do not go on",
}


@dataclass(frozen=True)
class Item:
    """One line: what is the matter, why, and the button (`act` is posted, `href` is followed)."""

    what: str
    cause: str
    button: str
    href: str = ""
    act: str = ""
    grave: bool = True


def items(
    quarantine: list[dict[str, Any]],
    destinations: list[dict[str, Any]],
    processes: list[dict[str, Any]],
    disk: dict[str, int],
    stages: list[StageCount],
) -> list[Item]:
    """Everything that needs a person, the gravest first."""
    found = [
        *_disk(disk),
        *_watchers(processes),
        *_destinations(destinations),
        *(_waiting() if any(stage.errors for stage in stages) else ()),
        *_drops(),
        *_commitments(),
        *_quarantine(quarantine),
        *_refused(),
        *_stalled(),
        *_silent(processes),
    ]
    return sorted(found, key=lambda item: not item.grave)


def _disk(disk: dict[str, int]) -> Iterator[Item]:
    if disk["free"] < disk["required"]:
        yield Item(
            f"The disk is nearly full: {size(disk['free'])} are free.",
            f"Below {size(disk['required'])} (SENDIT_MIN_FREE_BYTES) drops wait in the inbox. Nothing is lost.",
            "Ledger",
            href=reverse("ledger"),
        )


def _watchers(processes: list[dict[str, Any]]) -> Iterator[Item]:
    for one in processes:
        if one["kind"] == "watcher" and not one["silent"] and one["facts"].get("error"):
            yield Item(f"Watched folder {one['name']} has a problem.", one["facts"]["error"], "Look", href="#inputs")


def _destinations(destinations: list[dict[str, Any]]) -> Iterator[Item]:
    for one in destinations:
        retry = reverse("destination-retry", args=[one["id"]])
        if one["state"] == "failing":
            waiting = plural(one["waiting"], "image waits,images wait")
            yield Item(f"{one['name']} is failing; {waiting}.", one["error"], "Try now", act=retry)
        if one["blocked"]:
            yield Item(
                f"{one['name']} refused {plural(one['blocked'], 'image,images')}.",
                "They are kept and are not tried again by themselves.",
                "Retry",
                act=retry,
            )
        if one["state"] == "held":
            yield Item(
                f"{one['name']} is held; {plural(one['waiting'], 'image waits,images wait')}.",
                "A person has stopped deliveries to it.",
                "Resume",
                act=reverse("destination-resume", args=[one["id"]]),
                grave=False,
            )


def _waiting() -> Iterator[Item]:
    active = [Status.NEW, Status.PROCESSING, Status.DONEPROCESSING]
    rows = Series.objects.filter(status__in=active).exclude(error_code="").values("stage", "error")
    for row in rows.annotate(n=Count("id")).order_by("-n")[:MOST]:
        yield Item(
            f"{plural(row['n'], 'series,series')} {_DOING[row['stage']]}.",
            row["error"],
            "Try now",
            act=reverse("retry"),
        )


def _drops() -> Iterator[Item]:
    rows = Batch.objects.filter(stage="register").exclude(error_code="")
    for row in rows.values("error").annotate(n=Count("id")).order_by("-n")[:MOST]:
        yield Item(f"{plural(row['n'], 'drop,drops')} not registered.", row["error"], "Look", href=reverse("drops"))


def _commitments() -> Iterator[Item]:
    for row in not_taken().values("sender").annotate(n=Count("id"), error=Max("error")).order_by("-n")[:MOST]:
        yield Item(
            f"{plural(row['n'], 'storage commitment answer,storage commitment answers')} not taken by {row['sender']}.",
            row["error"],
            "Try now",
            act=reverse("retry"),
        )


def _quarantine(groups: list[dict[str, Any]]) -> Iterator[Item]:
    for group in groups:
        said = reason(group["code"], group["sentence"])
        held = [
            plural(group[key], words)
            for key, words in (("images", "image,images"), ("files", "file,files"))
            if group[key]
        ]
        yield Item(
            f"{' and '.join(held)} in quarantine: {said.title[0].lower()}{said.title[1:]}.",
            said.meaning,
            "Look",
            href=reverse("quarantine-reason", args=[group["code"]]),
        )


def _refused() -> Iterator[Item]:
    lately = timezone.now() - timedelta(hours=1)
    callers = [
        one for one in refusals.today() if one.reason == "unknown" and one.last_at > lately and not one.is_settled
    ]
    if callers:
        first = f"{callers[0].calling_ae_title or 'A caller without AE title'} from {callers[0].address}"
        more = f" and {plural(len(callers) - 1, 'other caller,other callers')}" if callers[1:] else ""
        yield Item(
            f"{first}{more} tried to send by DICOM and {'were' if more else 'was'} refused.",
            "Only registered nodes may send. If it is one of yours, register it.",
            "Look",
            href=reverse("receiver"),
            grave=False,
        )


def _stalled() -> Iterator[Item]:
    if is_stalled():
        yield Item(
            NOBODY_WORKS, "Nothing is lost: it goes on as soon as a worker hears of it.", "Look", href="#processes"
        )


def _silent(processes: list[dict[str, Any]]) -> Iterator[Item]:
    # A worker's name holds its process number: one that was replaced falls silent and is nobody's worry.
    workers = [one for one in processes if one["kind"] == "worker"]
    silent = [f"{one['kind']} {one['name']}" for one in processes if one["silent"] and one["kind"] != "worker"]
    if workers and all(one["silent"] for one in workers):
        silent.insert(0, "every worker")
    if silent:
        yield Item(
            f"No sign of life from {', '.join(silent)}.",
            "What they do stands still. If they were not stopped on purpose, the logs folder says why.",
            "Look",
            href="#processes",
        )
