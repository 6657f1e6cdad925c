"""The vault's doors: ways back are put in while images are released, and found again by either name of what they lead to.

Values come out only as `WayBack`, into the hands of who has the right to them. Nothing is recorded here: who opens the
vault for a person records it first (`main/restoring.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from deidentify import WayBack, Ways
from deidentify.dictionary import TAGS
from deidentify.gate import SOP_INSTANCE
from deidentify.way_back import merged
from main import identity
from main.claims import locked
from main.models import Release, Series, SeriesIdentifiers, VaultEntry

# Bytes of ways back after which a chunk of a series is committed.
FULL = 1 << 23

_OPEN = 8
_STUDY, _SERIES = TAGS["StudyInstanceUID"], TAGS["SeriesInstanceUID"]


class Gathered:
    """The ways back of a chunk of releases, before they are put in."""

    def __init__(self) -> None:
        self._ways: dict[tuple[int, str], tuple[Release, Ways]] = {}

    @property
    def full(self) -> bool:
        """Whether no more should be held in memory."""
        return sum(ways.size for _, ways in self._ways.values()) > FULL

    def add(self, series: int, release: Release, way: WayBack) -> None:
        """Put the way back of a release to the others of its series and recipe."""
        _, ways = self._ways.setdefault((series, release.recipe_hash), (release, Ways()))
        ways.add(release.sop_instance_uid, way)

    def names(self, series: int, recipe_hash: str) -> set[str]:
        """Return the released SOP Instance UIDs of a series under a recipe."""
        _, ways = self._ways.get((series, recipe_hash), (None, ()))
        return set(ways)

    def sealed(self, identifiers: Mapping[int, SeriesIdentifiers]) -> list[VaultEntry]:
        """Return what is to be kept; it takes a while, so it is for before the transaction."""
        series = {pk for pk, _ in self._ways}
        rows = Series.objects.filter(pk__in=series).select_related("study__subject")
        known = {row.pk: row for row in rows} if series else {}
        now = timezone.now()
        return [
            VaultEntry(
                series_id=pk,
                project=known[pk].project,
                recipe=release.recipe,
                recipe_hash=release.recipe_hash,
                study_instance_uid=release.study_instance_uid,
                series_instance_uid=release.series_instance_uid,
                patient_id=identifiers[pk].patient_id,
                subject_index=known[pk].study.subject.key_index,
                study_index=known[pk].study.uid_index,
                series_index=known[pk].uid_index,
                images=len(ways),
                sealed=identity.seal_bytes(ways.packed()),
                at=now,
            )
            for (pk, _), (release, ways) in self._ways.items()
        ]


class Keeping:
    """Puts ways back of series in, in place of those that earlier runs put in for the same images and recipe.

    Parameters
    ----------
    series : iterable of int
        Numbers of series in one worker's hands.
    """

    def __init__(self, series: Iterable[int]) -> None:
        earlier = VaultEntry.objects.filter(series_id__in=list(series)) if settings.SENDIT_VAULT else None
        self._earlier = list(earlier.values_list("pk", flat=True)) if earlier is not None else []

    def keep(self, entries: Sequence[VaultEntry], gathered: Gathered) -> None:
        """Write `entries`, which `gathered` became, in the transaction of their releases."""
        if self._earlier and entries:
            for entry in locked(VaultEntry.objects.filter(pk__in=self._earlier)):
                _without(entry, gathered.names(entry.series_id, entry.recipe_hash))
        VaultEntry.objects.bulk_create(entries)


def _without(entry: VaultEntry, names: set[str]) -> None:
    """Take the ways back of the images `names` out of an entry."""
    if not names:
        return
    ways = Ways.unpacked(identity.unseal_bytes(entry.sealed))
    if names.isdisjoint(ways):
        return
    left = ways.without(names)
    if not left:
        entry.delete()
        return
    entry.images, entry.sealed = len(left), identity.seal_bytes(left.packed())
    entry.save(update_fields=["images", "sealed"])


def of_patient(pseudonym: str) -> QuerySet[VaultEntry]:
    """Return the entries of a patient by the released PatientID, the newest first."""
    return _found(patient_id=pseudonym)


def of_study(uid: str) -> QuerySet[VaultEntry]:
    """Return the entries of a study by its released UID, the newest first."""
    return _found(study_instance_uid=uid)


def of_series(uid: str) -> QuerySet[VaultEntry]:
    """Return the entries of a series by its released UID, the newest first."""
    return _found(series_instance_uid=uid)


def of_original_patient(issuer: str, patient_id: str) -> QuerySet[VaultEntry]:
    """Return the entries of a patient by issuer and original PatientID, the newest first."""
    return _found(subject_index=identity.blind_index("patient", identity.patient_key(issuer, patient_id, "")))


def of_original_study(uid: str) -> QuerySet[VaultEntry]:
    """Return the entries of a study by its original UID, the newest first."""
    return _found(study_index=identity.blind_index("study", uid))


def of_original_series(uid: str) -> QuerySet[VaultEntry]:
    """Return the entries of a series by its original UID, the newest first."""
    return _found(series_index=identity.blind_index("series", uid))


def original_study(uid: str) -> str | None:
    """Return the original UID of a released study; None if the vault does not know it."""
    entry = of_study(uid).first()
    return Opened().original_uids(entry)[0] if entry else None


def original_series(uid: str) -> str | None:
    """Return the original UID of a released series; None if the vault does not know it."""
    entry = of_series(uid).first()
    return Opened().original_uids(entry)[1] if entry else None


def original_instance(series_uid: str, uid: str) -> str | None:
    """Return the original SOP Instance UID of a released image of a released series; None if it is not known."""
    opened = Opened()
    for entry in of_series(series_uid):
        if way := opened.ways_of(entry).get(uid):
            return way.uid(SOP_INSTANCE) or uid
    return None


def _found(**key: str) -> QuerySet[VaultEntry]:
    return VaultEntry.objects.filter(**key).defer("sealed").order_by("-pk")


class Opened:
    """Entries that were opened lately: images of a series lie in few of them."""

    def __init__(self) -> None:
        self._ways: dict[int, Ways] = {}

    def ways_of(self, entry: VaultEntry) -> Ways:
        """Return what an entry holds."""
        found = self._ways.pop(entry.pk, None) or Ways.unpacked(identity.unseal_bytes(entry.sealed))
        while len(self._ways) >= _OPEN:
            del self._ways[next(iter(self._ways))]
        self._ways[entry.pk] = found
        return found

    def original_uids(self, entry: VaultEntry) -> tuple[str, str]:
        """Return the original UIDs of the study and the series of an entry."""
        ways = self.ways_of(entry)
        way = ways.get(next(iter(ways)))
        assert way is not None
        return way.uid(_STUDY) or entry.study_instance_uid, way.uid(_SERIES) or entry.series_instance_uid

    def way_back(
        self, entries: Sequence[VaultEntry], sop_instance_uid: str, transfer_syntax_uid: str
    ) -> WayBack | None:
        """Return the way back of a released image of one series, or None.

        Parameters
        ----------
        entries : sequence of VaultEntry
            Of its series, the newest first.
        sop_instance_uid : str
            Of the release. Several recipes may have given it: the way leads back from each of these releases.
        transfer_syntax_uid : str
            Of the file at hand: where recipes stored pixel data in different ways, it says which one it was.
        """
        ways = list(self._each(entries, sop_instance_uid))
        fitting = [way for way in ways if way.transfer_syntax_uid == transfer_syntax_uid]
        return merged(fitting or ways) if ways else None

    def _each(self, entries: Sequence[VaultEntry], uid: str) -> Iterator[WayBack]:
        recipes = set[str]()
        for entry in entries:
            if entry.recipe_hash not in recipes and (way := self.ways_of(entry).get(uid)):
                recipes.add(entry.recipe_hash)
                yield way
