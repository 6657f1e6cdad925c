"""A peer takes responsibility image by image, here or on an association that it opens, now or later."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid
from pynetdicom.sop_class import SecondaryCaptureImageStorage

from dimse import CommitmentAnswer, CommitmentListener, Instance, NotSupported, RequestFailed, request_commitment, store
from tests.dimse.conftest import patient
from tests.peers import Orthanc, ScriptedSCP, StoreSCP
from tests.peers.images import make_series

ANSWER_WITHIN = 10.0


class Inbox:
    """A listener whose answers are taken one by one."""

    def __init__(self) -> None:
        self._answers: queue.Queue[CommitmentAnswer] = queue.Queue()
        self.listener = CommitmentListener("127.0.0.1", 0, "SENDIT", self._take, silence_timeout=2)

    def _take(self, transaction_uid: str, committed: list[Any], failed: list[Any]) -> None:
        self._answers.put(CommitmentAnswer(transaction_uid, committed, failed))

    def next(self) -> CommitmentAnswer:
        return self._answers.get(timeout=ANSWER_WITHIN)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """Yield a running listener."""
    inbox = Inbox()
    with inbox.listener:
        yield inbox


def named(instance: Instance) -> tuple[str, str]:
    return instance.sop_class_uid, instance.sop_instance_uid


@pytest.fixture
def series(tmp_path: Path) -> list[Instance]:
    """Three small images."""
    return make_series(tmp_path / "series", 3, size=128)


def test_orthanc_commits_to_what_it_has_and_names_what_it_has_not(
    orthanc: Orthanc, inbox: Inbox, series: list[Instance]
) -> None:
    orthanc.add_modality("sendit", "SENDIT", inbox.listener.port)
    peer = patient(orthanc)
    assert all(result.outcome == "accepted" for result in store(peer, series[:2]))

    transaction = generate_uid()
    assert request_commitment(peer, transaction, series[:2]) is None
    assert inbox.next() == CommitmentAnswer(transaction, [named(instance) for instance in series[:2]], [])

    transaction = generate_uid()
    assert request_commitment(peer, transaction, series) is None
    answer = inbox.next()
    assert answer.transaction_uid == transaction
    assert sorted(answer.committed) == sorted(named(instance) for instance in series[:2])
    assert answer.failed == [(*named(series[2]), 0x0112)]


def test_a_large_series_is_asked_for_and_answered_in_one_go(tmp_path: Path, orthanc: Orthanc, inbox: Inbox) -> None:
    orthanc.add_modality("sendit", "SENDIT", inbox.listener.port)
    never_sent = [
        Instance(tmp_path, SecondaryCaptureImageStorage, generate_uid(), "1.2.840.10008.1.2.1", 0) for _ in range(500)
    ]
    transaction = generate_uid()
    assert request_commitment(patient(orthanc), transaction, never_sent) is None
    answer = inbox.next()
    assert {uid for _, uid, _ in answer.failed} == {instance.sop_instance_uid for instance in never_sent}


def test_an_answer_on_the_same_association_is_returned(tmp_path: Path, series: list[Instance]) -> None:
    with ScriptedSCP(tmp_path, commitment="same association") as scp:
        assert all(result.outcome == "accepted" for result in store(patient(scp), series[:1]))
        answer = request_commitment(patient(scp), "1.2.3", series[:2], wait=5)
    assert answer == CommitmentAnswer("1.2.3", [named(series[0])], [(*named(series[1]), 0x0112)])


def test_an_answer_on_a_new_association_comes_to_the_listener(
    tmp_path: Path, inbox: Inbox, series: list[Instance]
) -> None:
    answer_to = ("127.0.0.1", inbox.listener.port, "SENDIT")
    reasons = {series[1].sop_instance_uid: 0x0213}
    with ScriptedSCP(tmp_path, answer_to=answer_to, commitment_reasons=reasons) as scp:
        assert all(result.outcome == "accepted" for result in store(patient(scp), series))
        assert request_commitment(patient(scp), "1.2.3", series) is None
        assert inbox.next() == CommitmentAnswer(
            "1.2.3", [named(series[0]), named(series[2])], [(*named(series[1]), 0x0213)]
        )


def test_a_peer_without_storage_commitment_is_said(tmp_path: Path, storescp: StoreSCP, series: list[Instance]) -> None:
    with ScriptedSCP(tmp_path, commitment="absent") as scp:
        for server in (storescp, scp):
            with pytest.raises(NotSupported) as caught:
                request_commitment(patient(server), "1.2.3", series)
            assert "no storage commitment there" in caught.value.sentence


def test_orthanc_that_does_not_know_us_is_an_error(own_orthanc: Orthanc, series: list[Instance]) -> None:
    with pytest.raises(NotSupported) as caught:
        request_commitment(patient(own_orthanc), "1.2.3", series)
    assert "it may not know SENDIT. Register it there" in caught.value.sentence


def test_a_peer_that_cannot_process_the_request_now_is_tried_again(tmp_path: Path, series: list[Instance]) -> None:
    with ScriptedSCP(tmp_path, commitment="refuse") as scp, pytest.raises(RequestFailed) as caught:
        request_commitment(patient(scp), "1.2.3", series)
    assert (caught.value.status, caught.value.transient) == (0x0110, True)
