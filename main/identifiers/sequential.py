"""Pseudonyms that count: sub-001, sub-002, one number a patient, given once and kept in the database."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from main import identifiers, identity
from main.errors import Quarantine, Transient
from main.identifiers import Answer, Request, unfit
from main.models import PatientNumber
from main.projects import Project

# Workers that allocate at the same moment: all but one of them try again.
_TRIES, _PAUSE_SECONDS = 20, 0.02


class Provider(identifiers.Provider):
    """The next free number for a patient that has none yet, in the form of SENDIT_SEQUENCE; accession numbers are keyed.

    They cover the patient key, so two spellings of one name with one id are one patient.
    """

    name = "sequential"

    def __init__(self, project: Project | None = None) -> None:
        super().__init__(project)
        self._form: str = self.project.setting("SENDIT_SEQUENCE")
        try:
            first, last = self._form.format(number=1), self._form.format(number=999_999)
        except (KeyError, ValueError, IndexError):
            first = last = ""
        if not first or first == last or (wrong := unfit("PatientID", last)):
            why = wrong if first and first != last else "has no place for the number, such as sub-{number:03d}"
            raise Transient("identifiers-settings", f"{self.project.says('SENDIT_SEQUENCE')} {why}.")

    def identify_many(self, requests: Sequence[Request]) -> list[Answer | Quarantine]:
        """The pseudonyms of each patient and study.

        Raises
        ------
        Transient
            `identifiers-busy`: others allocated numbers at every try.
        """
        indexes = [identity.blind_index("patient", request.patient_key) for request in requests]
        numbers = self._numbers(list(dict.fromkeys(indexes)))
        return [self._answer(request, numbers[index]) for request, index in zip(requests, indexes, strict=True)]

    def check(self) -> str:
        """Which number is next."""
        return f"the next patient is {self._form.format(number=self._last() + 1)}"

    def _answer(self, request: Request, number: int) -> Answer:
        pseudonym = self._form.format(number=number)
        values = {"PatientID": pseudonym, "PatientName": pseudonym}
        if request.accession_number:
            values["AccessionNumber"] = identity.pseudonyms(self.project.name).accession(
                request.patient_key, request.accession_number
            )
        return Answer(values)

    def _last(self) -> int:
        """The highest number that was given in this project."""
        given = PatientNumber.objects.filter(project=self.project.name)
        return int(given.aggregate(last=Max("number"))["last"] or 0)

    def _numbers(self, indexes: list[str]) -> dict[str, int]:
        """The number of each patient, in the order asked where it is new."""
        for _ in range(_TRIES):
            ours = PatientNumber.objects.filter(project=self.project.name)
            known = dict(ours.filter(key_index__in=indexes).values_list("key_index", "number"))
            missing = [index for index in indexes if index not in known]
            if not missing:
                return known
            try:
                with transaction.atomic():
                    PatientNumber.objects.bulk_create(
                        PatientNumber(project=self.project.name, key_index=index, number=number, at=timezone.now())
                        for number, index in enumerate(missing, self._last() + 1)
                    )
            except IntegrityError:
                time.sleep(random.uniform(0, _PAUSE_SECONDS))  # another worker was quicker
        raise Transient("identifiers-busy", "Other workers number patients all the time. Will try again.")
