"""The list of series with its filters, and the page of one series."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_POST, require_safe

from main import certificates, overview, projects
from main.errors import Quarantine
from main.history import record
from main.models import Delivery, Destination, Event, Image, LedgerEntry, Series
from main.models.imaging import Status
from web import deliveries, originals, paging, search
from web.live import answer
from web.sentence import in_a_sentence

PAGE, IMAGES, EVENTS = 50, 100, 200
# A certificate brings its style with it and nothing else, so that it can be read anywhere.
CERTIFICATE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
STAGES = ("identify", "deidentify", "deliver", "cleanup")
MODALITIES = ("CR", "CT", "DX", "MG", "MR", "NM", "OT", "PT", "RF", "SC", "SEG", "SR", "US", "XA")


@require_safe
def series_list(request: HttpRequest) -> HttpResponse:
    """List the series that changed last, as filtered."""
    destinations = list(Destination.objects.filter(enabled=True).order_by("name"))
    rows = _filtered(Series.objects.select_related("identifiers", "study"), request, destinations)
    page = paging.by_time(rows, request.GET, PAGE, "changed_at")
    dots = deliveries.dots([one.pk for one in page.rows])
    context = {
        "page": page,
        "rows": [(one, _pseudonym(one), [(to, dots.get((one.pk, to.pk))) for to in destinations]) for one in page.rows],
        "destinations": destinations,
        "statuses": Status.choices,
        "stages": STAGES,
        "modalities": MODALITIES,
        "projects": projects.names() if projects.several() else [],
        "filters": {key: value for key, value in request.GET.items() if key != "after" and value},
        "chosen": request.GET,
    }
    return answer(request, "web/series_list.html", context)


@require_POST
def search_series(request: HttpRequest) -> HttpResponse:
    """Look for what was typed. It may be an original value, so it comes by POST and is in no URL, log or answer."""
    may = originals.may_see(request)
    found = search.find(request.POST.get("q", ""), originals=may)
    if found.by_original:
        record("search", actor=originals.actor(request), count=1, sentence="Series were found by an original value.")
    if (only := found.only) is not None:
        return redirect("series-detail", only)
    if found.cleaned and not (found.series or found.studies or found.subjects):
        numbers = "&".join(f"number={pk}" for pk in sorted(found.cleaned))
        return redirect(f"{reverse('ledger')}?{numbers}")
    if found:
        return redirect(f"{reverse('series')}?{found.query()}")
    return answer(request, "web/not_found_here.html", {"sees": may}, status=404)


@require_safe
def series_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one series; after cleanup, what the ledger kept of it."""
    one = Series.objects.filter(pk=pk).select_related("identifiers", "study").first()
    events = list(Event.objects.filter(series_id=pk).order_by("-pk")[:EVENTS])
    ledger = list(LedgerEntry.objects.filter(series_id=pk).order_by("-pk"))
    if one is None and not ledger:
        raise Http404
    if one is None:
        return answer(request, "web/series_cleaned.html", {"pk": pk, "entries": ledger, "events": events})
    matrix = deliveries.matrix(one)
    context = {
        "series": one,
        "project": one.project if projects.several() else "",
        "sentence": in_a_sentence(one, matrix),
        "events": events,
        "ledger": ledger,
        "counts": _counts(one),
        "accounted": sum(number for _, number, _ in _counts(one)),
        "identifiers": _identifiers(one),
        "matrix": matrix,
        "recipes": certificates.recipes(certificates.whole_study(one)),
        "can_retry": any(row.waiting or row.blocked for row in matrix) or bool(one.error_code),
        **_images(request, one),
    }
    return answer(request, "web/series_detail.html", context)


