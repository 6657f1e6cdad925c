"""What is answered when something is wrong: fields with their errors for 400, else one sentence; never an exception's text."""

from __future__ import annotations

import logging
from typing import Any

from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

log = logging.getLogger(__name__)


class NotKnown(exceptions.NotFound):
    """Nothing is known under this name."""

    default_detail = "Nothing is known under this name."


def answered(error: Exception, context: dict[str, Any]) -> Response:
    """Turn an exception into an answer; one that was not foreseen is logged by its class."""
    response = exception_handler(error, context)
    if response is None:
        set_rollback()
        log.error("A call could not be answered: %s.", type(error).__name__)
        return Response({"error": "The node could not answer. Its log says when."}, status=500)
    if isinstance(error, exceptions.ParseError):
        response.data = {"error": "The body is not JSON."}
    elif isinstance(error, exceptions.Throttled):
        response.data = {"error": f"Too many calls. Try again in {response.headers.get('Retry-After', '60')} seconds."}
    elif isinstance(error, Http404):
        response.data = {"error": "There is nothing at this address."}
    elif isinstance(error, exceptions.APIException) and not isinstance(error, exceptions.ValidationError):
        response.data = {"error": str(error.detail)}
    return response
