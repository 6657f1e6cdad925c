"""Answers a page twice: whole for a visit, and as its changing blocks only for the script that keeps a page up to date.

The blocks carry an ETag, so that a page on which nothing changed costs one answer without a body.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers

HEADER = "X-Sendit-Live"


def answer(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Render `template`, which extends `layout`: the whole page, or its live blocks when the script asks."""
    if request.headers.get(HEADER) != "1":
        response = render(request, template, {**context, "layout": "web/base.html"}, status=status)
        patch_vary_headers(response, [HEADER])
        return response
    body = render_to_string(template, {**context, "layout": "web/blocks.html"}, request)
    etag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    if request.headers.get("If-None-Match") == etag:
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(body, status=status)
    response["ETag"] = etag
    patch_vary_headers(response, [HEADER])
    return response
