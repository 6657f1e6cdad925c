"""The vault: sealed, what leads from released images back to their originals. It stays when everything else is cleaned up."""

from __future__ import annotations

from django.db import models

from main.models.imaging import default_project


class VaultEntry(models.Model):
    """The ways back of images of one series, released by one recipe and committed together.

    `sealed` holds them, by their released SOP Instance UIDs (`deidentify.ways`). UIDs and `patient_id` are the released
    ones; the indexes are blind indexes of the original ones, as in `Subject`, `Study` and `Series`.
    """

    series_id = models.BigIntegerField(db_index=True)
    project = models.CharField(max_length=64, default=default_project)
    recipe = models.CharField(max_length=200)
    recipe_hash = models.CharField(max_length=64)
    study_instance_uid = models.CharField(max_length=64)
    series_instance_uid = models.CharField(max_length=64)
    patient_id = models.CharField(max_length=64)
    subject_index = models.CharField(max_length=64)
    study_index = models.CharField(max_length=64)
    series_index = models.CharField(max_length=64)
    images = models.PositiveIntegerField()
    sealed = models.TextField()
    at = models.DateTimeField()

    # Rows that are read at once when a key is rotated: they may hold megabytes.
    ROTATED_AT_ONCE = 16

    class Meta:
        indexes = [
            models.Index(fields=["study_instance_uid"], name="vault_study"),
            models.Index(fields=["series_instance_uid"], name="vault_series"),
            models.Index(fields=["patient_id"], name="vault_patient"),
            models.Index(fields=["subject_index"], name="vault_original_patient"),
            models.Index(fields=["study_index"], name="vault_original_study"),
            models.Index(fields=["series_index"], name="vault_original_series"),
            models.Index(fields=["at"], name="vault_age"),
        ]
