"""The Celery application; what a task does is in `main/tasks.py`."""

import os
import resource

from celery import Celery
from celery.signals import worker_init, worker_process_init

from sendit import transport

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sendit.settings")
transport.register()

app = Celery("sendit")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["main"])


@worker_init.connect
def check_keys(**_: object) -> None:
    """A worker without the right keys does not start: it could only hold up what others can work on."""
    from django.core.exceptions import ImproperlyConfigured
    from django.db import connections

    from main import identity

    try:
        identity.keyring()
    except ImproperlyConfigured as error:
        raise SystemExit(str(error)) from None
    finally:
        connections.close_all()


@worker_process_init.connect
def limit_memory(**_: object) -> None:
    """A bomb in a header or decoder costs this worker process a MemoryError, not the machine its memory."""
    from django.conf import settings

    if limit := settings.SENDIT_WORKER_MEMORY_BYTES:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
