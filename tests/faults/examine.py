"""What has to hold inside a node when all faults are over: outcomes, balances, receipts, history, files.

Each check yields sentences, none when all is well. It runs in the observer, under the node's settings.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from django.db.models import Count
from pydicom import dcmread

from deidentify import Identifiers
from main import identity, overview
from main.identifiers import Request, provider
from main.models import Batch, Delivery, Event, FileOutcome, Image, Release, Series
from main.models.imaging import Status
from main.models.work import Work
from main.pipeline.release import deidentifier
from main.projects import default
from main.states import FORWARD
from tests.faults.load import File

Check = Callable[[], Iterator[str]]
ORDER = ["NEW", "PROCESSING", "DONEPROCESSING", "SENT", "DONE"]
SAID = 5  # findings of one check that are said in full


def examine(ledger: str) -> dict[str, Any]:
    """Return the findings of every check, and what the destination should have."""
    files = [File(**json.loads(line)) for line in Path(ledger).read_text().splitlines()]
    released = expected(files)
    checks: dict[str, Check] = {
        "every file has one outcome": lambda: outcomes(files),
        "the balance of every drop adds up": lambda: balances(files),
        "nothing is stuck": stuck,
        "nothing is SENT without proof": receipts,
        "the history counts every image once": history,
        "statuses only went forward": forward,
        "the counts of the series are right": counts,
        "releases are what the de-identifier writes": lambda: releases(released),
        "no orphan in the work folders": orphans,
    }
    findings = {name: list(check()) for name, check in checks.items()}
    said = {
        name: [*found[:SAID], *([f"… {len(found) - SAID} more"] if len(found) > SAID else [])]
        for name, found in findings.items()
    }
    return {"findings": said, "released": {uid: entry[1:] for uid, entry in released.items()}}


def expected(files: list[File]) -> dict[str, tuple[str, str, int]]:
    """Return what each image that was handed over is released as, computed anew from the producer's own copy.

    By released SOP Instance UID: sha256 of the file, sha256 of its data set, and the data set's size.
    """
    engine = deidentifier(settings.SENDIT_RECIPE, settings.SENDIT_PROJECT)
    answers: dict[str, Identifiers] = {}
    found: dict[str, tuple[str, str, int]] = {}
    sources = {file.sop_instance_uid: file.source for file in files if file.sop_instance_uid}
    with TemporaryDirectory() as folder:
        target = Path(folder) / "released.dcm"
        for uid, source in sources.items():
            header = dcmread(source, specific_tags=["PatientID", "AccessionNumber", "StudyInstanceUID"])
            study = str(header.StudyInstanceUID)
            if study not in answers:
                key = identity.patient_key("", str(header.PatientID), study)
                request = Request(key, str(header.PatientID), str(header.AccessionNumber), "", "")
                answers[study] = Identifiers(values=provider(default()).identify(request).values)
            made = engine.file(source, target, answers[study])
            content = target.read_bytes()
            dataset = content[made.dataset_offset :]
            assert made.sop_instance_uid == engine.uid(uid)
            found[made.sop_instance_uid] = (made.sha256, hashlib.sha256(dataset).hexdigest(), len(dataset))
            target.unlink()
    return found


def outcomes(files: list[File]) -> Iterator[str]:
    """Each path that was handed over has exactly one image or outcome, and an expected one; each image is kept once."""
    met: dict[str, list[str]] = defaultdict(list)
    for sealed, status in Image.objects.values_list("sealed", "status"):
        met[identity.unseal_values(sealed)["path"]].append(status)
    for sealed, outcome in FileOutcome.objects.values_list("sealed_path", "outcome"):
        met[identity.unseal(sealed)].append(outcome)
    cleaned = Batch.objects.filter(cleaned__gt=0).exists()
    registered: Counter[str] = Counter()
    for number, file in enumerate(files):
        found = met.pop(file.path, [])
        if not found and cleaned and "SENT" in file.outcomes:
            continue  # its row is gone; balances() and the destination tell of it
        if len(found) != 1 or found[0] not in file.outcomes:
            yield f"file {number}: {' and '.join(found) or 'no outcome'}, expected {' or '.join(file.outcomes)}"
        if file.sop_instance_uid:
            registered[file.sop_instance_uid] += found.count("SENT")
    if not cleaned and (wrong := [uid for uid, times in registered.items() if times != 1]):
        yield f"{len(wrong)} images are not SENT exactly once"
    if met:
        yield f"{len(met)} files are known that nobody handed over"


def balances(files: list[File]) -> Iterator[str]:
    """`files` of a drop is the sum of what became of them, and all drops together are all files."""
    total = 0
    for batch in Batch.objects.all():
        count, *others = overview.balance(batch).values()
        total += count
        if count != sum(others):
            yield f"drop {batch.pk}: {overview.balance(batch)}"
    if total != len(files):
        yield f"{total} files in all drops, {len(files)} were handed over"


def stuck() -> Iterator[str]:
    """Nothing waits, nothing is held by a worker, nothing was set aside."""
    for status, images in overview.images_by_status().items():
        if images and status not in ("SENT", "DONE"):
            yield f"{images} images are {status}"
    for code, n in Image.objects.exclude(code="").values_list("code").annotate(n=Count("id")).order_by():
        yield f"{n} images: {code}"
    models: tuple[type[Work] | type[Delivery], ...] = (Batch, Series, Delivery)
    for model in models:
        if n := model._default_manager.exclude(token=None).count():
            yield f"{n} {model.__name__} rows are still held"
    if n := Batch.objects.filter(stage="register").count():
        yield f"{n} drops are not registered"
    if n := Series.objects.exclude(stage__in=["cleanup", ""]).count():
        yield f"{n} series are not through"


def receipts() -> Iterator[str]:
    """Every delivery is proven by its content; every image that is SENT has one."""
    if n := Delivery.objects.exclude(state="PROVEN", proof="content").count():
        yield f"{n} deliveries are not proven by content"
    if n := Image.objects.filter(status="SENT").exclude(releases__deliveries__state="PROVEN").count():
        yield f"{n} images are SENT without a proven delivery"


def history() -> Iterator[str]:
    """Summed over its events, each image of a series was new, processed, sent and proven once, by one worker."""
    images = Counter(dict(Image.objects.values_list("series").annotate(n=Count("id")).order_by()))
    seen: dict[int, Counter[str]] = defaultdict(Counter)
    for event in Event.objects.filter(series_id__isnull=False).order_by("id"):
        assert event.series_id is not None
        seen[event.series_id][f"{event.kind} {event.to_status}".strip()] += event.count
    for series, kinds in seen.items():
        due = images[series] + kinds["cleaned DONE"]
        once = {"new-images NEW": due, "status PROCESSING": due, "status DONEPROCESSING": due, "status SENT": due}
        once |= {"proven": due, "sent": due + kinds["unproven"]}
        for name, wanted in once.items():
            if kinds[name] != wanted:
                yield f"series {series} of {due} images: {name} counts {kinds[name]}, not {wanted}"
    for kind in ("received", "registered"):
        for batch, n in Event.objects.filter(kind=kind).values_list("batch_id").annotate(n=Count("id")).order_by():
            if n != 1:
                yield f"drop {batch}: {n} events {kind}"


def forward() -> Iterator[str]:
    """Played back, the history never moves more images out of a status than had come into it."""
    for series in Event.objects.filter(series_id__isnull=False).values_list("series_id", flat=True).distinct():
        have: Counter[str] = Counter()
        for event in Event.objects.filter(series_id=series, kind__in=["new-images", "status", "replay"]).order_by("id"):
            if event.kind == "replay":
                yield f"series {series}: a replay nobody asked for"
            elif event.kind == "status" and event.to_status in ORDER:
                source = ORDER[ORDER.index(event.to_status) - 1]
                assert Status(event.to_status) in FORWARD[Status(source)]
                have[source] -= event.count
                if have[source] < 0:
                    yield f"series {series}: {event.count} images went from {source} to {event.to_status}, too many"
            have[event.to_status] += event.count


def counts() -> Iterator[str]:
    """The counts that a series carries are those of its images."""
    real: dict[int, Counter[str]] = defaultdict(Counter)
    for series, status, n in Image.objects.values_list("series", "status").annotate(n=Count("id")).order_by():
        real[series][status] = n
    for one in Series.objects.all():
        shown = {status: getattr(one, f"n_{status.lower()}") for status in Status.values}
        if any(shown[status] != real[one.pk][status] for status in Status.values):
            yield f"series {one.pk} says {shown}, has {dict(real[one.pk])}"


def releases(released: dict[str, tuple[str, str, int]]) -> Iterator[str]:
    """What is recorded of a release, and its file, are the bytes that the engine makes of the original today."""
    for release in Release.objects.all():
        wanted = released.get(release.sop_instance_uid)
        if wanted is None:
            yield f"release {release.pk} is of an image nobody handed over"
        elif release.sha256 != wanted[0]:
            yield f"release {release.pk} is recorded with another content"
        elif not release.path.exists() or hashlib.sha256(release.path.read_bytes()).hexdigest() != wanted[0]:
            yield f"release {release.pk}: its file is missing or another one"


def orphans() -> Iterator[str]:
    """No file without its row: temporary files, releases, folders of drops."""
    known = {release.path for release in Release.objects.all()}
    strangers = [path for path in settings.RELEASES_DIR.rglob("*") if path.is_file() and path not in known]
    if strangers:
        endings = Counter(path.suffix for path in strangers)
        yield f"{len(strangers)} files in releases/ without a row: {dict(endings)}"
    keys = {str(batch.key) for batch in Batch.objects.all()}
    if unknown := [path for path in settings.DROPS_DIR.iterdir() if path.name not in keys]:
        yield f"{len(unknown)} entries in drops/ without a row"
    for batch in Batch.objects.all():
        needed = {identity.unseal_values(image.sealed)["path"] for image in Image.objects.filter(batch=batch)}
        held = FileOutcome.objects.filter(batch=batch, held=True).values_list("sealed_path", flat=True)
        needed |= {identity.unseal(token) for token in held}
        if missing := [path for path in needed if not (batch.folder / path).exists()]:
            yield f"drop {batch.pk}: {len(missing)} files that are still needed are gone"
