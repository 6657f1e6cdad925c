"""Subject, Study, Series, Image: what the pipeline works on. Original values are sealed, look-ups use a blind index."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from main.models.arrival import Batch
from main.models.work import Work


class Status(models.TextChoices):
    """The status states of an image, in the order of its way."""

    NEW = "NEW", "New"
    PROCESSING = "PROCESSING", "Processing"
    DONEPROCESSING = "DONEPROCESSING", "Released, not sent"
    SENT = "SENT", "Sent and proven"
    DONE = "DONE", "Done"
    QUARANTINED = "QUARANTINED", "Quarantined"
    EXCLUDED = "EXCLUDED", "Excluded"


def default_project() -> str:
    """Return the project of what is in no other (SENDIT_PROJECT)."""
    return str(settings.SENDIT_PROJECT)


class Subject(models.Model):
    """A patient: (issuer, PatientID) as a blind index, the values sealed."""

    key_index = models.CharField(max_length=64, unique=True)
    sealed = models.TextField()
    added_at = models.DateTimeField()


class Study(models.Model):
    """A study, known by its Study Instance UID, in a project; it belongs to one subject.

    What comes into two projects is two studies: they have nothing in common but the subject.
    While it comes by DICOM, its series wait from `waits_since` until `complete_at` for more (None: they do not wait): for
    `quiet` seconds after the last news. `node` is the number of who sent it, and was asked `asks` times in vain how many
    images there are. `note` says what may be missing.
    """

    subject = models.ForeignKey(Subject, models.PROTECT, related_name="studies")
    project = models.CharField(max_length=64, default=default_project)
    uid_index = models.CharField(max_length=64)
    sealed_uid = models.TextField()
    added_at = models.DateTimeField()
    waits_since = models.DateTimeField(null=True, blank=True)
    complete_at = models.DateTimeField(null=True, blank=True)
    quiet = models.FloatField(default=0.0)
    node = models.BigIntegerField(null=True, blank=True)
    asks = models.PositiveSmallIntegerField(default=0)
    note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["complete_at"], name="study_waits", condition=models.Q(complete_at__isnull=False)),
        ]
        constraints = [models.UniqueConstraint(fields=["uid_index", "project"], name="study_once_in_project")]


class Series(Work):
    """A series: the unit that is moved and processed. Its stage is identify, deidentify, deliver, cleanup or empty.

    `project` repeats that of its study. `accession_index` is the blind index of the accession number in the first file that
    was registered. The counts repeat those of its images by status; `main/states.py` writes them in the transaction of each
    change.
    """

    study = models.ForeignKey(Study, models.PROTECT, related_name="series")
    project = models.CharField(max_length=64, default=default_project)
    uid_index = models.CharField(max_length=64)
    sealed_uid = models.TextField()
    accession_index = models.CharField(max_length=64, blank=True, default="")
    modality = models.CharField(max_length=16, blank=True, default="")
    status = models.CharField(max_length=16, choices=Status, default=Status.NEW)
    images = models.PositiveIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    n_new = models.PositiveIntegerField(default=0)
    n_processing = models.PositiveIntegerField(default=0)
    n_doneprocessing = models.PositiveIntegerField(default=0)
    n_sent = models.PositiveIntegerField(default=0)
    n_done = models.PositiveIntegerField(default=0)
    n_quarantined = models.PositiveIntegerField(default=0)
    n_excluded = models.PositiveIntegerField(default=0)
    added_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    proven_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["stage", "due_at"], name="series_due", condition=models.Q(due_at__isnull=False)),
            models.Index(fields=["status", "-changed_at"], name="series_status"),
            models.Index(fields=["-changed_at"], name="series_changed"),
            models.Index(fields=["uid_index"], name="series_uid"),
            models.Index(fields=["accession_index"], name="series_accession"),
            models.Index(fields=["project", "-changed_at"], name="series_project"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["study", "uid_index"], name="series_once_in_study"),
            models.CheckConstraint(condition=models.Q(status__in=Status.values), name="series_status_known"),
            models.CheckConstraint(
                condition=models.Q(stage__in=["identify", "deidentify", "deliver", "cleanup", ""]), name="series_stage"
            ),
        ]

    @property
    def load(self) -> tuple[float, float]:
        """Its images and their bytes."""
        return self.images, self.bytes

    @property
    def kin(self) -> str:
        """Its project: what has another one, has another provider, recipe and key."""
        return self.project


class Image(models.Model):
    """A SOP instance. `sealed` holds its UID and the place of its file inside the drop, encrypted.

    `size` and `modified_ns` are those of the file when it was registered.
    """

    series = models.ForeignKey(Series, models.PROTECT, related_name="image_set")
    batch = models.ForeignKey(Batch, models.PROTECT, related_name="image_set", db_index=False)
    uid_index = models.CharField(max_length=64)
    sealed = models.TextField()
    sop_class_uid = models.CharField(max_length=64, blank=True, default="")
    size = models.PositiveBigIntegerField(default=0)
    modified_ns = models.BigIntegerField(null=True, blank=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.NEW)
    code = models.CharField(max_length=40, blank=True, default="")
    sentence = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["code", "id"], name="image_held", condition=models.Q(status="QUARANTINED")),
            models.Index(fields=["uid_index"], name="image_uid"),
            models.Index(fields=["batch", "status"], name="image_batch"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["series", "uid_index"], name="image_once_in_series"),
            models.CheckConstraint(condition=models.Q(status__in=Status.values), name="image_status_known"),
            models.CheckConstraint(
                condition=~models.Q(status__in=["QUARANTINED", "EXCLUDED"]) | ~models.Q(code=""),
                name="image_held_with_reason",
            ),
        ]


class SeriesIdentifiers(models.Model):
    """The identifiers of a series: what is put in (`values`) and, sealed, the whole answer of the service.

    `patient_id` repeats the pseudonym that is among the values, to search by. `sealed_known` holds what the patient is
    called in the study: none of it may be in an image that leaves.
    """

    series = models.OneToOneField(Series, models.CASCADE, related_name="identifiers")
    provider = models.CharField(max_length=32)
    values = models.JSONField(default=dict)
    patient_id = models.CharField(max_length=64, blank=True, default="")
    date_shift_days = models.IntegerField(null=True, blank=True)
    sealed_response = models.TextField(blank=True, default="")
    sealed_known = models.TextField(blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["patient_id"], name="identifiers_patient")]
