"""Erasure of one patient: what leads from the pseudonym to the person is destroyed, and proof of what was done stays.

What is on its way is not torn off: it has to arrive or be discarded first.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from main import crosswalk
from main.claims import ANEW, claim
from main.errors import Permanent
from main.history import record
from main.models import PatientNumber, Pseudonym, Series, VaultEntry
from main.pipeline.cleanup import remove_proven
from main.pipeline.next_stage import stage_of


@dataclass(frozen=True)
class Forgotten:
    """What was destroyed: entries of the vault, series that were still here, and to whom pseudonyms were given."""

    entries: int
    images: int
    series: int
    pseudonyms: int


def forget(pseudonym: str, reason: str, actor: str) -> Forgotten:
    """Destroy what leads from a released PatientID to the patient.

    Of what the node still has of the patient originals, releases and rows are removed as a cleanup does it, with a line in
    the ledger. Ledger and history hold pseudonyms only, and stay.

    Raises
    ------
    Permanent
        `in-hand`: something of this patient is on its way, or held for a person; nothing was destroyed. Or what
        `cleanup` raises.
    """
    subjects = _subjects(pseudonym)
    if not subjects:  # not recorded: it may be anything, also the original id, typed by mistake
        return Forgotten(0, 0, 0, 0)
    here = list(Series.objects.filter(study__subject__key_index__in=subjects).order_by("pk"))
    if busy := sum(stage_of(series) != "cleanup" for series in here):
        raise Permanent(
            "in-hand",
            f"{busy} series of this patient are on their way or held: let them arrive, or discard them first.",
        )
    for series in here:
        _remove(series)
    entries = VaultEntry.objects.filter(Q(patient_id=pseudonym) | Q(subject_index__in=subjects))
    with transaction.atomic():
        images = sum(entries.values_list("images", flat=True))
        count, _ = entries.delete()
        for number in PatientNumber.objects.filter(key_index__in=subjects):
            number.key_index = f"forgotten-{secrets.token_hex(24)}"  # the number is not given again
            number.save(update_fields=["key_index"])
        names = crosswalk.forget(pseudonym, subjects)
        sentence = f"{pseudonym} is forgotten: {len(here)} series that were here, {count} entries of the vault."
        record("forget", actor=actor, count=images, sentence=f"{sentence} Reason: {reason}")
    return Forgotten(count, images, len(here), names)


def _subjects(pseudonym: str) -> Collection[str]:
    """Return the blind indexes of who has a pseudonym."""
    kept = VaultEntry.objects.filter(patient_id=pseudonym).values_list("subject_index", flat=True)
    here = Series.objects.filter(identifiers__patient_id=pseudonym).values_list("study__subject__key_index", flat=True)
    known = Pseudonym.objects.filter(pseudonym=pseudonym).values_list("subject_index", flat=True)
    return {*kept, *here, *known}


def _remove(series: Series) -> None:
    """Remove a series that is proven, in this process's hands."""
    Series.objects.filter(pk=series.pk, token=None).update(stage="cleanup", due_at=timezone.now(), **ANEW)
    held = claim(Series, "cleanup", series.pk)
    if held is None:
        raise Permanent("in-hand", "A worker holds a series of this patient just now: try again in a moment.")
    remove_proven(held)
