"""Fills the node's database with as many images as a year leaves behind: a few statements, the same on both databases.

What is in it: 100 images a series, five series a study, a drop for each study, two studies a patient; 96 of 100 images
are delivered and proven, the others are at every other place; each series has its history, and as many are cleaned up.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from main import identity
from main.models import Destination

IMAGES_A_SERIES, SERIES_A_STUDY, STUDIES_A_PATIENT, EVENTS_A_SERIES = 100, 5, 2, 10

# The status of a series by its number modulo 200; all others are SENT. One in 200 for each: 0.5 %.
_PLACES = {
    7: ("NEW", "identify"),
    57: ("PROCESSING", "deidentify"),
    107: ("DONEPROCESSING", "deliver"),
    157: ("DONEPROCESSING", "deliver"),  # refused by the destination
}
_QUARANTINED_IN_1000 = 10  # images, spread over series that are otherwise through


def fill(images: int, images_a_series: int = IMAGES_A_SERIES) -> None:
    """Add `images` images and everything that belongs to them, numbered after what is there."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:  # for a moment: these rows may be lost, they are no one's
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.execute("PRAGMA cache_size=-400000")
    with transaction.atomic():
        for statement in _statements(images, images_a_series):
            with connection.cursor() as cursor:
                cursor.execute(statement, _PARAMETERS())
    if connection.vendor == "sqlite":
        connection.close()  # the next one has the node's own settings again
    else:
        with connection.cursor() as cursor:
            _move_sequences(cursor)
            cursor.execute("VACUUM ANALYZE")


def _move_sequences(cursor: object) -> None:
    from django.apps import apps
    from django.core.management.color import no_style

    for statement in connection.ops.sequence_reset_sql(no_style(), list(apps.get_app_config("main").get_models())):
        cursor.execute(statement)  # type: ignore[attr-defined]


def _PARAMETERS() -> dict[str, object]:  # noqa: N802
    now = timezone.now()
    return {}
