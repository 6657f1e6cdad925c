"""An association that we open: negotiated, used by one thread, and released or aborted at its end.

It is the one client of this package; echo, store, find and commitment say what they want through it.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from dimse import negotiation
from dimse.connection import HEADER, Connection, connect
from dimse.errors import AssociationError, DimseError
from dimse.messages import (
    A_ABORT,
    A_RELEASE_RP,
    ABORT_PDU,
    RELEASE_RP_PDU,
    RELEASE_RQ_PDU,
    Command,
    Message,
    receive_message,
    send_message,
)
from dimse.negotiation import Accepted, Proposal
from dimse.peer import Peer

A_ASSOCIATE_AC, A_ASSOCIATE_RJ = 0x02, 0x03
RELEASE_WITHIN = 2.0
RESPONSE = 0x8000


class Association:
    """An association with `peer`; open it with `Association.open(peer, proposals)` in a `with` statement.

    Leaving the block releases it; leaving it by an exception aborts it.
    """

    def __init__(self, peer: Peer, connection: Connection, agreement: negotiation.Agreement) -> None:
        self.peer = peer
        self.connection = connection
        self.max_pdu = agreement.max_pdu
        self._agreement = agreement
        self._message_id = 0
        self._over = False

    @classmethod
    def open(cls, peer: Peer, proposals: tuple[Proposal, ...]) -> Self:
        """Connect and negotiate.

        Raises
        ------
        AssociationError
            With every `kind`; only a permanent rejection is not transient.
        """
        connection = connect(peer)
        try:
            connection.send(negotiation.request(peer, proposals))
            kind, body = connection.receive(peer.association_answer_within)
            pdu = HEADER.pack(kind, len(body)) + body
            if kind == A_ASSOCIATE_RJ:
                raise negotiation.rejection(pdu, peer)
            if kind == A_ABORT:
                raise AssociationError("aborted", f"{peer} aborted the association while it was opened. Will retry.")
            if kind != A_ASSOCIATE_AC:
                raise connection.broken(f"a PDU of type {kind} in answer to an association request")
            try:
                return cls(peer, connection, negotiation.agreement(pdu, proposals))
            except ValueError as error:
                raise connection.broken(str(error)) from None
        except BaseException:
            connection.close()
            raise

    def accepted(self, proposal: Proposal) -> Accepted | None:
        """Return the presentation context that was accepted for `proposal`."""
        return self._agreement.accepted.get(proposal)

    def refusal(self, proposal: Proposal) -> str:
        """Return why `proposal` was refused, as the end of a sentence that begins with the peer's name."""
        return self._agreement.refused[proposal]

    def next_message_id(self) -> int:
        self._message_id = self._message_id % 65_535 + 1
        return self._message_id

    def ask(self, context: Accepted, command: Command, dataset: bytes = b"") -> int:
        """Send a request and return its message id; the answers come by `answer`."""
        message_id = self.next_message_id()
        request: Command = {**command, "MessageID": message_id}
        send_message(self.connection, self.max_pdu, Message(context.context_id, request, dataset))
        return message_id

    def answer(
        self, field: int, message_id: int, *, more_time: float = 0.0, aside: list[Message] | None = None
    ) -> Message:
        """Wait for an answer to the request `message_id` and return it; its status is present.

        A request that the peer has of its own in the meantime is put into `aside` where one is given.

        Raises
        ------
        AssociationError
            When the association ends, the peer is silent, or something else is answered.
        """
        message = self.receive(self.peer.message_answer_within + more_time)
        if aside is not None and not (message.number("CommandField") or 0) & RESPONSE:
            aside.append(message)
            message = self.receive(self.peer.message_answer_within + more_time)
        if message.number("CommandField") != field or message.number("MessageIDBeingRespondedTo") != message_id:
            raise self.connection.broken("it answered something that was not asked")
        if message.number("Status") is None:
            raise self.connection.broken("it answered without a status")
        return message

    def receive(self, within: float) -> Message:
        """Return the next message, whatever it is.

        Raises
        ------
        AssociationError
            When there is none in time, or the association ends.
        """
        message = receive_message(self.connection, within)
        if message is None:
            self._over = True
            self.connection.send(RELEASE_RP_PDU)
            raise AssociationError("released", f"{self.peer} released the association in mid-work. Will retry.")
        return message

    def reply(self, message: Message) -> None:
        """Send an answer to something that the peer asked on our association."""
        send_message(self.connection, self.max_pdu, message)

    def release(self) -> None:
        """End in order. The work is done, so a peer that does not answer to this changes nothing."""
        if self._over:
            return
        self._over = True
        deadline = time.monotonic() + min(RELEASE_WITHIN, self.peer.silence_timeout)
        try:
            self.connection.send(RELEASE_RQ_PDU)
            kind = 0
            while kind not in (A_RELEASE_RP, A_ABORT) and time.monotonic() < deadline:
                kind, _ = self.connection.receive(max(0.0, deadline - time.monotonic()))
        except AssociationError:
            return

    def abort(self) -> None:
        """End at once (A-ABORT)."""
        if self._over:
            return
        self._over = True
        self.connection.send_if_possible(ABORT_PDU)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None or (isinstance(error, DimseError) and not isinstance(error, AssociationError)):
                self.release()
            else:
                self.abort()
        finally:
            self.connection.close()
