"""When a study that comes by DICOM is complete: nothing more came for a while, its sender has no more, or a person says so.

The deadline stands in the database, on the study; its series wait for it in `identify`, and whichever comes up there sooner
goes back to wait. Drops from folders do not wait.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet, Sum
from django.utils import timezone

import dimse
from deidentify.uids import UidMap
from main import bells, identity
from main.claims import Claim, locked
from main.history import record_each
from main.models import Batch, Image, LedgerEntry, Node, Series, Study, VaultEntry

# How often a sender is asked how many images a study has before the study goes on with what is here.
MOST_ASKS = 3


def news(studies: Collection[int], batch: Batch) -> datetime:
    """Note that images of `studies` were registered, in the transaction that did; returns when their series are due."""
    now = timezone.now()
    if batch.quiet is None:
        return now
    until = now + timedelta(seconds=batch.quiet)
    Study.objects.filter(pk__in=studies).update(
        waits_since=now, complete_at=until, quiet=batch.quiet, node=batch.node, asks=0, note=""
    )
    return until


def let_wait(held: Claim[Series]) -> None:
    """Let go of those of the claimed series whose study may still grow; `held` keeps the others."""
    studies = list(_growing(held.rows))
    if not studies:
        return
    now = timezone.now()
    answers = _ask(held, [one for one in studies if one.complete_at and one.complete_at <= now])
    with transaction.atomic():
        growing = [one for one in locked(_growing(held.rows)) if not _is_complete(one, answers, held, now)]
        waiting = {one.pk: one.complete_at for one in growing}
        for until in sorted({until for until in waiting.values() if until}):
            rows = [row for row in held.rows if waiting.get(row.study_id) == until]
            held.finish(until, rows, attempts=0, error_code="", error="")
    held.rows = [row for row in held.rows if row.study_id not in waiting]


def complete(studies: QuerySet[Study], actor: str) -> int:
    """Say for a person that studies are complete; returns how many series go on now."""
    now = timezone.now()
    with transaction.atomic():
        waiting = locked(studies.filter(complete_at__isnull=False))
        Study.objects.filter(pk__in=[one.pk for one in waiting]).update(complete_at=None)
        rows = locked(Series.objects.filter(study__in=waiting, stage="identify", token=None))
        Series.objects.filter(pk__in=[row.pk for row in rows]).update(due_at=now)
        sentence = "The study was said to be complete; it waits for no more images."
        record_each("complete", {row.pk: row.n_new for row in rows}, actor=actor, sentence=sentence)
        bells.ring("identify")
    return len(rows)


@dataclass(frozen=True)
class Answer:
    """What the sender says of a study: how many images it has there; None, and in a sentence why that is not known."""

    sender: str
    count: int | None
    sentence: str = ""


def _growing(rows: Sequence[Series]) -> QuerySet[Study]:
    return Study.objects.filter(pk__in={row.study_id for row in rows}, complete_at__isnull=False)


def _ask(held: Claim[Series], studies: Sequence[Study]) -> dict[int, Answer]:
    """Ask the senders of `studies`, where they are to be asked; who does not answer is asked once."""
    asked = Node.objects.filter(pk__in={one.node for one in studies}, ask_count=True, port__isnull=False)
    nodes = {node.pk: node for node in asked.exclude(host="")}
    found: dict[int, Answer] = {}
    silent: dict[int, Answer] = {}
    for study in studies:
        if (node := nodes.get(study.node or 0)) is None:
            continue
        answer = silent.get(node.pk)
        if answer is None:
            held.hold()
            answer = _count(node, study)
            if answer.count is None:
                silent[node.pk] = answer
        found[study.pk] = answer
    return found


def _count(node: Node, study: Study) -> Answer:
    try:
        return Answer(node.name, dimse.count_instances(node.peer(), identity.unseal(study.sealed_uid)))
    except dimse.DimseError as error:
        return Answer(node.name, None, error.sentence)


def _is_complete(study: Study, answers: Mapping[int, Answer], held: Claim[Series], now: datetime) -> bool:
    """Decide whether a study was to be waited for at `now` any longer, and write what was decided; it is locked."""
    if study.complete_at is None or study.complete_at > now:
        return False
    sentence, ended = "", True
    if (answer := answers.get(study.pk)) is not None:
        here = _images_of(study)
        ended = answer.count is not None and here >= answer.count
        if not ended:
            sentence = answer.sentence or f"{answer.sender} has {answer.count} images of it, {here} are here."
    if not ended and study.asks + 1 < MOST_ASKS:
        study.asks, study.waits_since, study.complete_at = study.asks + 1, now, now + timedelta(seconds=study.quiet)
        study.note = f"It may lack images. {sentence}"[:500]
        study.save(update_fields=["asks", "waits_since", "complete_at", "note"])
        return False
    study.complete_at = None
    study.note = f"It may lack images: it went on after {MOST_ASKS} questions. {sentence}"[:500] if sentence else ""
    study.save(update_fields=["complete_at", "note"])
    if sentence:
        own = {row.pk: row.n_new for row in held.rows if row.study_id == study.pk}
        record_each("incomplete", own, sentence=study.note)
    return True


def _images_of(study: Study) -> int:
    """Images of the study that are here, and those of it that were cleaned up."""
    uid = identity.unseal(study.sealed_uid)
    replaced = UidMap(identity.pseudonyms(study.project).engine_key, settings.SENDIT_UID_ROOT).replacement(uid)
    ways = VaultEntry.objects.filter(study_index=study.uid_index, project=study.project)
    by_recipes = ways.values("study_instance_uid")  # of other roots
    given_out = Q(study_instance_uid__in=[replaced, uid]) | Q(study_instance_uid__in=by_recipes)  # uid: it was kept
    entries = LedgerEntry.objects.filter(given_out, project=study.project)
    gone = entries.aggregate(images=Sum(F("images") + F("excluded")))["images"]
    return Image.objects.filter(series__study=study).count() + (gone or 0)
