"""A DICOM peer on 127.0.0.1 that misbehaves as it is told, and remembers every byte that it was sent.

It stands for the archives that cannot be had: full, half dead, lying, gone in the middle of an image.
"""

from __future__ import annotations

import logging
import socket
import struct
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, Literal, Self

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time from the standard's table
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from tests.peers.server import free_port

STOPS_WITHIN = 0.01

Commitment = Literal["new association", "same association", "refuse", "absent"]


@dataclass(frozen=True)
class Answer:
    """Answer a C-STORE with `status`; what is not kept is gone, whatever the status said.

    `sop_instance_uid` answers for another instance than the one that was sent; `after` seconds pass before it answers.
    """

    status: int = 0x0000
    keep: bool = True
    sop_instance_uid: str = ""
    after: float = 0.0


@dataclass(frozen=True)
class Fault:
    """End a C-STORE otherwise: the peer hangs, aborts, or closes the connection (the last after keeping the image)."""

    kind: Literal["hang", "abort", "drop the answer"]


ACCEPT = Answer()
LIE = Answer(keep=False)
FULL = Answer(0xA700, keep=False)
CANNOT_UNDERSTAND = Answer(0xC000, keep=False)
COERCED = Answer(0xB000)
CLASS_NOT_SUPPORTED = Answer(0x0122, keep=False)
HANG = Fault("hang")
ABORT = Fault("abort")
DROP_THE_ANSWER = Fault("drop the answer")


@dataclass(frozen=True)
class Reject:
    """Reject the association (PS3.8 9.3.4): by default permanently, calling AE title not recognised."""

    result: int = 1
    source: int = 1
    reason: int = 3


@dataclass
class Behaviour:
    """What the peer does; may be changed while it runs, and applies from the next message on.

    `script` says what happens to the n-th image since the start (from 0), `default` to the others.
    `stop_reading_after` stops reading from the connection after so many bytes: the sender is stuck in mid-image.
    `pause_per_pdu` reads slowly, with so many seconds after each PDU. `find_status` ends a C-FIND without a match.
    `commitment_reasons` says which SOP Instance UIDs it does not commit to, and why, besides those that it has not.
    """

    associate: Reject | Literal["accept", "hang", "abort"] = "accept"
    default: Answer | Fault = ACCEPT
    script: Mapping[int, Answer | Fault] = field(default_factory=dict)
    stop_reading_after: int | None = None
    pause_per_pdu: float = 0.0
    find_status: int = 0x0000
    endless_matches: bool = False
    commitment: Commitment = "new association"
    commitment_reasons: Mapping[str, int] = field(default_factory=dict)


