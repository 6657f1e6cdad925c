"""Signs of life of the processes, for the status page and the sweeper."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from main.models import Heartbeat, ReceiverProcess


def beat(kind: str, name: str, **facts: object) -> None:
    """Say that process `name` of `kind` is alive, with facts worth showing (no file names, no patient values)."""
    Heartbeat.objects.update_or_create(kind=kind, name=name[:80], defaults={"at": timezone.now(), "facts": facts})


def forget_silent() -> None:
    """Forget processes that have been silent for an hour: they were replaced, or the page has said it long enough."""
    edge = timezone.now() - timedelta(hours=1)
    Heartbeat.objects.filter(at__lt=edge).delete()
    ReceiverProcess.objects.filter(at__lt=edge).delete()
