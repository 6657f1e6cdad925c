"""The crosswalk: which pseudonym belongs to which patient. It stays when everything else is cleaned up."""

from __future__ import annotations

from django.db import models


class Pseudonym(models.Model):
    """A pseudonym of a patient in a project; nobody else gets it there, ever.

    `subject_index` is a blind index of the patient key, or `forgotten-` and a random number. `sealed` says who the patient
    is; it is empty without a vault. A patient has one that is current, and those of before an operator had him named anew.
    """

    project = models.CharField(max_length=64)
    kind = models.CharField(max_length=16)
    subject_index = models.CharField(max_length=64)
    pseudonym = models.CharField(max_length=64)
    is_current = models.BooleanField(default=True)
    sealed = models.TextField(blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["project", "kind", "subject_index"], name="crosswalk_subject")]
        constraints = [
            models.UniqueConstraint(fields=["project", "kind", "pseudonym"], name="one_patient_a_pseudonym"),
            models.UniqueConstraint(
                fields=["project", "kind", "subject_index"],
                condition=models.Q(is_current=True),
                name="one_current_pseudonym",
            ),
        ]
