"""Every status page as a person opens it, through the real URLs, middleware and lock; and why one of them is slow."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable
from urllib.parse import quote

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from main.models import Batch, FileOutcome, Image, Release, Series
from main.models.imaging import Status

ROUNDS = 5

# A search that finds nothing is a 404, which is timed like any other page.
logging.getLogger("django.request").setLevel(logging.ERROR)

Open = Callable[[], object]


def pages() -> dict[str, Open]:
    """Every page by what it shows, for someone with the right to see original values."""
    client = _opened()
    held, image = Series.objects.filter(status=Status.QUARANTINED).first(), Image.objects.order_by("pk")[0]
    old, oldest = Series.objects.order_by("changed_at")[100], Batch.objects.order_by("received_at")[30]
    release = Release.objects.order_by("-pk")[0]
    with_outcome = FileOutcome.objects.order_by("-pk")[0].batch_id
    gets = {
        "home": "/",
        "series": "/series/",
        "series, the last page": f"/series/?after={quote(old.changed_at.isoformat())}_{old.pk}",
        "series, delivered": "/series/?status=SENT",
        "series, delivered MR": "/series/?status=SENT&modality=MR",
        "series, none of a modality": "/series/?modality=XA",
        "series, waiting to be delivered": "/series/?stage=deliver",
        "series, waiting for cleanup": "/series/?stage=cleanup",
        "series, waiting at a destination": "/series/?destination=outbox",
        "series, with a problem": "/series/?problem=1",
        "series, of a day long ago": "/series/?from=2020-01-01&to=2020-12-31",
        "one series": f"/series/{old.pk}/",
        "one series, quarantined": f"/series/{held.pk}/" if held else "/series/",
        "one image, before and after": f"/series/{image.series_id}/images/{image.pk}/",
        "drops": "/drops/",
        "drops, the last page": f"/drops/?after={quote(oldest.received_at.isoformat())}_{oldest.pk}",
        "drops, not registered": "/drops/?state=register",
        "drops, with something held": "/drops/?state=held",
        "one drop": f"/drops/{with_outcome}/",
        "quarantine": "/quarantine/",
        "quarantine, one reason": "/quarantine/leak/",
        "ledger": "/ledger/",
        "metrics": "/api/metrics",
        "status": "/api/status",
    }
    searched = {
        "search, a number": str(old.pk),
        "search, a pseudonym": f"SD{old.pk}",
        "search, a released instance": release.sop_instance_uid,
        "search, a released series": release.series_instance_uid,
        "search, an original UID": "1.2.840.113619.2.30.1",
    }
    found: dict[str, Open] = {name: lambda path=path: _ok(client.get(path).status_code) for name, path in gets.items()}
    found |= {
        name: lambda text=text: _ok(client.post("/series/search/", {"q": text}).status_code)
        for name, text in searched.items()
    }
    return found


def milliseconds(open_page: Open) -> float:
    """Time of a page, the median of several, after one that is not counted."""
    open_page()
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        open_page()
        found.append(1000 * (time.perf_counter() - began))
    return statistics.median(found)


def explain(act: Callable[[], object], slower_than: float) -> list[str]:
    """The statements of `act` that take more than `slower_than` milliseconds, each with the plan of the database."""
    with CaptureQueriesContext(connection) as captured:
        act()
    lines = []
    for query in captured.captured_queries:
        took = 1000 * float(query["time"])
        if took > slower_than and query["sql"].startswith("SELECT"):
            lines.append(f"    {took:.0f} ms: {query['sql'][:1500]}")
            lines += [f"        {line}" for line in _plan(query["sql"])]
    return lines


def _plan(sql: str) -> list[str]:
    words = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"{words} {sql}".replace("%", "%%"), [])
            return [str(row[-1]) for row in cursor.fetchall()]
        except Exception as error:  # noqa: BLE001 - what was captured has its values pasted in, which not every one bears
            return [f"no plan ({type(error).__name__})"]


def _opened() -> Client:
    """A browser that has opened the lock and signed in."""
    client = Client(SERVER_NAME="localhost")
    client.post("/unlock/", {"password": settings.LOCKDOWN_PASSWORDS[0]})
    client.force_login(User.objects.get_or_create(username="benchmark", is_superuser=True)[0])
    assert client.get("/").status_code == 200, "the lock did not open"
    return client


def _ok(status: int) -> None:
    assert status in (200, 302, 404), status
