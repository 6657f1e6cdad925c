"""What programs read: the seed's metrics, the summary of the node, and a sign of health."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, connection
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from main import overview
from main.models import Batch, Image
from main.models.imaging import Status

# What differs between two answers although nothing happened.
_CLOCKS = frozenset({"at", "seconds", "oldest_seconds", "last_scan", "free"})


@require_safe
def metrics(request: HttpRequest) -> JsonResponse:
    """Drops, in the shape that pydicom/sendit's `/api/metrics` has.

    `SEEN` is every drop; `QUEUE` those with an image on its way or held, or not registered yet; `EMPTY` those without an
    image; `SENT` the others. `data_total` adds what waits in the watched folders. `data_root` is the last part of the
    first of these: a path would tell about the machine.
    """
    seen = Batch.objects.count()
    images = Image.objects.filter(batch=OuterRef("pk"))
    empty = Batch.objects.filter(~Exists(images), stage="", cleaned=0).count()
    unfinished = [Status.NEW, Status.PROCESSING, Status.DONEPROCESSING, Status.QUARANTINED]
    queued = Batch.objects.filter(Q(stage="register") | Exists(images.filter(status__in=unfinished))).count()
    waiting = sum(int(one["facts"].get("waiting", 0)) for one in overview.processes() if one["kind"] == "watcher")
    return JsonResponse(
        {
            "timestamp": timezone.localtime().strftime("%Y-%m-%d-%H:%M:%S"),
            "data_root": settings.WATCH_FOLDERS[0].path.name if settings.WATCH_FOLDERS else "",
            "data_total": seen + waiting,
            "batches": {"SEEN": seen, "SENT": seen - empty - queued, "EMPTY": empty, "QUEUE": queued},
        }
    )


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """The summary of the node. `version`, also the ETag, changes when anything but the clock does."""
    facts = overview.summary()
    version = hashlib.sha256(_encoded(_timeless(facts)).encode()).hexdigest()[:32]
    etag = f'W/"{version}"'
    if request.headers.get("If-None-Match") == etag:
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(_encoded({"version": version, **facts}), content_type="application/json")
    response["ETag"] = etag
    return response


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Whether the pages and their database answer. A probe without a session needs /healthz in LOCKDOWN_URL_EXCEPTIONS."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return JsonResponse({"ok": False, "database": type(error).__name__}, status=503)
    return JsonResponse({"ok": True})


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(one) for key, one in value.items() if key not in _CLOCKS}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def _encoded(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, separators=(",", ":"))