class ScriptedSCP:
    """A pynetdicom acceptor whose `behaviour` is scripted; keyword arguments set its first behaviour.

    `received` has every image that arrived whole, kept or not, as (SOP Instance UID, data set bytes); `kept` those
    that a query finds. `wire` is a file with every byte that arrived, aborted transfers too.
    `answer_to` is where a storage commitment is answered on an association of its own: (host, port, AE title).
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        ae_title: str = "SCRIPTED",
        port: int = 0,
        transfer_syntaxes: Iterable[str] = ALL_TRANSFER_SYNTAXES,
        sop_classes: Iterable[str] | None = None,
        answer_to: tuple[str, int, str] | None = None,
        max_pdu: int = 16382,
        **behaviour: Any,
    ) -> None:
        self.host = "127.0.0.1"
        self.ae_title = ae_title
        self.dicom_port = port or free_port()
        self.behaviour = Behaviour(**behaviour)
        self.answer_to = answer_to
        self.received: list[tuple[str, bytes]] = []
        self.kept: dict[str, bytes] = {}
        self.associations = 0
        self.wire = Path(folder) / f"{ae_title}.wire"
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._server: Any = None
        self._ae = AE(ae_title=ae_title)
        self._ae.maximum_pdu_size = max_pdu
        self._ae.maximum_associations = 100
        classes = sop_classes or [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
        for sop_class in classes:
            self._ae.add_supported_context(sop_class, list(transfer_syntaxes))
        self._ae.add_supported_context(Verification)
        self._ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        if self.behaviour.commitment != "absent":
            self._ae.add_supported_context(StorageCommitmentPushModel)

    def start(self) -> Self:
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
        self._released.clear()
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_DATA_RECV, self._on_data),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_C_ECHO, lambda event: 0x0000),
            (evt.EVT_C_FIND, self._on_find),
            (evt.EVT_N_ACTION, self._on_commitment),
        ]
        self._server = self._ae.make_server(("127.0.0.1", self.dicom_port), evt_handlers=handlers)
        self._ae._servers.append(self._server)  # as `start_server` does, whose servers take half a second to stop
        threading.Thread(target=self._server.serve_forever, args=(STOPS_WITHIN,), daemon=True).start()
        return self

    def stop(self) -> None:
        self._released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: Any) -> None:
        self.stop()

    def instances(self) -> list[str]:
        """Return the SOP Instance UIDs that are kept, sorted."""
        return sorted(self.kept)

    def _hang(self) -> None:
        self._released.wait()

    def _on_requested(self, event: evt.Event) -> None:
        with self._lock:
            self.associations += 1
        match self.behaviour.associate:
            case Reject(result, source, reason):
                event.assoc.acse.send_reject(result, source, reason)
                event.assoc.kill()
            case "hang":
                self._hang()
            case "abort":
                event.assoc.acse.send_abort(0x00)
                event.assoc.kill()

    def _on_data(self, event: evt.Event) -> None:
        with self._lock, self.wire.open("ab") as wire:
            wire.write(event.data)
            size = wire.tell()
        limit = self.behaviour.stop_reading_after
        if limit is not None and size > limit:
            self._hang()
        if self.behaviour.pause_per_pdu:
            self._released.wait(self.behaviour.pause_per_pdu)

    def _on_store(self, event: evt.Event) -> int | Dataset:
        uid = str(event.request.AffectedSOPInstanceUID)
        data = event.encoded_dataset(include_meta=False)
        with self._lock:
            action = self.behaviour.script.get(len(self.received), self.behaviour.default)
            self.received.append((uid, data))
            if action == DROP_THE_ANSWER or (isinstance(action, Answer) and action.keep):
                self.kept[uid] = data
        if isinstance(action, Answer):
            self._released.wait(action.after)
            return _status(action)
        if action.kind == "hang":
            self._hang()
        elif action.kind == "abort":
            event.assoc.abort()
        else:
            _close(event.assoc)
        return 0xC001

    def _on_find(self, event: evt.Event) -> Any:
        asked = event.identifier.get("SOPInstanceUID") or []
        wanted = {asked} if isinstance(asked, str) else set(asked)
        if self.behaviour.find_status:
            yield self.behaviour.find_status, None
            return
        matches = [uid for uid in sorted(self.kept) if not wanted or uid in wanted]
        for uid in cycle(matches) if self.behaviour.endless_matches else matches:
            found = Dataset()
            found.QueryRetrieveLevel = "IMAGE"
            found.SOPInstanceUID = uid
            yield 0xFF00, found

    def _on_commitment(self, event: evt.Event) -> tuple[int, None]:
        if self.behaviour.commitment == "refuse":
            return 0x0110, None
        answer = self._commitment_answer(event.action_information)
        way = self._answer_on_the_same if self.behaviour.commitment == "same association" else self._answer_on_a_new
        threading.Thread(target=way, args=(event.assoc, answer), daemon=True).start()
        return 0x0000, None

    def _commitment_answer(self, asked: Dataset) -> Dataset:
        answer, committed, failed = Dataset(), [], []
        answer.TransactionUID = asked.TransactionUID
        for wanted in asked.ReferencedSOPSequence:
            item = Dataset()
            item.ReferencedSOPClassUID = wanted.ReferencedSOPClassUID
            item.ReferencedSOPInstanceUID = uid = wanted.ReferencedSOPInstanceUID
            reason = self.behaviour.commitment_reasons.get(uid, 0x0000 if uid in self.kept else 0x0112)
            if reason:
                item.FailureReason = reason
            (failed if reason else committed).append(item)
        if committed:
            answer.ReferencedSOPSequence = committed
        if failed:
            answer.FailedSOPSequence = failed
        return answer

    def _answer_on_the_same(self, association: Any, answer: Dataset) -> None:
        _report(association, answer)

    def _answer_on_a_new(self, _: Any, answer: Dataset) -> None:
        if self.answer_to is None:
            return
        host, port, title = self.answer_to
        ae = AE(ae_title=self.ae_title)
        ae.add_requested_context(StorageCommitmentPushModel)
        role = build_role(UID(StorageCommitmentPushModel), scp_role=True)
        association = ae.associate(host, port, ae_title=title, ext_neg=[role])
        if association.is_established:
            _report(association, answer)
            association.release()


def _status(answer: Answer) -> int | Dataset:
    if not answer.sop_instance_uid:
        return answer.status
    status = Dataset()
    status.Status = answer.status
    status.AffectedSOPInstanceUID = answer.sop_instance_uid
    return status


def _report(association: Any, answer: Dataset) -> None:
    """Send the N-EVENT-REPORT of a storage commitment (PS3.4 J.3.3): type 1 all committed, type 2 failures exist."""
    kind = 2 if "FailedSOPSequence" in answer else 1
    association.send_n_event_report(answer, kind, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)


def _close(association: Any) -> None:
    """Close the connection with a reset, so that the requestor sees it die at once."""
    connection: socket.socket = association.dul.socket.socket
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    association.dul.socket.close()
