"""Looks at a node's rows and files from a process of its own: how far it is, and at the end whether all is well.

`python -m tests.faults.observer` runs under the node's settings and answers one JSON line to each line it reads;
`Observer` is the campaign's side of that talk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.faults.parts import ROOT


class Observer:
    """The campaign's side: one process per node, kept for the whole run."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "tests.faults.observer"]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **environment, "SENDIT_FAULT": ""},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def progress(self) -> dict[str, int]:
        """Return counts: files registered, images in flight, deliveries proven, images cleaned up."""
        return self._ask("progress")

    def examine(self, ledger: str) -> dict[str, Any]:
        """Return `findings`, by invariant, and `released`: what the destination should have, by SOP Instance UID."""
        return self._ask("examine", ledger)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _ask(self, question: str, *words: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([question, *words]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The observer ended while it was asked for {question}.")
        return json.loads(answer)


def _progress() -> dict[str, int]:
    from django.db.models import Count, Q, Sum

    from main.models import Batch, Delivery, Image

    waiting = ["NEW", "PROCESSING", "DONEPROCESSING"]
    batches = Batch.objects.aggregate(
        files=Sum("files"), cleaned=Sum("cleaned"), open=Count("id", filter=Q(stage="register"))
    )
    return {
        "files": batches["files"] or 0,
        "unregistered": batches["open"],
        "in_flight": Image.objects.filter(status__in=waiting).count(),
        "proven": Delivery.objects.filter(state="PROVEN").count(),
        "cleaned": batches["cleaned"] or 0,
    }


def _serve() -> None:
    import django

    django.setup()
    from django.db import Error, close_old_connections, connection

    from tests.faults.examine import examine

    answers = {"progress": _progress, "examine": examine}
    for line in sys.stdin:
        question, *words = json.loads(line)
        for attempt in range(20):
            close_old_connections()
            try:
                answer = answers[question](*words)
                break
            except Error:  # the database's connections are cut on purpose, too
                connection.close()
                if attempt == 19:
                    raise
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve()
