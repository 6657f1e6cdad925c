"""Says by its exit status whether the part of the node in this container does its work: ``healthcheck.py web``.

It only looks; what to do about an unhealthy container is Docker's business.
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Callable
from datetime import timedelta

import psutil

SILENCE = timedelta(seconds=90)


def web() -> str:
    """The pages answer; that they are locked is an answer."""
    port = int(os.environ.get("SENDIT_WEB_BIND", "127.0.0.1:8080").rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/", headers={"Host": "localhost"})
    status = connection.getresponse().status
    return "" if status < 500 else f"The page answers with status {status}."


def worker() -> str:
    """The pool has processes. Whether they get work done is seen by the sweeper and on the page."""
    parents = [process.info for process in psutil.process_iter(["ppid", "cmdline"]) if "celery" in _line(process)]
    return "" if len(parents) > 1 else "The worker has no processes."


def sweeper() -> str:
    """It has swept a moment ago."""
    import django

    django.setup()
    from django.utils import timezone

    from main.models import Heartbeat

    here = Heartbeat.objects.filter(kind="sweeper", name__startswith=f"{os.uname().nodename}-")
    return "" if here.filter(at__gt=timezone.now() - SILENCE).exists() else "The sweeper has been silent."


def _line(process: psutil.Process) -> str:
    return " ".join(process.info["cmdline"] or [])


CHECKS: dict[str, Callable[[], str]] = {"web": web, "worker": worker, "sweeper": sweeper}

if __name__ == "__main__":
    try:
        complaint = CHECKS[sys.argv[1]]()
    except (OSError, http.client.HTTPException) as error:
        complaint = f"No answer ({type(error).__name__})."
    sys.exit(complaint or 0)
