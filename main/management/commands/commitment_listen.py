"""`manage.py commitment_listen`: takes the answers of destinations to storage commitment requests."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import close_old_connections

from dimse import CommitmentListener
from main.management.commands._base import NodeCommand
from main.models import Commitment


class Command(NodeCommand):
    """Listen on DICOM_COMMITMENT_PORT until SIGTERM."""

    help = "Listen for storage commitment answers on DICOM_COMMITMENT_PORT."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the listener; each answer is kept before it is acknowledged."""
        if settings.DICOM_COMMITMENT_PORT is None:
            raise CommandError("DICOM_COMMITMENT_PORT is not set: storage commitment is not asked for.")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        listener = CommitmentListener(
            settings.DICOM_BIND_ADDRESS, settings.DICOM_COMMITMENT_PORT, settings.DICOM_AE_TITLE, _keep
        )
        listener.start()
        stop.wait()
        listener.stop()


def _keep(transaction_uid: str, committed: list[tuple[str, str]], failed: list[tuple[str, str, int]]) -> None:
    close_old_connections()
    Commitment.answer(transaction_uid, committed, failed)
