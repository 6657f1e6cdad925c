"""The port to which peers bring their storage commitment answers (PS3.4 J.3.3); it also answers C-ECHO, nothing else.

Few associations, small messages: it stands in a hospital network.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from dimse.commitment import CANNOT_PROCESS, COMMITMENT, CommitmentAnswer, event_report_reply, read_event_report
from dimse.echo import VERIFICATION
from dimse.messages import N_EVENT_REPORT_RQ, Message
from dimse.server import Caller, Incoming, Limits, Listener, Rejected, StoreRefused, StoreRequest
from dimse.server.services import CALLED_AE_NOT_RECOGNISED
from dimse.status import SUCCESS

log = logging.getLogger("dimse.listener")

OnAnswer = Callable[[str, list[tuple[str, str]], list[tuple[str, str, int]]], None]

SERVICES = {service.sop_class_uid: service.transfer_syntax_uids for service in (COMMITMENT, VERIFICATION)}
GRACE = 1.0


class CommitmentListener:
    """Listens on `host`:`port` as `ae_title` and hands every storage commitment answer to `on_answer`.

    Parameters
    ----------
    on_answer
        Called as `on_answer(transaction_uid, committed, failed)` in a thread of the listener, possibly several at a
        time, possibly twice for one answer. The peer gets its 0x0000 when it has returned, 0x0110 when it raised.
    port
        0 takes a free one; `port` says which.
    max_associations
        Connections beyond these are closed at once.
    silence_timeout
        Seconds without progress after which a connection is closed.
    """

    def __init__(
        self,
        host: str,
        port: int,
        ae_title: str,
        on_answer: OnAnswer,
        *,
        max_associations: int = 8,
        silence_timeout: float = 10.0,
    ) -> None:
        limits = Limits(
            max_pdu=65_536,
            request_within=silence_timeout,
            idle=silence_timeout,
            progress=silence_timeout,
            connections=max_associations,
            connections_per_address=max_associations,
        )
        self._silence = silence_timeout
        self._listener = Listener(host, port, _Services(ae_title, on_answer), limits)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._listener.port

    def start(self) -> Self:
        """Begin to listen; raises OSError when the port is taken."""
        self._listener.start()
        return self

    def stop(self) -> None:
        """Listen no more, close what is idle, and return when the answers in hand are kept and confirmed."""
        self._listener.stop(self._silence + GRACE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Services:
    """Everybody may bring an answer: it counts only with a transaction UID that we gave out."""

    def __init__(self, ae_title: str, on_answer: OnAnswer) -> None:
        self._ae_title, self._on_answer = ae_title, on_answer

    def allows(self, address: str) -> bool:
        return True

    def open(self, caller: Caller) -> _Session:
        if caller.called_ae_title != self._ae_title:
            log.warning("Rejected an association from %s: it called another AE title than ours.", caller.address)
            raise Rejected(*CALLED_AE_NOT_RECOGNISED)
        return _Session(caller, self._on_answer)

    def refused(self, address: str, why: str) -> None:
        log.info("No association with %s: %s.", address, why)


class _Session:
    def __init__(self, caller: Caller, on_answer: OnAnswer) -> None:
        self._caller, self._on_answer = caller, on_answer

    def chosen(self, sop_class_uid: str, transfer_syntax_uids: Sequence[str]) -> str | None:
        offered = SERVICES.get(sop_class_uid)
        return None if offered is None else next((uid for uid in transfer_syntax_uids if uid in offered), "")

    def roles(self, sop_class_uid: str) -> tuple[bool, bool]:
        return True, sop_class_uid == COMMITMENT.sop_class_uid

    def store(self, request: StoreRequest) -> Incoming:
        raise StoreRefused(0x0122)

    def answer(self, message: Message, transfer_syntax_uid: str) -> Message | None:
        if message.number("CommandField") != N_EVENT_REPORT_RQ:
            return None
        return event_report_reply(message, self._take(message, transfer_syntax_uid))

    def ended(self, how: str) -> None:
        return

    def _take(self, message: Message, transfer_syntax_uid: str) -> int:
        try:
            answer: CommitmentAnswer = read_event_report(message, transfer_syntax_uid)
        except ValueError as error:
            log.warning("Refused a message from %s: %s.", self._caller.address, error)
            return CANNOT_PROCESS
        try:
            self._on_answer(answer.transaction_uid, answer.committed, answer.failed)
        except Exception as error:  # noqa: BLE001  # whatever our caller raises, the peer must hear that we have it not
            log.error("A storage commitment answer could not be kept: %s.", type(error).__name__)
            return CANNOT_PROCESS
        return SUCCESS
