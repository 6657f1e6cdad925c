"""Finds series by what a person has in hand: a number, what was given out, or, with the right to it, an original value.

The text arrives by POST and goes nowhere else: what is found is named by the node's own numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.db.models import Q

from main import identity
from main.models import Image, LedgerEntry, Release, Series, SeriesIdentifiers, Study, Subject

MOST = 50


@dataclass
class Found:
    """Numbers of what was found. `by_original` tells whether an original value led there."""

    series: set[int] = field(default_factory=set)
    studies: set[int] = field(default_factory=set)
    subjects: set[int] = field(default_factory=set)
    cleaned: set[int] = field(default_factory=set)
    by_original: bool = False

    def __bool__(self) -> bool:
        return bool(self.series or self.studies or self.subjects or self.cleaned)

    @property
    def only(self) -> int | None:
        """The series, when it is one and nothing else."""
        numbers = self.series | self.cleaned
        return next(iter(numbers)) if len(numbers) == 1 and not self.studies and not self.subjects else None

    def query(self) -> str:
        """The query of the list of these series."""
        pairs = [("subject", pk) for pk in sorted(self.subjects)] + [("study", pk) for pk in sorted(self.studies)]
        return urlencode(pairs + [("number", pk) for pk in sorted(self.series)[:MOST]])


def find(text: str, *, originals: bool) -> Found:
    """Look `text` up in every way that this person may.

    Parameters
    ----------
    originals : bool
        Also as an original Patient ID (`ID` or `ID^^^ISSUER`), accession number or UID, by the blind index.
    """
    text, found = text.strip(), Found()
    if not text or len(text) > 200:
        return found
    if text.isdecimal() and len(text) < 16:
        number = int(text)
        found.series.update(Series.objects.filter(pk=number).values_list("pk", flat=True))
        found.cleaned.update(LedgerEntry.objects.filter(series_id=number).values_list("series_id", flat=True)[:1])
    _given_out(text, found)
    if originals:
        before = _sizes(found)
        _original(text, found)
        found.by_original = _sizes(found) != before
    return found


def _given_out(text: str, found: Found) -> None:
    """By the pseudonym or a UID that went out."""
    pseudonym = SeriesIdentifiers.objects.filter(patient_id=text)
    found.series.update(pseudonym.values_list("series", flat=True)[:MOST])
    released = Q(series_instance_uid=text) | Q(study_instance_uid=text)
    if text.replace(".", "").isdecimal() and "." in text:
        uids = released | Q(sop_instance_uid=text)
        found.series.update(Release.objects.filter(uids).values_list("image__series", flat=True).distinct()[:MOST])
    ledger = LedgerEntry.objects.filter(released | Q(patient_id=text))
    found.cleaned.update(ledger.values_list("series_id", flat=True)[:MOST])


def _original(text: str, found: Found) -> None:
    """By what came in, through the blind index."""
    patient_id, _, issuer = text.partition("^^^")
    patient = identity.blind_index("patient", identity.patient_key(issuer, patient_id, ""))
    found.subjects.update(Subject.objects.filter(key_index=patient).values_list("pk", flat=True))
    study = identity.blind_index("study", text)
    found.studies.update(Study.objects.filter(uid_index=study).values_list("pk", flat=True))
    series = Series.objects.filter(uid_index=identity.blind_index("series", text))
    found.series.update(series.values_list("pk", flat=True)[:MOST])
    accession = Series.objects.filter(accession_index=identity.accession_index(text))
    found.series.update(accession.values_list("pk", flat=True)[:MOST])
    image = Image.objects.filter(uid_index=identity.blind_index("instance", text))
    found.series.update(image.values_list("series", flat=True)[:MOST])


def _sizes(found: Found) -> tuple[int, ...]:
    return len(found.series), len(found.studies), len(found.subjects)
