"""A modality that asks may delete: it is told so when its images are through, hears it where it listens, and for certain."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.db.models import F
from django.utils import timezone
from pydicom import Dataset
from pydicom.uid import generate_uid

import dimse
from dimse.commitment import COMMITMENT
from dimse.messages import Message
from dimse.server import Caller, Incoming, Listener, StoreRefused, StoreRequest
from main import commitments, identity, overview, work
from main.models import Batch, CommitmentRequest, Event, FileOutcome, Image, PassedImage
from main.models import Node as Sender
from main.pipeline import commitment
from main.pipeline.replay import retry_blocked
from main.pipeline.sweep import due_stages, tidy
from tests.main.conftest import Node
from tests.peers import Orthanc
from tests.peers.committer import Committer
from tests.waiting import eventually

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def modality() -> Iterator[Committer]:
    """A modality that takes answers."""
    with Committer() as modality:
        yield modality


@pytest.fixture
def known(node: Node, modality: Committer, settings: Any) -> Sender:
    """The modality as a node that is registered; what does not arrive is not waited for."""
    settings.DICOM_PEER_TIMEOUT, settings.DICOM_COMMITMENT_WAIT = 2.0, 0.0
    return Sender.objects.create(name="CT1", host="127.0.0.1", port=modality.port, ae_title=modality.ae_title)


def send(node: Node, ct: Dataset, name: str = "one", images: int = 2) -> list[tuple[str, str]]:
    """Hand over a drop with new images, taken but not worked on; returns what refers to them."""
    references = []

    def fill(folder: Path) -> None:
        for number in range(images):
            ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            ct.save_as(folder / f"{number}.dcm")
            references.append((CT, str(ct.SOPInstanceUID)))

    node.hand_over(name, fill)
    return references


def ask(known: Sender, references: Sequence[tuple[str, str]], transaction: str = "") -> str:
    """Ask for commitment, as the receiver does that has read the request."""
    transaction = transaction or str(generate_uid())
    commitments.requested(known.pk, "MODALITY1", dimse.CommitmentAction(transaction, tuple(references)))
    return transaction


def time_passes() -> None:
    """As if every wait of a request was over."""
    CommitmentRequest.objects.filter(due_at__isnull=False).update(due_at=timezone.now(), token=None)


def hours_pass(hours: float) -> None:
    """As if requests were older."""
    ago = timedelta(hours=hours)
    CommitmentRequest.objects.update(requested_at=F("requested_at") - ago, decided_at=F("decided_at") - ago)
    time_passes()


def work_on() -> None:
    """Work until nothing is due, the waits of requests over."""
    work.drain(seconds=60)
    time_passes()
    work.drain(seconds=60)


def failed(references: Sequence[tuple[str, str]], reason: int) -> list[tuple[str, str, int]]:
    return [(*reference, reason) for reference in references]


def test_images_that_are_proven_are_committed_to(node: Node, known: Sender, modality: Committer, ct: Dataset) -> None:
    references = send(node, ct)
    work_on()
    transaction = ask(known, references)
    assert due_stages()["commitment"]
    work_on()
    [answer] = modality.answers
    assert (answer.transaction_uid, answer.event_type) == (transaction, 1)
    assert (answer.committed, answer.failed) == (references, [])
    row = CommitmentRequest.objects.get()
    assert (row.stage, row.due_at, row.committed, row.failed, row.sealed, row.error_code) == ("", None, 2, 0, "", "")
    assert "committed to 2 of 2 images" in Event.objects.get(kind="commitment").sentence


@pytest.mark.parametrize("setting", ["proven", "received"])
def test_the_setting_says_what_is_committed_to(
    node: Node, known: Sender, modality: Committer, ct: Dataset, settings: Any, setting: str
) -> None:
    settings.DICOM_COMMITMENT = setting
    references = send(node, ct)
    assert work.work_one("register")
    ask(known, references)
    assert work.work_one("commitment")
    assert bool(modality.answers) == (setting == "received")
    work_on()
    assert [answer.committed for answer in modality.answers] == [references]


def test_what_never_came_is_not_committed_to_and_the_rest_is(
    node: Node, known: Sender, modality: Committer, ct: Dataset
) -> None:
    references = send(node, ct)
    work_on()
    stranger, wrong = (CT, str(generate_uid())), ("1.2.840.10008.5.1.4.1.1.4", references[1][1])
    ask(known, [references[0], stranger, wrong])
    work_on()
    [answer] = modality.answers
    assert (answer.event_type, answer.committed) == (2, [references[0]])
    assert answer.failed == [(*stranger, 0x0112), (*wrong, 0x0119)]


def test_images_that_are_still_arriving_are_waited_for(
    node: Node, known: Sender, modality: Committer, ct: Dataset, settings: Any
) -> None:
    settings.DICOM_COMMITMENT_WAIT = 60.0
    early = send(node, ct)
    late = [(CT, str(generate_uid()))]
    ask(known, early + late)
    work_on()
    assert modality.answers == []
    ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = late[0][1]
    node.drop("late", lambda folder: ct.save_as(folder / "late.dcm"))
    work_on()
    assert [answer.committed for answer in modality.answers] == [early + late]


def test_a_drop_of_the_node_that_is_not_registered_yet_is_waited_for(
    node: Node, known: Sender, modality: Committer, ct: Dataset
) -> None:
    references = send(node, ct)
    Batch.objects.update(node=known.pk)
    ask(known, references)
    assert work.work_one("commitment")
    assert modality.answers == []
    work_on()
    assert [answer.committed for answer in modality.answers] == [references]


def test_what_is_not_proven_in_time_is_not_committed_to(
    node: Node, known: Sender, modality: Committer, ct: Dataset, settings: Any
) -> None:
    references = send(node, ct)
    assert work.work_one("register")
    ask(known, references)
    assert work.work_one("commitment")
    hours_pass(settings.DICOM_COMMITMENT_HOURS + 1)
    assert work.work_one("commitment")
    assert [answer.failed for answer in modality.answers] == [failed(references, 0x0110)]


@pytest.mark.parametrize(
    ("status", "setting", "committed"),
    [
        ("QUARANTINED", "proven", False),
        ("QUARANTINED", "received", True),
        ("EXCLUDED", "proven", False),
        ("EXCLUDED", "received", False),
    ],
)
def test_what_does_not_go_on_is_committed_to_only_while_it_is_kept_for_a_person(
    node: Node,
    known: Sender,
    modality: Committer,
    ct: Dataset,
    settings: Any,
    status: str,
    setting: str,
    committed: bool,
) -> None:
    settings.DICOM_COMMITMENT = setting
    references = send(node, ct)
    assert work.work_one("register")
    Image.objects.update(status=status, code="leak", sentence="A sentence.")
    ask(known, references)
    assert work.work_one("commitment")
    [answer] = modality.answers
    assert answer.committed == (references if committed else [])
    assert answer.failed == ([] if committed else failed(references, 0x0110))


def test_an_original_that_is_gone_is_not_committed_to(
    node: Node, known: Sender, modality: Committer, ct: Dataset, settings: Any
) -> None:
    settings.DICOM_COMMITMENT = "received"
    references = send(node, ct, images=1)
    assert work.work_one("register")
    next(Batch.objects.get().folder.rglob("*.dcm")).unlink()
    ask(known, references)
    assert work.work_one("commitment")
    assert [answer.failed for answer in modality.answers] == [failed(references, 0x0110)]


def test_another_content_under_the_same_uid_is_not_committed_to(
    node: Node, known: Sender, modality: Committer, ct: Dataset
) -> None:
    references = send(node, ct)
    work_on()
    ct.PatientComments = "written after it was sent"
    node.drop("again", lambda folder: ct.save_as(folder / "again.dcm"))
    ask(known, references)
    work_on()
    [answer] = modality.answers
    assert (answer.committed, answer.failed) == (references[:1], failed(references[1:], 0x0110))
    FileOutcome.objects.update(held=False)
    ask(known, references)
    work_on()
    assert modality.answers[1].committed == references


def test_what_is_cleaned_up_is_still_committed_to_for_some_days(
    node: Node, known: Sender, modality: Committer, ct: Dataset, settings: Any
) -> None:
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0
    references = send(node, ct)
    Batch.objects.update(quiet=0.0)
    work_on()
    assert not Image.objects.exists()
    ask(known, references)
    work_on()
    PassedImage.objects.update(at=timezone.now() - commitment.REMEMBERED - timedelta(hours=1))
    CommitmentRequest.objects.update(requested_at=timezone.now() - commitment.REMEMBERED - timedelta(hours=1))
    tidy()
    assert (PassedImage.objects.count(), CommitmentRequest.objects.count()) == (0, 0)
    ask(known, references)
    work_on()
    assert [(answer.committed, answer.failed) for answer in modality.answers] == [
        (references, []),
        ([], failed(references, 0x0112)),
    ]


def test_the_same_request_again_is_answered_again_and_another_under_its_transaction_is_refused(
    node: Node, known: Sender, modality: Committer, ct: Dataset
) -> None:
    references = send(node, ct)
    transaction = ask(known, references)
    ask(known, references[::-1], transaction)
    work_on()
    ask(known, references, transaction)
    with pytest.raises(dimse.ActionRefused) as caught:
        ask(known, references[:1], transaction)
    assert caught.value.status == 0x0115
    work_on()
    assert CommitmentRequest.objects.count() == 1
    assert [answer.transaction_uid for answer in modality.answers] == [transaction, transaction]


def test_an_answer_waits_for_a_node_that_is_away(node: Node, known: Sender, ct: Dataset, modality: Committer) -> None:
    references = send(node, ct)
    modality.stop()
    ask(known, references)
    work_on()
    row = CommitmentRequest.objects.get()
    assert (row.stage, row.error_code) == ("commitment", "waiting")
    assert "nothing listens on that port" in row.error
    assert row.due_at
    assert row.due_at > timezone.now()
    modality.start()
    work_on()
    assert [answer.committed for answer in modality.answers] == [references]


def test_an_answer_that_nobody_takes_is_given_up_in_sight_and_goes_when_a_person_says_so(
    node: Node, known: Sender, ct: Dataset, modality: Committer, settings: Any
) -> None:
    references = send(node, ct)
    modality.stop()
    ask(known, references)
    work_on()
    hours_pass(settings.DICOM_COMMITMENT_HOURS + 1)
    work.drain(seconds=60)
    assert (overview.not_taken().get().error_code, due_stages()["commitment"]) == ("not-taken", False)
    assert "was not brought" in Event.objects.get(kind="commitment-lost").sentence
    modality.start()
    retry_blocked("nurse")
    work_on()
    assert [answer.committed for answer in modality.answers] == [references]
    assert not overview.not_taken().exists()


def test_an_answer_that_is_refused_for_good_is_not_brought_again(node: Node, known: Sender, ct: Dataset) -> None:
    with Committer(status=0x0115) as modality:
        Sender.objects.update(port=modality.port)
        ask(known, send(node, ct))
        work_on()
        work_on()
        assert len(modality.answers) == 1
    assert "0x0115" in overview.not_taken().get().error


def test_a_node_that_is_registered_no_longer_gets_no_answer(node: Node, known: Sender, ct: Dataset) -> None:
    ask(known, send(node, ct))
    known.delete()
    work_on()
    assert overview.not_taken().get().error_code == "no-node"


class Dies(BaseException):
    """Ends a stage as `kill -9` does."""


def test_a_request_survives_the_death_of_its_worker(
    node: Node, known: Sender, modality: Committer, ct: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    references = send(node, ct)
    work_on()
    ask(known, references)

    def die(*_: Any) -> None:
        raise Dies

    with monkeypatch.context() as patch:
        patch.setattr(dimse, "report_commitment", die)
        with pytest.raises(Dies):
            work.work_one("commitment")
    assert not due_stages()["commitment"]
    time_passes()  # the lease is over
    work_on()
    assert [answer.committed for answer in modality.answers] == [references]


def test_no_uid_can_be_read_in_the_database_or_the_log(
    node: Node, known: Sender, modality: Committer, ct: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    references = send(node, ct)
    transaction = ask(known, references)
    row = str(CommitmentRequest.objects.values().get())
    work_on()
    seen = row + str(list(CommitmentRequest.objects.values())) + str(list(Event.objects.values())) + caplog.text
    for uid in (transaction, references[0][1], identity.unseal(Image.objects.earliest("pk").series.study.sealed_uid)):
        assert uid not in seen


# --- as the receiver asks --------------------------------------------------------------------------------------------


def message(uids: Sequence[str] = ("1.2.3",)) -> Message:
    from tests.dimse.test_commitment_provider import action, request

    encoded = dimse.messages.encode_dataset(action([(CT, uid) for uid in uids]), "1.2.840.10008.1.2.1")
    return request(encoded)


def status_of(answered: Message | None) -> int | None:
    assert answered is not None
    assert answered.command.get("MessageIDBeingRespondedTo") == 7
    return answered.number("Status")


def test_what_cannot_be_taken_is_answered_with_its_status(known: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(node: int | None, uids: Sequence[str] = ("1.2.3",)) -> int | None:
        return status_of(commitments.answer(message(uids), "1.2.840.10008.1.2.1", node=node))

    assert answered(known.pk) == 0x0000
    assert answered(None) == 0x0124
    assert answered(known.pk + 1) == 0x0124
    assert answered(known.pk, ["no uid"]) == 0x0115
    monkeypatch.setattr(commitments, "MOST_OPEN", 1)
    assert answered(known.pk) == 0x0213
    CommitmentRequest.objects.all().delete()

    def fail(*_: Any, **__: Any) -> Any:
        raise DatabaseError

    monkeypatch.setattr(CommitmentRequest.objects, "get_or_create", fail)
    assert answered(known.pk) == 0x0110
    assert commitments.answer(Message(1, {"CommandField": 0x0020}), "1.2.840.10008.1.2.1", node=known.pk) is None


class Door:
    """Lets everybody ask for commitment, as the receiver lets one node."""

    def __init__(self, node: int) -> None:
        self._node = node

    def allows(self, address: str) -> bool:
        return True

    def open(self, caller: Caller) -> Door:
        self._calling = caller.calling_ae_title
        return self

    def refused(self, address: str, why: str) -> None:
        return

    def chosen(self, sop_class_uid: str, transfer_syntax_uids: Sequence[str]) -> str | None:
        return next((uid for uid in transfer_syntax_uids if uid in COMMITMENT.transfer_syntax_uids), "")

    def roles(self, sop_class_uid: str) -> tuple[bool, bool]:
        return True, True

    def store(self, request: StoreRequest) -> Incoming:
        raise StoreRefused(0x0122)

    def answer(self, message: Message, transfer_syntax_uid: str) -> Message | None:
        return commitments.answer(message, transfer_syntax_uid, node=self._node, calling_ae_title=self._calling)

    def ended(self, how: str) -> None:
        return


@pytest.mark.django_db(transaction=True)
def test_a_modality_asks_over_the_network_and_is_answered_there(
    node: Node, known: Sender, modality: Committer, ct: Dataset
) -> None:
    references = send(node, ct)
    with Listener("127.0.0.1", 0, Door(known.pk)) as listener:
        status, transaction = modality.ask(listener.port, references)
        assert status == 0x0000
        assert modality.ask(listener.port, references, transaction=transaction) == (0x0000, transaction)
        assert modality.ask(listener.port, references[:1], transaction=transaction)[0] == 0x0115
    assert CommitmentRequest.objects.get().calling_ae_title == "MODALITY1"
    work_on()
    [answer] = modality.answers
    assert (answer.transaction_uid, answer.committed) == (transaction, references)


@pytest.mark.django_db(transaction=True)
def test_orthanc_asks_and_believes_the_answer(node: Node, known: Sender, orthanc: Orthanc, ct: Dataset) -> None:
    Sender.objects.update(port=orthanc.dicom_port, ae_title=orthanc.ae_title)
    references = send(node, ct)
    stranger = (CT, str(generate_uid()))
    with Listener("127.0.0.1", 0, Door(known.pk)) as listener:
        orthanc.add_modality("sendit", "DICOMRCV", listener.port)
        asked = {
            len(named): orthanc.rest("/modalities/sendit/storage-commitment", {"DicomInstances": named})["ID"]
            for named in (references, [*references, stranger])
        }
    work_on()
    eventually(lambda: orthanc.rest(f"/storage-commitment/{asked[3]}")["Status"] != "Pending")
    report = orthanc.rest(f"/storage-commitment/{asked[2]}")
    assert report["Status"] == "Success"
    assert {(one["SOPClassUID"], one["SOPInstanceUID"]) for one in report["Success"]} == set(references)
    report = orthanc.rest(f"/storage-commitment/{asked[3]}")
    assert report["Status"] == "Failure"
    assert [(one["SOPInstanceUID"], one["FailureReason"]) for one in report["Failures"]] == [(stranger[1], 0x0112)]


def test_an_answer_to_a_request_of_ours_may_come_to_the_receiver(
    node: Node, known: Sender, modality: Committer
) -> None:
    from dimse.commitment_provider import _event
    from dimse.messages import encode_dataset
    from main.models import Commitment

    Commitment.ask("pacs", "1.2.77", ["1.2.1", "1.2.2"])
    event = _event(dimse.CommitmentAnswer("1.2.77", [(CT, "1.2.1")], [(CT, "1.2.2", 0x0112)]))
    command = {
        "CommandField": 0x0100,
        "MessageID": 7,
        "AffectedSOPClassUID": COMMITMENT.sop_class_uid,
        "EventTypeID": 2,
    }
    told = Message(1, command, encode_dataset(event, "1.2.840.10008.1.2.1"))  # type: ignore[arg-type]
    assert status_of(commitments.answer(told, "1.2.840.10008.1.2.1", node=known.pk)) == 0x0000
    assert Commitment.answers("pacs", ["1.2.1", "1.2.2"]) == {"1.2.1": None, "1.2.2": 0x0112}
    told.dataset = b"nonsense"
    assert status_of(commitments.answer(told, "1.2.840.10008.1.2.1", node=known.pk)) == 0x0110
