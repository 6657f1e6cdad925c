"""Erasure, of one patient or by age: what leads from pseudonyms to persons is destroyed, and proof of what was done stays.

What is on its way is not torn off: it has to arrive or be discarded first. A pseudonym names a patient in one project; what
others have of him goes only when that is asked for.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from main import crosswalk
from main.claims import ANEW, claim
from main.errors import Permanent
from main.history import record
from main.models import PatientNumber, Pseudonym, Series, VaultEntry
from main.pipeline.cleanup import remove_proven
from main.pipeline.next_stage import stage_of

# Entries that are destroyed in one transaction.
_PIECE = 500


@dataclass(frozen=True)
class Forgotten:
    """What was destroyed: entries of the vault, series that were still here, and to whom pseudonyms were given.

    `elsewhere` names the other projects that still have something of the patient.
    """

    entries: int
    images: int
    series: int
    pseudonyms: int
    elsewhere: tuple[str, ...] = ()


def forget(pseudonym: str, reason: str, actor: str, project: str = "", *, everywhere: bool = False) -> Forgotten:
    """Destroy what leads from a released PatientID to the patient.

    Of what the node still has of the patient originals, releases and rows are removed as a cleanup does it, with a line in
    the ledger. Ledger and history hold pseudonyms only, and stay.

    Parameters
    ----------
    project : str
        Whose pseudonym it is; needed where several projects gave it out.
    everywhere : bool
        Destroy as well what other projects have of the patient.

    Raises
    ------
    Permanent
        `several-projects`: it is not said whose pseudonym is meant. `in-hand`: something of this patient is on its way, or
        held for a person; nothing was destroyed. Or what `cleanup` raises.
    """
    meant = _meant(pseudonym, project)
    if len(projects := sorted({name for name, _ in meant})) > 1:
        raise Permanent(
            "several-projects",
            f"The projects {' and '.join(projects)} gave this pseudonym out, perhaps to different patients: say which "
            "is meant.",
        )
    if not meant:  # not recorded: it may be anything, also the original id, typed by mistake
        return Forgotten(0, 0, 0, 0)
    subjects = {subject for _, subject in meant}
    theirs = Series.objects.filter(study__subject__key_index__in=subjects)
    entries = VaultEntry.objects.filter(subject_index__in=subjects)
    numbers = PatientNumber.objects.filter(key_index__in=subjects)
    called = {*entries.values_list("project", "patient_id"), *theirs.values_list("project", "identifiers__patient_id")}
    called |= set(Pseudonym.objects.filter(subject_index__in=subjects).values_list("project", "pseudonym"))
    elsewhere = {name for name, _ in called}.union(numbers.values_list("project", flat=True)).difference(projects)
    if everywhere:
        projects, elsewhere = sorted(elsewhere.union(projects)), set()
    numbers, entries = numbers.filter(project__in=projects), entries.filter(project__in=projects)
    here = list(theirs.filter(project__in=projects).order_by("pk"))
    if busy := sum(stage_of(series) != "cleanup" for series in here):
        raise Permanent(
            "in-hand",
            f"{busy} series of this patient are on their way or held: let them arrive, or discard them first.",
        )
    for series in here:
        _remove(series)
    with transaction.atomic():
        images = sum(entries.values_list("images", flat=True))
        count, _ = entries.delete()
        for number in numbers:
            number.key_index = f"forgotten-{secrets.token_hex(24)}"  # the number is not given again
            number.save(update_fields=["key_index"])
        names = sum(
            crosswalk.forget(name, subjects, {text for other, text in called if other == name and text})
            for name in projects
        )
        sentence = f"{pseudonym} is forgotten: {len(here)} series that were here, {count} entries of the vault."
        record("forget", actor=actor, count=images, sentence=f"{sentence} Reason: {reason}")
    return Forgotten(count, images, len(here), names, tuple(sorted(elsewhere)))


def expire() -> int:
    """Destroy what leads back and is older than `SENDIT_VAULT_DAYS`, and to whom pseudonyms belong of which nothing is left.

    Returns how many entries of the vault that were.
    """
    if settings.SENDIT_VAULT_DAYS is None:
        return 0
    old = VaultEntry.objects.filter(at__lt=timezone.now() - timedelta(days=settings.SENDIT_VAULT_DAYS)).order_by("at")
    done = 0
    while piece := list(old.values_list("pk", "project", "patient_id", "images")[:_PIECE]):
        with transaction.atomic():
            count, _ = VaultEntry.objects.filter(pk__in=[pk for pk, *_ in piece]).delete()
            for project in {name for _, name, *_ in piece}:
                names = {pseudonym for _, name, pseudonym, _ in piece if name == project}
                left = VaultEntry.objects.filter(project=project, patient_id__in=names)
                crosswalk.unname(project, names.difference(left.values_list("patient_id", flat=True)))
            sentence = (
                f"{count} entries of the vault were older than {settings.SENDIT_VAULT_DAYS} days and are destroyed."
            )
            record("expire", count=sum(images for *_, images in piece), sentence=sentence)
        done += count
    return done


def _meant(pseudonym: str, project: str) -> Collection[tuple[str, str]]:
    """Return the projects that gave a pseudonym out, or the one that is named, each with the blind index of who has it."""
    kept = VaultEntry.objects.filter(patient_id=pseudonym).values_list("project", "subject_index")
    here = Series.objects.filter(identifiers__patient_id=pseudonym).values_list("project", "study__subject__key_index")
    known = crosswalk.holders(pseudonym)
    return {(name, subject) for name, subject in (*kept, *here, *known) if project in ("", name)}


def _remove(series: Series) -> None:
    """Remove a series that is proven, in this process's hands."""
    Series.objects.filter(pk=series.pk, token=None).update(stage="cleanup", due_at=timezone.now(), **ANEW)
    held = claim(Series, "cleanup", series.pk)
    if held is None:
        raise Permanent("in-hand", "A worker holds a series of this patient just now: try again in a moment.")
    remove_proven(held)
