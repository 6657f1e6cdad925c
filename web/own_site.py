"""Where to go next, if that is on our own site; nothing else may be asked for."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme


def safe_next(request: HttpRequest) -> str:
    """The path that the form names in `next`, or the home page."""
    path = request.POST.get("next", "") or request.GET.get("next", "")
    own = url_has_allowed_host_and_scheme(path, allowed_hosts=None, require_https=request.is_secure())
    return path if own and path.startswith("/") else "/"
