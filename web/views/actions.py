"""What people may do to series and destinations: by POST only, recorded with who did it, and back to where they were."""

from __future__ import annotations

from typing import cast, get_args

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from main import bells
from main.errors import Permanent
from main.history import record
from main.models import Destination, Series, Study
from main.pipeline import completion
from main.pipeline import replay as again
from web.originals import actor
from web.own_site import safe_next
from web.templatetags.show import plural


@require_POST
def replay(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a series through again from a stage on."""
    series = get_object_or_404(Series, pk=pk)
    start = request.POST.get("from", "")
    if start not in get_args(again.From):
        messages.error(request, "Choose the stage to start from.")
        return redirect("series-detail", pk)
    try:
        count = again.replay(series, cast(again.From, start), actor(request))
    except Permanent as error:
        messages.error(request, error.sentence)
    else:
        messages.success(request, f"{plural(count, 'image goes,images go')} through again, from {start} on.")
    return redirect("series-detail", pk)


@require_POST
def complete_study(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that the study of a series is complete: it waits for no more images."""
    series = get_object_or_404(Series, pk=pk)
    count = completion.complete(Study.objects.filter(pk=series.study_id), actor(request))
    messages.success(request, f"The study is complete: {plural(count, 'series goes,series go')} on now.")
    return redirect("series-detail", pk)


@require_POST
def retry_series(request: HttpRequest, pk: int) -> HttpResponse:
    """Try again now whatever of a series waits or was refused."""
    get_object_or_404(Series, pk=pk)
    _retried(request, again.retry_blocked(actor(request), series=pk))
    return redirect("series-detail", pk)


@require_POST
def retry(request: HttpRequest) -> HttpResponse:
    """Try again now whatever waits for a retry."""
    _retried(request, again.retry_blocked(actor(request)))
    return redirect(safe_next(request))


@require_POST
def destination_retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a destination again now."""
    one = get_object_or_404(Destination, pk=pk)
    _retried(request, again.retry_blocked(actor(request), destination=one.name))
    return redirect(safe_next(request))


@require_POST
def destination_hold(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop deliveries to a destination; what is being sent just now is finished."""
    return _switch(request, pk, held=True)


@require_POST
def destination_resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Let deliveries to a destination go on."""
    return _switch(request, pk, held=False)


def _switch(request: HttpRequest, pk: int, *, held: bool) -> HttpResponse:
    one = get_object_or_404(Destination, pk=pk)
    if Destination.objects.filter(pk=pk, held=not held).update(held=held):
        record("hold" if held else "resume", actor=actor(request), destination=one.name)
        if not held:
            bells.ring("deliver")
    messages.success(request, f"{one.name} is held: nothing is sent to it." if held else f"{one.name} goes on.")
    return redirect(safe_next(request))


def _retried(request: HttpRequest, count: int) -> None:
    messages.success(request, f"Trying again now: {plural(count, 'delivery,deliveries')}, and every stage that waits.")