@require_safe
def certificate(request: HttpRequest, pk: int, number: int, form: str) -> HttpResponse:
    """Show or hand out the signed certificate of a study under one of its recipes; it holds no value of the patient."""
    try:
        found = certificates.of_study(get_object_or_404(Series, pk=pk))
    except (Quarantine, ImproperlyConfigured):
        raise Http404 from None  # its page does not offer one either
    if form not in ("html", "json") or not 1 <= number <= len(found):
        raise Http404
    chosen = found[number - 1]
    if form == "html":
        page = HttpResponse(chosen.html())
        page["Content-Security-Policy"] = CERTIFICATE_POLICY
        return page
    name = f"certificate-{pk}-{number}.json"
    answered = HttpResponse(chosen.json(), content_type="application/json")
    answered["Content-Disposition"] = f'attachment; filename="{name}"'
    return answered


def _filtered(
    rows: QuerySet[Series, Series], request: HttpRequest, destinations: list[Destination]
) -> QuerySet[Series, Series]:
    query = request.GET
    if query.get("status") in Status.values:
        rows = rows.filter(status=query["status"])
    if project := query.get("project"):
        rows = rows.filter(project=project[:64])
    if query.get("stage") in STAGES:
        rows = rows.filter(stage=query["stage"])
        if query["stage"] != "cleanup":
            rows = rows.filter(status__in=[Status.NEW, Status.PROCESSING, Status.DONEPROCESSING])
    if modality := query.get("modality", "").strip().upper():
        rows = rows.filter(modality=modality[:16])
    if chosen := [one.pk for one in destinations if one.name == query.get("destination")]:
        # What waits may be nearly everything, what was refused is little: the first is asked of each row until the page is full.
        waiting = Delivery.objects.filter(series=OuterRef("pk"), destination__in=chosen, due_at__isnull=False)
        refused = overview.blocked().filter(destination__in=chosen)
        on_the_way = Q(status__in=[Status.NEW, Status.PROCESSING, Status.DONEPROCESSING])
        rows = rows.filter(on_the_way & Exists(waiting) | Q(pk__in=refused.values("series")))
    if query.get("problem"):
        rows = rows.filter(Q(n_quarantined__gt=0) | ~Q(error_code="") | Q(pk__in=overview.blocked().values("series")))
    for name, lookup, moment in (("from", "added_at__gte", time.min), ("to", "added_at__lte", time.max)):
        if day := _day(query.get(name, "")):
            rows = rows.filter(**{lookup: timezone.make_aware(datetime.combine(day, moment))})
    named = Q()
    for name, lookup in (("number", "pk__in"), ("study", "study__in"), ("subject", "study__subject__in")):
        if numbers := [int(text) for text in query.getlist(name) if text.isdecimal() and len(text) < 16]:
            named |= Q(**{lookup: numbers[: search.MOST]})
    return rows.filter(named) if named else rows


def _day(text: str) -> Any:
    try:
        return parse_date(text)
    except ValueError:
        return None


def _pseudonym(series: Series) -> str:
    known = getattr(series, "identifiers", None)
    return str(known.values.get("PatientID", "")) if known else ""


def _counts(series: Series) -> list[tuple[str, int, str]]:
    """Images of a series by status; they add up to all of them (R5)."""
    return [
        (status, number, Status(status).label)
        for status in Status.values
        if (number := getattr(series, f"n_{status.lower()}"))
    ]


def _identifiers(series: Series) -> dict[str, Any] | None:
    known = getattr(series, "identifiers", None)
    if known is None:
        return None
    return {
        "values": sorted(known.values.items()),
        "provider": known.provider,
        "at": known.at,
        "shifted": known.date_shift_days is not None,
    }


def _images(request: HttpRequest, series: Series) -> dict[str, Any]:
    rows = Image.objects.filter(series=series).prefetch_related("releases")
    status = request.GET.get("status")
    if status in Status.values:
        rows = rows.filter(status=status)
    page = paging.by_id(rows, request.GET, IMAGES)
    codes = Image.objects.filter(series=series).exclude(code="").values("status", "code", "sentence")
    return {
        "page": page,
        "images": [(image, list(image.releases.all())) for image in page.rows],
        "image_status": status if status in Status.values else "",
        "reasons": codes.annotate(n=Count("id")).order_by("-n")[:20],
    }
