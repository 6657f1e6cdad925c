"""The receiver: where it listens, what is coming in now, and who was refused today."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from main import access, associations, refusals
from main.rights import NODES
from web.live import answer

REFUSED = 100


@require_safe
def receiver(request: HttpRequest) -> HttpResponse:
    """Show the receiver as it is now."""
    processes = associations.processes()
    coming = sorted((one for process in processes for one in process.associations), key=lambda one: one.since)
    refused = refusals.today()
    context = {
        "ae_title": settings.DICOM_AE_TITLE,
        "processes": processes,
        "listening": list(dict.fromkeys(place for process in processes for place in process.listening)),
        "associations": coming,
        "per_second": sum(one.per_second for one in coming),
        "bytes_per_second": sum(one.bytes_per_second for one in coming),
        "most": settings.DICOM_MAX_ASSOCIATIONS,
        "refused": refused[:REFUSED],
        "refused_more": max(0, len(refused) - REFUSED),
        "refused_times": sum(one.count for one in refused),
        "notes": access.notes(),
        "may_change": NODES.is_of(request),
    }
    return answer(request, "web/receiver.html", context)
