"""The quarantine: what is held, by reason, with what it means; requeue and discard."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from main import overview
from main.models import FileOutcome, Image
from main.models.imaging import Status
from main.pipeline import replay
from web.live import answer
from web.originals import actor
from web.paging import by_id
from web.reasons import reason
from web.templatetags.show import plural

PAGE = 100
# One press acts on so many at most, so that its answer comes soon; it says how many are left.
AT_ONCE = 5000


@require_safe
def quarantine(request: HttpRequest) -> HttpResponse:
    """Show the reasons."""
    groups = [{**group, "reason": reason(group["code"], group["sentence"])} for group in overview.quarantine()]
    return answer(request, "web/quarantine.html", {"groups": groups})


@require_safe
def quarantine_reason(request: HttpRequest, code: str) -> HttpResponse:
    """Show what is held for one reason: images first, then files that did not become images."""
    images, files = _held(code)
    kind = "files" if request.GET.get("kind") == "files" or not images.exists() else "images"
    rows: QuerySet[Any] = files if kind == "files" else images
    context = {
        "code": code,
        "kind": kind,
        "page": by_id(rows, request.GET, PAGE),
        "has_images": images.exists(),
        "has_files": files.exists(),
        "reason": reason(code, _sentence(images, files)),
    }
    return answer(request, "web/quarantine_reason.html", context)


@require_POST
def requeue(request: HttpRequest, code: str) -> HttpResponse:
    """Try again: the images and files that were chosen, or all of this reason."""
    images, files = _chosen(request, code)
    count = replay.requeue_images(images, actor(request)) + replay.requeue_files(files, actor(request))
    messages.success(request, f"{plural(count, 'item goes,items go')} through again. {_left(code)}")
    return redirect(_back(code))


@require_http_methods(["GET", "HEAD", "POST"])
def discard(request: HttpRequest, code: str) -> HttpResponse:
    """Ask for a reason, then discard: what is chosen is never sent, and its files are removed by cleanup."""
    values = request.POST if request.method == "POST" else request.GET
    why = values.get("why", "").strip()
    images, files = _chosen(request, code)
    if request.method == "POST" and why:
        who = actor(request)
        count = replay.discard_images(images, who, why) + replay.discard_files(files, who, why)
        messages.success(request, f"{plural(count, 'item,items')} discarded. {_left(code)}")
        return redirect(_back(code))
    context = {
        "layout": "web/base.html",
        "code": code,
        "reason": reason(code, ""),
        "images": images if values.getlist("image") else [],
        "files": files if values.getlist("file") else [],
        "count": len(images) + len(files),
        "missing": request.method == "POST",
    }
    return answer(request, "web/discard.html", context, status=400 if request.method == "POST" else 200)


def _held(code: str) -> tuple[QuerySet[Image], QuerySet[FileOutcome]]:
    return Image.objects.filter(status=Status.QUARANTINED, code=code), FileOutcome.objects.filter(held=True, code=code)


def _chosen(request: HttpRequest, code: str) -> tuple[list[int], list[int]]:
    values = request.POST if request.method == "POST" else request.GET
    images, files = _held(code)
    if values.getlist("image") or values.getlist("file"):
        images = images.filter(pk__in=_numbers(values.getlist("image")))
        files = files.filter(pk__in=_numbers(values.getlist("file")))
    first = list(images.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
    return first, list(files.order_by("pk").values_list("pk", flat=True)[: AT_ONCE - len(first)])


def _numbers(texts: list[str]) -> list[int]:
    return [int(text) for text in texts if text.isdecimal() and len(text) < 16]


def _sentence(images: QuerySet[Image], files: QuerySet[FileOutcome]) -> str:
    row = images.values_list("sentence", flat=True).first() or files.values_list("sentence", flat=True).first()
    return row or ""


def _left(code: str) -> str:
    images, files = _held(code)
    left = len(images.values("pk")[: AT_ONCE + 1]) + len(files.values("pk")[: AT_ONCE + 1])
    if left > AT_ONCE:
        return f"More than {AT_ONCE} are left: press again."
    return f"{left} left." if left else ""


def _back(code: str) -> str:
    images, files = _held(code)
    if images.exists() or files.exists():
        return reverse("quarantine-reason", args=[code])
    return reverse("quarantine")
