"""Rows for the tests of the pages: drops, series, images and deliveries with a patient whose values must not be seen."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.utils import timezone
from pydicom.data import get_testdata_file

from main import identity, states
from main.models import (
    Batch,
    Delivery,
    Destination,
    FileOutcome,
    Image,
    Node,
    Refusal,
    Release,
    Series,
    SeriesIdentifiers,
    Study,
    Subject,
)
from main.pipeline.release import create_release
from main.refusals import Refusals

CANARY_ID, CANARY_FOLDER, CANARY_FILE = "CANARY-4711", "CANARY^FOLDER", "CANARY-FILE.dcm"
CANARY_ACCESSION = "CANARY-A-4711"
CANARY_UID = "1.2.999.4711.4711"
CANARIES = ("CANARY", CANARY_UID)

_numbers = itertools.count(1)


def destination(name: str = "archive", **changes: object) -> Destination:
    """A destination of kind folder."""
    values = {"kind": "folder", "settings": {"path": "/nowhere"}, "recipe": "basic", **changes}
    return Destination.objects.update_or_create(name=name, defaults=values)[0]


def drop(files: int = 0, **changes: object) -> Batch:
    """A registered drop from a folder that was named after its patient."""
    values = {
        "sealed_name": identity.seal(CANARY_FOLDER),
        "source": "inbox",
        "received_at": timezone.now() - timedelta(minutes=7),
        "registered_at": timezone.now() - timedelta(minutes=6),
        "files": files,
        "bytes": files * 530_000,
        **changes,
    }
    return Batch.objects.create(**values)


def held_file(batch: Batch, code: str = "not-dicom", outcome: str = "not-dicom", **changes: object) -> FileOutcome:
    """A file that did not become an image, held for a person."""
    values = {
        "sentence": "The bytes are not a DICOM object.",
        "held": True,
        "size": 1234,
        "at": timezone.now(),
        **changes,
    }
    return FileOutcome.objects.create(
        batch=batch, code=code, outcome=outcome, sealed_path=identity.seal(CANARY_FILE), **values
    )


def series(batch: Batch, images: int = 1, status: str = "NEW", modality: str = "CT", **changes: object) -> Series:
    """A series of the canary's patient, its images all of one status."""
    number, now = next(_numbers), timezone.now()
    patient = identity.blind_index("patient", identity.patient_key("", CANARY_ID, ""))
    subject = Subject.objects.get_or_create(
        key_index=patient, defaults={"sealed": identity.seal({"patient_id": CANARY_ID, "issuer": ""}), "added_at": now}
    )[0]
    study_uid, series_uid = f"{CANARY_UID}.{number}", f"{CANARY_UID}.{number}.1"
    study = Study.objects.create(
        subject=subject,
        uid_index=identity.blind_index("study", study_uid),
        sealed_uid=identity.seal(study_uid),
        added_at=now,
    )
    one = Series.objects.create(
        study=study,
        uid_index=identity.blind_index("series", series_uid),
        sealed_uid=identity.seal(series_uid),
        accession_index=identity.accession_index(CANARY_ACCESSION),
        modality=modality,
        added_at=now,
        changed_at=now,
    )
    held = {"code": "leak", "sentence": "A known value is still in the output."} if status == "QUARANTINED" else {}
    Image.objects.bulk_create(
        Image(
            series=one,
            batch=batch,
            uid_index=identity.blind_index("instance", f"{series_uid}.{index}"),
            sealed=identity.seal(
                {"path": f"{CANARY_FOLDER}/{CANARY_FILE}.{number}.{index}", "uid": f"{series_uid}.{index}"}
            ),
            size=530_000,
            status=status,
            **held,
        )
        for index in range(images)
    )
    states.refresh(one)
    if changes:
        Series.objects.filter(pk=one.pk).update(**changes)
        one.refresh_from_db()
    return one


def identified(one: Series, pseudonym: str = "") -> SeriesIdentifiers:
    """Give a series its pseudonyms."""
    pseudonym = pseudonym or f"SD{one.pk:08d}"
    values = {"PatientID": pseudonym, "PatientName": pseudonym, "AccessionNumber": f"A{one.pk:07d}"}
    return SeriesIdentifiers.objects.create(
        series=one, provider="keyed", values=values, patient_id=pseudonym, at=timezone.now()
    )


def delivered(one: Series, to: Destination, state: str = "PROVEN", count: int | None = None, **changes: object) -> None:
    """Releases for the images of a series, and their deliveries to one destination."""
    now = timezone.now()
    for image in Image.objects.filter(series=one)[:count]:
        release, _ = Release.objects.get_or_create(
            image=image,
            recipe=to.recipe,
            defaults={
                "recipe_hash": "0" * 64,
                "key_id": "0" * 16,
                "study_instance_uid": f"2.25.{one.study_id}",
                "series_instance_uid": f"2.25.{one.pk}",
                "sop_instance_uid": f"{CANARY_UID}.5" if to.recipe == "none" else f"2.25.900{image.pk}",
                "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
                "transfer_syntax_uid": "1.2.840.10008.1.2.1",
                "dataset_offset": 300,
                "size": image.size,
                "sha256": "1" * 64,
                "file_name": f"{one.pk}/{image.pk}.dcm",
                "at": now,
            },
        )
        proven = {"proof": "content", "proven_at": now} if state == "PROVEN" else {}
        Delivery.objects.create(release=release, series=one, destination=to, state=state, **{**proven, **changes})


def real_image(batch: Batch, recipe: str = "basic") -> tuple[Image, Release]:
    """An image with a real original, full of canaries, and its real release."""
    import pydicom

    one = series(batch, images=1, status="DONEPROCESSING")
    image = Image.objects.get(series=one)
    source = Path(str(get_testdata_file("CT_small.dcm")))
    original = batch.folder / str(identity.unseal_values(image.sealed)["path"])
    original.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, original)
    dataset = pydicom.dcmread(original)
    dataset.PatientName, dataset.PatientID = "CANARY^NAME", CANARY_ID
    dataset.InstitutionName = "CANARY HOSPITAL"
    dataset.StudyInstanceUID = CANARY_UID
    dataset.save_as(original)
    image.size = original.stat().st_size
    image.save()
    release, _ = create_release(image, recipe, one.project, identified(one))
    release.save()
    return image, release


@dataclass
class Live:
    """An association as the receiver counts it."""

    association: str = "a1"
    node: int | None = None
    name: str = "CT"
    address: str = "10.0.0.7"
    calling_ae_title: str = "CT1"
    since: float = 0.0
    instances: int = 0
    size: int = 0
    refused: int = 0
    last: float = 0.0


def node(**changes: object) -> Node:
    """A node that is recognised by title and address."""
    return Node.objects.create(**{"name": "CT", "calling_ae_titles": ["CT1"], "addresses": ["10.0.0.7"], **changes})


def refusal(calling: str = "STORESCU", address: str = "10.0.0.7", why: str = "unknown") -> Refusal:
    """A caller that was refused just now."""
    one = Refusals()
    one.add(address, calling, "DICOMRCV", why)
    one.write()
    return Refusal.objects.latest("pk")
