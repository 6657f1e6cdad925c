"""The crosswalk's doors: pseudonyms are entered when a provider gives them, and found again by either name of the patient.

A pseudonym that would make one patient of two, or two of one, is refused here, whatever provider gave it, and whenever.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from main import identity, projects
from main.errors import Quarantine
from main.identifiers import Answer, Provider, Request, provider, provider_class
from main.models import Pseudonym, Subject
from main.projects import Project

PATIENT = "patient"
_FORGOTTEN = "forgotten-"

K = TypeVar("K", bound=Hashable)

_TAKEN = Quarantine(
    "identifiers-taken",
    "The provider gives this patient a pseudonym that another patient of the project has: the two would become one. "
    "Nothing is released. Have each given one of his own there, then requeue.",
)
_OF_FORGOTTEN = Quarantine(
    "identifiers-taken",
    "The provider gives this patient a pseudonym that a patient had who is forgotten. Nothing is released. Have a new one "
    "given there, then requeue.",
)
_CHANGED = Quarantine(
    "identifiers-changed",
    "The provider gives this patient another pseudonym than before: one patient would become two. Nothing is released. "
    "Correct it there and requeue, or, if the new one is right, replay this series from identify.",
)


@dataclass(frozen=True)
class Name:
    """A pseudonym that a provider gave to a patient, as it is entered."""

    subject_index: str
    pseudonym: str
    sealed: str = field(repr=False)
    is_computed: bool = False


@dataclass(frozen=True)
class Patient:
    """Who a pseudonym belongs to. Original values: only for those who have the right to them."""

    issuer: str = field(repr=False)
    patient_id: str = field(repr=False)
    name: str = field(default="", repr=False)


def name_of(project: Project, request: Request, answer: Answer) -> Name:
    """Return what is entered of an answer in a project; it is sealed here, so this is for before the transaction."""
    given_by, issuer = provider_class(project), request.header.get("IssuerOfPatientID", "")
    values = {"issuer": issuer, "patient_id": request.patient_id, "name": dict(request.known).get("PatientName", "")}
    return Name(
        subject_index(given_by, issuer, request.patient_id) or identity.blind_index("patient", request.patient_key),
        answer.values.get("PatientID", ""),
        identity.seal(values) if settings.SENDIT_VAULT else "",
        given_by.is_computed,
    )


def subject_index(given_by: type[Provider], issuer: str, patient_id: str) -> str:
    """Return the blind index of who is one patient to a provider; of no id, none."""
    if not patient_id.strip():
        return ""
    return identity.blind_index("patient", identity.patient_key(issuer, given_by.same_id(patient_id), ""))


def enter(project: str, names: Mapping[K, Name]) -> dict[K, Quarantine]:
    """Enter what is new, in the transaction of the identifiers; returns what is refused, and why.

    The subjects are locked: what others enter meanwhile is of other patients. A constant number of statements.
    """
    wanted = {key: name for key, name in names.items() if name.pseudonym}
    if not wanted:
        return {}
    known = _Known(project, wanted.values())
    if new := known.unknown(wanted.values()):
        # In one order, so that two who enter the same pseudonym never wait for each other.
        Pseudonym.objects.bulk_create(sorted(new, key=lambda row: row.pseudonym), ignore_conflicts=True)
        known = _Known(project, wanted.values())
    return {key: refused for key, name in wanted.items() if (refused := known.refusal(name))}


class _Known:
    """What the crosswalk knows about names: by their pseudonym, and the current ones of their patients."""

    def __init__(self, project: str, names: Iterable[Name]) -> None:
        self._project = project
        pseudonyms, subjects = {name.pseudonym for name in names}, {name.subject_index for name in names}
        about = Q(pseudonym__in=pseudonyms) | Q(subject_index__in=subjects, is_current=True)
        rows = list(_of(project).filter(about).defer("sealed"))
        self._by_pseudonym = {row.pseudonym: row for row in rows}
        self._current = {row.subject_index: row for row in rows if row.is_current}

    def unknown(self, names: Iterable[Name]) -> list[Pseudonym]:
        return [
            Pseudonym(
                project=self._project,
                kind=PATIENT,
                subject_index=name.subject_index,
                pseudonym=name.pseudonym,
                sealed=name.sealed,
                at=timezone.now(),
            )
            for name in names
            if name.pseudonym not in self._by_pseudonym and name.subject_index not in self._current
        ]

    def refusal(self, name: Name) -> Quarantine | None:
        """Why the patient cannot be called so; a name of before that comes back becomes the current one."""
        row, current = self._by_pseudonym.get(name.pseudonym), self._current.get(name.subject_index)
        if row is not None and row.subject_index != name.subject_index:
            is_forgotten = row.subject_index.startswith(_FORGOTTEN)
            if not (is_forgotten and name.is_computed):
                return _OF_FORGOTTEN if is_forgotten else _TAKEN
        if row is None or (current is not None and current.pk != row.pk):
            return _CHANGED
        if current is None:
            row.subject_index, row.is_current, row.sealed = name.subject_index, True, name.sealed or row.sealed
            row.save(update_fields=["subject_index", "is_current", "sealed"])
            self._current[name.subject_index] = row
        return None


def retire(project: str, subject: Subject) -> None:
    """Let a patient be given another pseudonym: an operator wants the provider asked anew."""
    values = identity.unseal_values(subject.sealed)
    own = {subject.key_index, subject_index(_given_by(project), values["issuer"], values["patient_id"])}
    _of(project).filter(subject_index__in=own, is_current=True).update(is_current=False)


def forget(project: str, subjects: Collection[str], pseudonyms: Collection[str]) -> int:
    """Keep of patients of a project that their pseudonyms were given, and not to whom; returns how many there were."""
    count = 0
    theirs = Q(pseudonym__in=pseudonyms) | Q(subject_index__in=subjects)
    for row in _of(project).filter(theirs).order_by("pk"):
        if not row.subject_index.startswith(_FORGOTTEN):
            row.subject_index, row.sealed = f"{_FORGOTTEN}{secrets.token_hex(24)}", ""
            row.save(update_fields=["subject_index", "sealed"])
            count += 1
    return count


def unname(project: str, pseudonyms: Collection[str]) -> None:
    """Keep of pseudonyms whose they are, for the next images, but no longer what their patients are called."""
    _of(project).filter(pseudonym__in=pseudonyms).update(sealed="")


def holders(pseudonym: str) -> list[tuple[str, str]]:
    """Return the projects that gave a pseudonym out, each with the blind index of who has it and is not forgotten."""
    rows = Pseudonym.objects.filter(kind=PATIENT, pseudonym=pseudonym).values_list("project", "subject_index")
    return [(project, subject) for project, subject in rows if not subject.startswith(_FORGOTTEN)]


def of_pseudonym(project: str, pseudonym: str) -> Pseudonym | None:
    """Return the row of a released PatientID, or None."""
    return _of(project).filter(pseudonym=pseudonym).first()


def of_patient(project: str, issuer: str, patient_id: str) -> list[Pseudonym]:
    """Return what a patient is called, by issuer and original PatientID; the current pseudonym first."""
    own = subject_index(_given_by(project), issuer, patient_id)
    return list(_of(project).filter(subject_index=own).order_by("-is_current", "-pk")) if own else []


def patient_of(row: Pseudonym) -> Patient | None:
    """Return who a pseudonym belongs to; None if that was forgotten or never kept."""
    return Patient(**identity.unseal_values(row.sealed)) if row.sealed else None


def patients_behind(project: str, pseudonyms: Collection[str]) -> dict[str, Patient]:
    """Return who pseudonyms belong to, as far as anybody can tell: the vault, or else the provider.

    The provider is not asked about who is forgotten here. For those who may see originals, and record it.

    Raises
    ------
    Transient
        The provider is away.
    """
    rows = {row.pseudonym: row for row in _of(project).filter(pseudonym__in=pseudonyms)}
    found = {name: patient for name, row in rows.items() if (patient := patient_of(row))}
    forgotten = {name for name, row in rows.items() if row.subject_index.startswith(_FORGOTTEN)}
    if unknown := [name for name in pseudonyms if name not in found and name not in forgotten]:
        told = provider(projects.project(project)).original_of(unknown)
        found |= {name: Patient("", one) for name, one in told.items() if isinstance(one, str)}
    return found


def _given_by(project: str) -> type[Provider]:
    """The class of the provider of the project of this name; of one that is not configured any more, the plainest."""
    try:
        return provider_class(projects.project(project))
    except Quarantine:
        return Provider


def _of(project: str) -> QuerySet[Pseudonym]:
    return Pseudonym.objects.filter(project=project, kind=PATIENT)
