"""The port to which peers bring their storage commitment answers (PS3.4 J.3.3); it also answers C-ECHO, nothing else.

A thread an association, few associations, small messages, no wait without an end: it stands in a hospital network.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from dimse import acceptance
from dimse.acceptance import Request
from dimse.commitment import CANNOT_PROCESS, COMMITMENT, CommitmentAnswer, event_report_reply, read_event_report
from dimse.connection import Connection
from dimse.echo import VERIFICATION
from dimse.errors import AssociationError
from dimse.messages import (
    ABORT_PDU,
    C_ECHO_RQ,
    C_ECHO_RSP,
    N_EVENT_REPORT_RQ,
    RELEASE_RP_PDU,
    Message,
    receive_message,
    send_message,
)
from dimse.status import SUCCESS

log = logging.getLogger("dimse.listener")

OnAnswer = Callable[[str, list[tuple[str, str]], list[tuple[str, str, int]]], None]

LONGEST_ASSOCIATION = 60.0
GRACE = 1.0
SERVICES = (COMMITMENT, VERIFICATION)


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
        self.host = host
        self.port = port
        self.ae_title = ae_title
        self._on_answer = on_answer
        self._silence = silence_timeout
        self._most = max_associations
        self._places = threading.BoundedSemaphore(max_associations)
        self._idle: set[Connection] = set()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Begin to listen; raises OSError when the port is taken."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._socket = socket.create_server((self.host, self.port), family=family)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, args=(self._socket,), name="commitment", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Listen no more, close what is idle, and return when the answers in hand are kept and confirmed."""
        if self._socket is None or self._thread is None:
            return
        with self._lock:
            listening, self._socket = self._socket, None
        listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        listening.close()
        with self._lock:
            for connection in self._idle:
                connection.hang_up()
        deadline = time.monotonic() + self._silence + GRACE
        ended = [self._places.acquire(timeout=max(0.0, deadline - time.monotonic())) for _ in range(self._most)]
        for _ in filter(None, ended):
            self._places.release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listen(self, listening: socket.socket) -> None:
        while self._socket is listening:
            try:
                sock, address = listening.accept()
            except OSError:
                if self._socket is listening:
                    time.sleep(0.1)  # out of file descriptors, say: those who wait in line keep their place
                continue
            if not self._places.acquire(blocking=False):
                log.warning("Closed a connection from %s: too many associations at once.", address[0])
                sock.close()
                continue
            threading.Thread(target=self._serve, args=(sock, address[0]), name="commitment answer", daemon=True).start()

    def _serve(self, sock: socket.socket, address: str) -> None:
        try:
            connection = Connection(sock, address, self._silence)
            try:
                self._associate(connection)
            except AssociationError as error:
                log.info("An association ended: %s", error.sentence)
                connection.send_if_possible(ABORT_PDU)
            finally:
                connection.close()
        finally:
            self._places.release()

    def _associate(self, connection: Connection) -> None:
        with self._waiting(connection) as within:
            request = acceptance.receive_request(connection, within)
        if request.called_ae_title != self.ae_title:
            log.warning("Rejected an association from %s: it called another AE title than ours.", connection.name)
            connection.send(acceptance.CALLED_AE_NOT_RECOGNISED)
            return
        connection.send(acceptance.accept(request, SERVICES))
        deadline = time.monotonic() + LONGEST_ASSOCIATION
        while time.monotonic() < deadline:
            with self._waiting(connection) as within:
                message = receive_message(connection, within)
            if message is None:
                connection.send(RELEASE_RP_PDU)
                return
            send_message(connection, request.max_pdu, self._reply(connection, request, message))
        raise connection.too_slow()

    @contextmanager
    def _waiting(self, connection: Connection) -> Iterator[float]:
        """Count the connection as idle and yield how long to wait on it: a moment when the listener is stopped."""
        with self._lock:
            within = GRACE if self._socket is None else self._silence
            self._idle.add(connection)
        try:
            yield within
        finally:
            with self._lock:
                self._idle.discard(connection)

    def _reply(self, connection: Connection, request: Request, message: Message) -> Message:
        syntax = request.accepted.get(message.context_id)
        field = message.number("CommandField")
        if syntax is not None and field == N_EVENT_REPORT_RQ:
            return event_report_reply(message, self._take(connection, message, syntax))
        if syntax is not None and field == C_ECHO_RQ:
            return _echo_reply(message)
        raise connection.broken("it asked for something that is not offered here")

    def _take(self, connection: Connection, message: Message, transfer_syntax_uid: str) -> int:
        try:
            answer: CommitmentAnswer = read_event_report(message, transfer_syntax_uid)
        except ValueError as error:
            log.warning("Refused a message from %s: %s.", connection.name, error)
            return CANNOT_PROCESS
        try:
            self._on_answer(answer.transaction_uid, answer.committed, answer.failed)
        except Exception as error:  # noqa: BLE001  # whatever our caller raises, the peer must hear that we have it not
            log.error("A storage commitment answer could not be kept: %s.", type(error).__name__)
            return CANNOT_PROCESS
        return SUCCESS


def _echo_reply(message: Message) -> Message:
    return Message(
        message.context_id,
        {
            "CommandField": C_ECHO_RSP,
            "MessageIDBeingRespondedTo": message.number("MessageID") or 0,
            "AffectedSOPClassUID": VERIFICATION.sop_class_uid,
            "Status": SUCCESS,
        },
    )
