"""A modality that asks for storage commitment and takes the answer on its own port, made of pynetdicom.

What it says of the answers is what came over the wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance


@dataclass
class Answer:
    """One N-EVENT-REPORT."""

    transaction_uid: str
    event_type: int
    committed: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str, int]] = field(default_factory=list)


class Committer:
    """A modality on a free port. `status` is what it answers to reports; `agrees` whether it agrees to our role."""

    ae_title = "MODALITY1"

    def __init__(self, *, status: int = 0x0000, agrees: bool = True, offers: bool = True) -> None:
        self.status = status
        self.answers: list[Answer] = []
        self._ae = AE(self.ae_title)
        self._ae.require_called_aet = True
        if offers:
            roles = {"scu_role": False, "scp_role": True} if agrees else {}
            self._ae.add_supported_context(StorageCommitmentPushModel, **roles)
        else:
            self._ae.add_supported_context("1.2.840.10008.1.1")
        self._server: Any = None
        self.port = 0

    def start(self) -> Self:
        """Listen, again on the same port."""
        self._server = self._ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._take)]
        )
        self.port = self._server.socket.getsockname()[1]
        return self

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ask(
        self, port: int, references: Sequence[tuple[str, str]], *, to: str = "SENDIT", transaction: str = ""
    ) -> tuple[int, str]:
        """Ask who listens on `port`; returns the status of the answer and the transaction UID."""
        transaction = transaction or generate_uid()
        request = Dataset()
        request.TransactionUID = transaction
        request.ReferencedSOPSequence = []
        for sop_class_uid, sop_instance_uid in references:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
            request.ReferencedSOPSequence.append(item)
        ae = AE(self.ae_title)
        ae.add_requested_context(StorageCommitmentPushModel)
        association = ae.associate("127.0.0.1", port, ae_title=to)
        assert association.is_established
        status, _ = association.send_n_action(
            request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        association.release()
        return int(status.Status), str(transaction)

    def _take(self, event: evt.Event) -> tuple[int, None]:
        told = event.event_information
        answer = Answer(str(told.TransactionUID), int(event.event_type))
        for item in told.get("ReferencedSOPSequence", ()):
            answer.committed.append((str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)))
        for item in told.get("FailedSOPSequence", ()):
            named = str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)
            answer.failed.append((*named, int(item.FailureReason)))
        self.answers.append(answer)
        return self.status, None
