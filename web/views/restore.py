"""Who is behind a released name: asked with a reason, recorded, then shown; and the list of all such uses."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from deidentify.levels import PATIENT, SERIES, STUDY
from main import revealing
from main.clients import source
from main.models import Event
from main.restoring import LONGEST_REASON
from main.revealing import Told, Use
from main.rights import RESTORE
from web import paging
from web.live import answer
from web.originals import Original

PAGE, MOST_SERIES = 50, 50
_NO_RIGHT = (
    "Learning who is behind a pseudonym takes a user with that right: sign in. "
    "On the node: manage.py access grant USER --right restore."
)
_UNKNOWN = (
    "Nothing is known under this name: it is not a released one of this node, or the vault did not keep it, or the "
    "patient was forgotten."
)


class AskForm(forms.Form):
    """Whom, and why."""

    name = forms.CharField(max_length=64)
    reason = forms.CharField(max_length=LONGEST_REASON)


@dataclass(frozen=True)
class Level:
    """A patient, study or series as the page shows it: its released name, and original values by keyword."""

    released: str
    values: list[tuple[str, Original]]
    below: list[Level]
    number: int | None = None


@require_http_methods(["GET", "HEAD", "POST"])
def restore(request: HttpRequest) -> HttpResponse:
    """Ask for a name and a reason. A POST with both records the use, then shows the original values."""
    if not RESTORE.is_of(request):
        return render(request, "web/refused.html", {"layout": "web/base.html", "said": _NO_RIGHT}, status=403)
    context: dict[str, Any] = {"on": revealing.allowed(), "layout": "web/base.html", "longest": LONGEST_REASON}
    status = 200
    if request.method == "POST":
        status, found = _asked(request)
        context |= found
    if request.method != "POST" or status != 200:
        uses = Event.objects.filter(names__isnull=False)
        context["page"] = paging.by_time(uses, request.GET, PAGE, "at")
    if request.method == "POST":
        return render(request, "web/restore.html", context, status=status)
    return answer(request, "web/restore.html", context)


def _asked(request: HttpRequest) -> tuple[int, dict[str, Any]]:
    """Return the status of the answer, and what it shows."""
    form = AskForm(request.POST)
    actor = request.user.get_username()
    if not revealing.allowed():
        return 403, {}
    again = {"reason": request.POST.get("reason", "")[:LONGEST_REASON]}
    if not form.is_valid():
        return 400, {"problem": f"Give a pseudonym or UID, and a reason of 1 to {LONGEST_REASON} characters.", **again}
    if wait := revealing.wait(actor):
        return 429, {"problem": f"That was often in a short time. Try again in {wait} seconds.", **again}
    name, reason = form.cleaned_data["name"], " ".join(form.cleaned_data["reason"].split())
    level = revealing.level_of(name) or "patient"
    found = revealing.reveal(level, [name], Use(actor, f"page from {source(request)}", reason), MOST_SERIES)
    if not found:
        return 404, {"problem": _UNKNOWN, **again}
    series = found[name]
    return 200, {
        "revealed": True,
        "patient": _patient(series),
        "most": MOST_SERIES if len(series) == MOST_SERIES else 0,
    }


def _patient(series: list[Told]) -> Level:
    """Sort what was told into patient, studies and series; the newest stands first."""
    order = list(dict.fromkeys(one.entry.study_instance_uid for one in series))
    in_order = sorted(series, key=lambda one: order.index(one.entry.study_instance_uid))
    studies = []
    for uid, several in groupby(in_order, key=lambda one: one.entry.study_instance_uid):
        each = list(several)
        below = [Level(one.entry.series_instance_uid, _values(one, SERIES), [], one.entry.series_id) for one in each]
        studies.append(Level(uid, _values(each[0], STUDY), below))
    return Level(series[0].entry.patient_id, _values(series[0], PATIENT), studies)


def _values(one: Told, keywords: tuple[str, ...]) -> list[tuple[str, Original]]:
    return [(keyword, Original(text)) for keyword, text in one.of(keywords).items()]
