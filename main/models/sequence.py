"""Numbers that were given to patients, for ever: what the sequential pseudonyms are made of."""

from __future__ import annotations

from django.db import models


class PatientNumber(models.Model):
    """The number of a patient in a project; `key_index` is the blind index of the patient key."""

    project = models.CharField(max_length=64)
    key_index = models.CharField(max_length=64)
    number = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "key_index"], name="one_number_a_patient"),
            models.UniqueConstraint(fields=["project", "number"], name="one_patient_a_number"),
        ]
