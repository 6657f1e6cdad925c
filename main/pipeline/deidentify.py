"""De-identify: each image becomes a release for each recipe that a destination asks for.

Images are written one by one and committed in chunks, also of several small series, so that delivery starts while the rest
is still being written.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, transaction
from django.utils import timezone

from deidentify.pixels import often_searched
from main import bells, states
from main.claims import DEATHS, Claim
from main.errors import Excluded, LostLease, Quarantine, describe
from main.failpoints import reach
from main.models import Delivery, Destination, Image, Release, Series, SeriesIdentifiers
from main.models.imaging import Status
from main.pipeline.identify import Known, known_of
from main.pipeline.next_stage import let_go
from main.pipeline.release import create_release
from main.pipeline.routes import routes
from main.projects import project
from main.storage import require_space, sync_filesystem
from main.vault import Gathered, Keeping

# The first chunk is small, so that the first image leaves soon; each is twice as large as the one before, so that
# statements stay few. A chunk that takes too long is committed as it is: its lease is renewed and it is seen.
FIRST_CHUNK, LARGEST_CHUNK = 16, 512
CHUNK_SECONDS = 5.0

# How long text may be searched for in the pixels of one image before another worker takes it up.
SEARCH_SECONDS = 300.0

_BROKE_OFF = f"The work on this image broke off {DEATHS} times (a worker died, or ran out of memory). It is kept."


def deidentify(held: Claim[Series]) -> None:
    """Release the images of the claimed series that are PROCESSING, and let them go to delivery.

    Raises
    ------
    Transient
        No destination is configured, or not all that the project delivers to; or the disk is full.
    Quarantine
        `project-unknown`.
    """
    reach("deidentify:claimed")
    ways = routes(project(held.rows[0].project), Destination.objects.filter(enabled=True))
    known = {one.series_id: one for one in SeriesIdentifiers.objects.filter(series__in=held.rows)}
    keeping = Keeping(known)
    for chunk in _chunks(held, _waiting(known), sorted(set(ways.values())), known, known_of(known.values())):
        _commit(held, chunk, ways, known, keeping)
    with transaction.atomic():
        held.hold()
        # Nothing is released without identifiers; a replay of another series of the study made them be forgotten.
        if forgotten := [series for series in held.rows if series.pk not in known]:
            states.move(forgotten, Image.objects.filter(status=Status.PROCESSING), Status.NEW, replay=True)
        states.refresh(held.rows)
        let_go(held)
    reach("deidentify:committed")


def _waiting(series: Collection[int]) -> Iterator[Image]:
    """The images to release, read in pieces: a query left open would keep SQLite from writing meanwhile."""
    waiting = Image.objects.filter(series__in=series, status=Status.PROCESSING)
    ids = list(waiting.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), LARGEST_CHUNK):
        piece = Image.objects.filter(pk__in=ids[start : start + LARGEST_CHUNK])
        yield from list(piece.select_related("batch").order_by("pk"))


class Chunk:
    """What was done since the last commit."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.releases: list[Release] = []
        self.released: list[int] = []
        self.ways = Gathered()
        self.refused: dict[tuple[str, str], list[int]] = {}
        self.excluded: dict[tuple[str, str], list[int]] = {}
        self._until = time.monotonic() + CHUNK_SECONDS

    @property
    def full(self) -> bool:
        """Whether it should be committed now: at once, when an image was set aside that kills its workers."""
        if any(code == "killed-worker" for code, _ in self.refused):
            return True
        return len(self.released) >= self.size or self.ways.full or time.monotonic() > self._until

    def next(self) -> Chunk:
        """The chunk after this one."""
        return Chunk(min(2 * self.size, LARGEST_CHUNK))


def _chunks(
    held: Claim[Series],
    images: Iterator[Image],
    recipes: list[str],
    identifiers: Mapping[int, SeriesIdentifiers],
    more: Mapping[int, Known],
) -> Iterator[Chunk]:
    require_space(settings.RELEASES_DIR)
    chunk, project = Chunk(FIRST_CHUNK), held.rows[0].project
    for image in images:
        try:
            search = SEARCH_SECONDS if often_searched(image.sop_class_uid) else 0.0
            if not held.take_in_hand(str(image.pk), image.size, search):
                raise Quarantine("killed-worker", _BROKE_OFF)
            releases, excluded = [], None
            for recipe in recipes:
                try:
                    releases.append(
                        create_release(
                            image, recipe, project, identifiers[image.series_id], more.get(image.series_id, ())
                        )
                    )
                except Excluded as error:
                    excluded = error
            if releases:
                for release, way in releases:
                    chunk.releases.append(release)
                    if way:
                        chunk.ways.add(image.series_id, release, way)
                chunk.released.append(image.pk)
            elif excluded:
                chunk.excluded.setdefault((excluded.code, excluded.sentence), []).append(image.pk)
        except (MemoryError, OSError, Error, LostLease, ImproperlyConfigured):
            raise  # says nothing about this image, or counts against it only when it comes again
        except Quarantine as refused:
            chunk.refused.setdefault((refused.code, refused.sentence), []).append(image.pk)
        except Exception as error:  # noqa: BLE001 - one image that breaks the engine must not stop the others
            chunk.refused.setdefault(describe(error), []).append(image.pk)
        if chunk.full:
            yield chunk
            require_space(settings.RELEASES_DIR)
            chunk = chunk.next()
    yield chunk


def _commit(
    held: Claim[Series],
    chunk: Chunk,
    ways: Mapping[Destination, str],
    identifiers: Mapping[int, SeriesIdentifiers],
    keeping: Keeping,
) -> None:
    """Make the files durable, then the rows: releases, the vault's entries, deliveries, statuses."""
    if not (chunk.released or chunk.refused or chunk.excluded):
        return
    if chunk.releases:
        sync_filesystem(settings.RELEASES_DIR)
        reach("deidentify:synced")
    entries = chunk.ways.sealed(identifiers)
    now = timezone.now()
    with transaction.atomic():
        held.progress()
        Release.objects.bulk_create(
            chunk.releases,
            update_conflicts=True,
            unique_fields=["image", "recipe"],
            update_fields=[field.name for field in Release._meta.fields if field.name not in ("id", "image", "recipe")],
        )
        keeping.keep(entries, chunk.ways)
        releases = Release.objects.filter(image__in=chunk.released).values_list("pk", "recipe", "image__series")
        Delivery.objects.bulk_create(
            (
                Delivery(release_id=pk, series_id=series, destination=destination, due_at=now)
                for pk, recipe, series in releases
                for destination, wanted in ways.items()
                if wanted == recipe
            ),
            ignore_conflicts=True,
        )
        states.move(held.rows, Image.objects.filter(pk__in=chunk.released), Status.DONEPROCESSING)
        for status, reasons in ((Status.QUARANTINED, chunk.refused), (Status.EXCLUDED, chunk.excluded)):
            for (code, sentence), images in reasons.items():
                states.move(held.rows, Image.objects.filter(pk__in=images), status, code=code, sentence=sentence)
        bells.ring("deliver")
