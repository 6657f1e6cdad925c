"""Statuses go forward by the table, back only by a replay, and the series always shows what its images are."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import DatabaseError
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from main import states
from main.models import Batch, Event, Image, Series, Study, Subject
from main.models.imaging import Status

pytestmark = pytest.mark.django_db


def make_series(images: int) -> Series:
    now = timezone.now()
    number = Subject.objects.count()
    subject = Subject.objects.create(key_index=f"k{number}", sealed="", added_at=now)
    study = Study.objects.create(subject=subject, uid_index=f"u{number}", sealed_uid="", added_at=now)
    series = Series.objects.create(study=study, uid_index="s", sealed_uid="", added_at=now, changed_at=now)
    batch = Batch.objects.create(sealed_name="", source="t", received_at=now)
    Image.objects.bulk_create(Image(series=series, batch=batch, uid_index=str(i), sealed="") for i in range(images))
    states.refresh(series)
    return series


def shown(images: list[Status]) -> Status:
    """The rule: the least advanced of those that go on by themselves, else one that waits for a person, else what is left."""
    on_their_way = [status for status in list(Status)[:3] if status in images]
    held = [Status.QUARANTINED] if Status.QUARANTINED in images else []
    through = [status for status in (Status.SENT, Status.DONE, Status.EXCLUDED) if status in images]
    return [*on_their_way, *held, *through][0]


moves = st.lists(st.tuples(st.sampled_from(Status.values), st.integers(0, 3), st.booleans()), min_size=1, max_size=25)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves)
def test_every_sequence_of_moves_follows_the_table_and_keeps_the_counts(sequence: list[tuple[str, int, bool]]) -> None:
    with transaction.atomic():
        series = make_series(4)
        expected = [Status.NEW] * 4
        ids = list(Image.objects.filter(series=series).order_by("pk").values_list("pk", flat=True))
        for target, which, replay in sequence:
            to = Status(target)
            table = states.REPLAY if replay else states.FORWARD
            reason = {"code": "why", "sentence": "Because."} if to in (Status.QUARANTINED, Status.EXCLUDED) else {}
            allowed = to in table.get(expected[which], frozenset())
            reachable = any(to in targets for targets in table.values())
            chosen = Image.objects.filter(pk=ids[which])
            if not reachable:
                with pytest.raises(states.IllegalTransition):
                    states.move(series, chosen, to, replay=replay, **reason)
            else:
                assert states.move(series, chosen, to, replay=replay, **reason) == int(allowed)
            if allowed:
                expected[which] = to
            real = list(Image.objects.filter(series=series).order_by("pk").values_list("status", flat=True))
            assert real == expected
            row = Series.objects.get(pk=series.pk)
            counted = Counter(expected)
            assert {s: getattr(row, f"n_{s.lower()}") for s in Status.values} == {s: counted[s] for s in Status}
            assert row.status == shown(expected)
        transaction.set_rollback(True)


def test_a_held_image_needs_a_reason() -> None:
    series = make_series(1)
    with pytest.raises(states.IllegalTransition):
        states.move(series, Image.objects.all(), Status.QUARANTINED)


def test_the_database_refuses_a_held_image_without_reason_and_an_unknown_status() -> None:
    make_series(1)
    for wrong in ({"status": "QUARANTINED"}, {"status": "LOST"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Image.objects.update(**wrong)


def test_history_cannot_be_changed_even_by_sql() -> None:
    states.move(make_series(1), Image.objects.all(), Status.PROCESSING)
    event = Event.objects.latest("pk")
    with pytest.raises(TypeError):
        event.save()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE main_event SET actor = 'nobody'")


@pytest.mark.parametrize(
    ("images", "status"),
    [
        (["SENT", "SENT", "PROCESSING"], "PROCESSING"),
        (["SENT", "SENT", "QUARANTINED"], "QUARANTINED"),
        (["NEW", "QUARANTINED"], "NEW"),
        (["SENT", "EXCLUDED"], "SENT"),
        (["EXCLUDED"], "EXCLUDED"),
    ],
)
def test_a_series_shows_its_least_advanced_image(images: list[str], status: str) -> None:
    series = make_series(len(images))
    for image, one in zip(Image.objects.order_by("pk"), images, strict=True):
        Image.objects.filter(pk=image.pk).update(status=one, code="why" if one in ("QUARANTINED", "EXCLUDED") else "")
    states.refresh(series)
    assert (series.status, Series.objects.get().status) == (status, status)


def test_several_series_move_together_each_with_its_event_and_its_counts() -> None:
    rows = [make_series(images) for images in (1, 3, 0, 2)]
    others = make_series(1)
    assert states.move(rows, Image.objects.exclude(uid_index="2"), Status.PROCESSING) == 5
    told = Event.objects.filter(to_status="PROCESSING").order_by("series_id").values_list("series_id", "count")
    assert list(told) == [(rows[0].pk, 1), (rows[1].pk, 2), (rows[3].pk, 2)]
    for row in rows:
        written = Series.objects.get(pk=row.pk)
        assert (row.n_new, row.n_processing) == (written.n_new, written.n_processing)
    assert [(row.n_new, row.n_processing, row.status) for row in rows] == [
        (0, 1, "PROCESSING"),
        (1, 2, "NEW"),
        (0, 0, "NEW"),
        (0, 2, "PROCESSING"),
    ]
    assert Series.objects.get(pk=others.pk).n_processing == 0
