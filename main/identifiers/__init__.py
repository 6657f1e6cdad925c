"""Providers of identifiers, one a file: each has a class `Provider` with `name`, `identify_many` and `check`.

Adding one touches nothing else: a module in this package with a `Provider` is found by its name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from main.errors import Quarantine
from main.projects import Project, default


@dataclass(frozen=True)
class Request:
    """What a provider is asked about: one study of one patient. Original values: never logged, never in an error.

    `known` is for us, not for the provider: keywords and values that must be in no image that leaves.
    """

    patient_key: str = field(repr=False)
    patient_id: str = field(repr=False)
    accession_number: str = field(repr=False)
    patient_birth_date: str = field(repr=False)
    study_date: str = field(repr=False)
    header: dict[str, str] = field(default_factory=dict, repr=False)
    known: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Answer:
    """The identifiers of a study.

    `values` maps keywords (PatientID, PatientName, AccessionNumber, …) to what is put in; `date_shift_days` is the
    provider's jitter; `response` the whole answer, kept sealed.
    """

    values: dict[str, str]
    date_shift_days: int | None = None
    response: Any = field(default=None, repr=False)


class Provider(ABC):
    """One way to get identifiers, in a project (by default in the default one).

    `keywords` names what it has to know of the header beside what it always knows; `is_computed` says whether a pseudonym
    is computed from the patient alone, so that it can be nobody else's.
    """

    name: str
    is_computed = False

    @classmethod
    def same_id(cls, patient_id: str) -> str:
        """`patient_id` as the provider takes it: ids that are equal so are one patient's."""
        return patient_id

    def __init__(self, project: Project | None = None) -> None:
        self.project = project or default()

    @property
    def keywords(self) -> frozenset[str]:
        """Keywords of attributes that have to be in `Request.header`."""
        return frozenset()

    @abstractmethod
    def identify_many(self, requests: Sequence[Request]) -> list[Answer | Quarantine]:
        """For each of `requests` its answer, or why it has none: the answer, or what was asked, cannot be used.

        Raises
        ------
        Transient
            The provider is away: the series wait and show why. Asked again it gives the same answers.
        """

    def identify(self, request: Request) -> Answer:
        """Answer one request; raises like `identify_many`, and what that gives in place of an answer."""
        [answer] = self.identify_many([request])
        if isinstance(answer, Quarantine):
            raise answer
        return answer

    def original_of(self, pseudonyms: Sequence[str]) -> dict[str, str | Quarantine]:
        """The PatientID behind each pseudonym, or why there is none; nothing by a provider that cannot tell.

        For those who may see originals, and record it. Raises like `identify_many`.
        """
        return {}

    @abstractmethod
    def check(self) -> str:
        """One sentence on how the provider is; raises like `identify`."""


# PS3.5 6.2: how many characters LO and SH hold, and what has a meaning of its own in LO, SH or PN, or in a query.
_LENGTHS = {"PatientID": 64, "AccessionNumber": 16}
_FORBIDDEN = frozenset("\\^=*?")


def unfit(keyword: str, pseudonym: str) -> str:
    """Why `pseudonym` cannot stand in the attribute (and PatientName) as it is, as the end of a sentence; "" if it can."""
    if not pseudonym or pseudonym != pseudonym.strip():
        return "is empty or begins or ends with a space"
    if not pseudonym.isascii() or not pseudonym.isprintable() or _FORBIDDEN.intersection(pseudonym):
        return "has characters that the attribute does not hold (printable ASCII without \\ ^ = * ?)"
    if len(pseudonym) > _LENGTHS[keyword]:
        return f"has {len(pseudonym)} characters and is longer than the {_LENGTHS[keyword]} that the attribute holds"
    return ""


def provider_class(project: Project) -> type[Provider]:
    """The class of the provider of `project`."""
    found: type[Provider] = import_module(f"main.identifiers.{project.provider}").Provider
    return found


def provider(project: Project) -> Provider:
    """The provider of `project`."""
    return provider_class(project)(project)
