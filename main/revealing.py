"""What released names lead back to, told without an image: found in the vault, recorded, and only then opened.

Who may is decided by those who call. A name that is asked for and not known is written nowhere: it may be an original one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db.models import Max, QuerySet
from django.utils import timezone

from deidentify.levels import PATIENT, SERIES, STUDY
from main import vault
from main.history import record
from main.models import Event, Series, VaultEntry
from main.models.imaging import Status

# Uses of one person in a minute, by every way together; a use tells of up to 100 names.
USES, WITHIN = 30, timedelta(minutes=1)
_ON_THE_WAY = (Status.NEW, Status.PROCESSING, Status.DONEPROCESSING)
_FINDS: Mapping[str, Callable[[str], QuerySet[VaultEntry]]] = {
    "series": vault.of_series,
    "study": vault.of_study,
    "patient": vault.of_patient,
}


@dataclass(frozen=True)
class Use:
    """What the record of a use says: who, by what way, and the reason that was given."""

    actor: str
    by: str
    reason: str


@dataclass(frozen=True)
class Told:
    """Original values of one series: of its patient, its study and itself.

    Attributes
    ----------
    entry : VaultEntry
        From where, with the released names.
    texts : dict of str to str
        By keyword; what had no value is not there.
    """

    entry: VaultEntry
    texts: Mapping[str, str] = field(repr=False)

    def of(self, keywords: Iterable[str]) -> dict[str, str]:
        """Return those of `keywords` that have a value."""
        return {keyword: self.texts[keyword] for keyword in keywords if keyword in self.texts}

    @property
    def study_is_complete(self) -> bool:
        """Whether no series of the study is on its way."""
        uid = self.entry.study_instance_uid
        numbers = VaultEntry.objects.filter(study_instance_uid=uid).values("series_id")
        return not Series.objects.filter(pk__in=numbers, status__in=_ON_THE_WAY).exists()


def allowed() -> bool:
    """Whether originals may be made known at all on this node."""
    return bool(settings.SENDIT_RESTORE)


def wait(actor: str) -> int:
    """Return how many seconds this person has to wait for the next use, 0 for none."""
    now = timezone.now()
    uses = Event.objects.filter(names__isnull=False, actor=actor[:64], at__gt=now - WITHIN).order_by("-at")
    recent = list(uses.values_list("at", flat=True)[:USES])
    return 0 if len(recent) < USES else max(1, int((recent[-1] + WITHIN - now).total_seconds()) + 1)


def level_of(name: str) -> str:
    """Return what a released name is of: ``series``, ``study`` or ``patient``; an empty string if it is not known."""
    return next((level for level, find in _FINDS.items() if find(name).exists()), "")


def reveal(level: str, names: Iterable[str], use: Use, most: int = 1) -> dict[str, list[Told]]:
    """Tell the original values behind released names, after that was recorded.

    Parameters
    ----------
    level : str
        What the names are of: ``patient``, ``study`` or ``series``.
    names : iterable of str
        PatientIDs, Study Instance UIDs or Series Instance UIDs, as released.
    use : Use
        For the record.
    most : int
        Of how many series of each name it is told, the newest first.

    Returns
    -------
    dict of str to list of Told
        By the names that are known.
    """
    found = {name: entries for name in dict.fromkeys(names) if (entries := _newest(level, name, most))}
    _record(level, found, use)
    opened = vault.Opened()
    return {name: [_told(entry, opened) for entry in entries] for name, entries in found.items()}


def _newest(level: str, name: str, most: int) -> list[VaultEntry]:
    """Return the newest entry of each of the newest series of a name."""
    entries = _FINDS[level](name)
    newest = entries.values("series_instance_uid").annotate(newest=Max("pk")).order_by("-newest")[:most]
    return list(entries.filter(pk__in=[row["newest"] for row in newest]))


def _record(level: str, found: Mapping[str, list[VaultEntry]], use: Use) -> None:
    entries = [entry for entries in found.values() for entry in entries]
    patients = dict.fromkeys(entry.patient_id for entry in entries)
    names = list(dict.fromkeys([*patients, *found]))
    whose = f"{len(found)} {level if level == 'series' or len(found) == 1 else _SEVERAL[level]}"
    record(
        "reveal",
        actor=use.actor,
        series_id=entries[0].series_id if len(entries) == 1 else None,
        count=len(found),
        names=names,
        sentence=f"Original values of {whose} by {use.by}. Reason: {use.reason}",
    )


_SEVERAL = {"patient": "patients", "study": "studies"}


def _told(entry: VaultEntry, opened: vault.Opened) -> Told:
    """Open an entry. One image tells for its series: what tells whose it is is in every way back."""
    ways = opened.ways_of(entry)
    way = ways.get(next(iter(ways)))
    assert way is not None
    return Told(entry, way.texts([*PATIENT, *STUDY, *SERIES]))
