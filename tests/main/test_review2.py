from __future__ import annotations
import errno, os, time
from pathlib import Path
from typing import Any
import pytest
from django.utils import timezone
from pydicom import Dataset
from main import work
from main.models import Batch, Destination, Image, Series, Delivery, Event
from main.management.commands.import_folder import Command  # noqa
from tests.main.conftest import Node, copy_of, statuses
from tests.main.test_review import fill_with

def test_a_full_disk_quarantines_nothing(node: Node, ct: Dataset, monkeypatch: Any) -> None:
    batch = node.hand_over("d", fill_with(ct, 3))
    work.work_one("register"); work.work_one("identify")
    import main.pipeline.release as rel
    cls = type(rel.deidentifier("basic"))
    real = cls.file
    def file(self, *a, **k):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(cls, "file", file)
    for _ in range(20):
        work.drain(seconds=3)
        Series.objects.filter(token=None).exclude(due_at=None).update(due_at=timezone.now())
    print(statuses(batch), list(Image.objects.values_list("code", "sentence")), Series.objects.values_list("error_code", "error"))
    assert not Image.objects.filter(status="QUARANTINED").exists()

def test_unlisted(node: Node) -> None:
    batch = node.hand_over("d", copy_of("CT_small.dcm"))
    at = os.open(batch.folder / "d", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=at)
        new = os.open("x" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at); at = new
    os.close(at)
    for _ in range(30):
        work.drain(seconds=3)
        Batch.objects.filter(token=None).exclude(due_at=None).update(due_at=timezone.now())
    batch.refresh_from_db()
    raise AssertionError((batch.stage, batch.due_at, batch.error_code, batch.error, batch.attempts, statuses(batch)))

def test_wrong_key_worker(node: Node, ct: Dataset, monkeypatch: Any) -> None:
    batch = node.hand_over("d", fill_with(ct, 2))
    from main import identity
    from cryptography.fernet import Fernet
    work.work_one("register")
    from django.conf import settings
    good = identity.keyring
    identity.keyring.cache_clear()
    monkeypatch.setattr(settings, "ENCRYPTION_KEY", [Fernet.generate_key().decode()])
    for _ in range(40):
        work.drain(seconds=3)
        Series.objects.filter(token=None).exclude(due_at=None).update(due_at=timezone.now())
    r = (statuses(batch), list(Series.objects.values_list("error_code", "error")), list(Image.objects.values_list("code","sentence")))
    identity.keyring.cache_clear()
    raise AssertionError(r)

def test_requeue_many_is_linear(node: Node, ct: Dataset, django_assert_max_num_queries: Any) -> None:
    from main.models import Study, Subject
    from main.pipeline.replay import requeue_images, discard_images
    now = timezone.now()
    b = Batch.objects.create(sealed_name="x", source="x", received_at=now)
    s = Subject.objects.create(key_index="k", sealed="x", added_at=now)
    st = Study.objects.create(subject=s, uid_index="u", sealed_uid="x", added_at=now)
    for N in (250, 500, 1000, 2000, 4000):
        Image.objects.all().delete(); Series.objects.all().delete()
        series = Series.objects.bulk_create(Series(study=st, uid_index=f"{i}", sealed_uid="", added_at=now, changed_at=now) for i in range(N))
        Image.objects.bulk_create(Image(series=x, batch=b, uid_index="i", sealed="", status="QUARANTINED", code="leak") for x in series)
        ids = list(Image.objects.values_list("pk", flat=True))
        t = time.monotonic(); requeue_images(ids, "t"); print(N, round(time.monotonic()-t, 2), "s", flush=True)
    raise AssertionError
