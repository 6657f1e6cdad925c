"""The ledger: what was delivered, proven and cleaned up."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from main.models import LedgerEntry
from web import paging
from web.live import answer

PAGE = 50


@require_safe
def ledger(request: HttpRequest) -> HttpResponse:
    """List the entries, the newest first."""
    rows = LedgerEntry.objects.all()
    if numbers := [int(text) for text in request.GET.getlist("number") if text.isdecimal() and len(text) < 16]:
        rows = rows.filter(series_id__in=numbers[:PAGE])
    page = paging.by_id(rows, request.GET, PAGE, newest_first=True)
    return answer(request, "web/ledger.html", {"page": page, "narrowed": bool(numbers)})
