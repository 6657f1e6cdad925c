"""Celery tasks: the bells, which carry nothing, and the seeds' task names, which do one such item.

Thin on purpose: what happens is in `main/pipeline/`, who may do it in `main/claims.py`, how it ends in `main/work.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import shared_task
from django.db import close_old_connections

from main import bells, work
from main.heartbeat import beat
from main.pipeline.take import take

# A bell's work ends after so long and rings again, so that a worker that is told to stop does so soon.
SECONDS = 5.0


def _bell(stage: str) -> Any:
    @shared_task(name=f"main.tasks.work_{stage}", ignore_result=True)
    def bell() -> None:
        close_old_connections()
        beat("worker", f"{os.uname().nodename}-{os.getppid()}")  # the worker's main process: its children come and go
        if not work.drain(stage, SECONDS):
            bells.ring(stage)

    return bell


BELLS: dict[str, Any] = {stage: _bell(stage) for stage in bells.STAGES}


@shared_task(name="main.tasks.import_dicomdir", ignore_result=True)
def import_dicomdir(dicom_dir: str) -> None:
    """Take the finished folder `dicom_dir` and register it (the seeds' first task)."""
    path = Path(dicom_dir)
    batch = take([path], path.parent)
    if batch is not None:
        work.work_one("register", batch.pk)


@shared_task(name="main.tasks.get_identifiers", ignore_result=True)
def get_identifiers(series_id: int) -> None:
    """Get the identifiers of one series, if it is due for them."""
    work.work_one("identify", series_id)


@shared_task(name="main.tasks.replace_identifiers", ignore_result=True)
def replace_identifiers(series_id: int) -> None:
    """De-identify one series, if it is due for it."""
    work.work_one("deidentify", series_id)


@shared_task(name="main.tasks.upload_storage", ignore_result=True)
def upload_storage(series_id: int) -> None:
    """Deliver what is due of one series."""
    while work.work_one("deliver", series_id):
        pass


@shared_task(name="main.tasks.clean_up", ignore_result=True)
def clean_up(series_id: int) -> None:
    """Clean one series up, if it is due for it."""
    work.work_one("cleanup", series_id)
