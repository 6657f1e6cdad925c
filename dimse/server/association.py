"""One association that a caller opened: its request, its messages one after another, its end (PS3.7 9, PS3.8 9).

C-STORE data sets pass through to the session as they arrive; everything else is small and put together in memory.
"""

from __future__ import annotations

import logging
import socket
from contextlib import suppress

from dimse.echo import VERIFICATION
from dimse.errors import AssociationError
from dimse.messages import (
    ABORT_PDU,
    C_ECHO_RQ,
    C_ECHO_RSP,
    C_STORE_RQ,
    C_STORE_RSP,
    COMMAND,
    LARGEST_COMMAND,
    LARGEST_DATASET,
    LAST,
    NO_DATASET,
    RELEASE_RP_PDU,
    Command,
    Message,
    decode_command,
    encode_message,
)
from dimse.server import acceptance
from dimse.server.acceptance import Request
from dimse.server.limits import Limits
from dimse.server.services import Caller, Incoming, Rejected, Services, Session, StoreRefused, StoreRequest
from dimse.server.stream import Stream
from dimse.status import SUCCESS

log = logging.getLogger("dimse.server")

OUT_OF_RESOURCES = 0xA700
LAST_WORD_WITHIN = 1.0


class Association:
    """Serves the caller on `sock` until the association ends; `stop` becomes readable when it is to end."""

    def __init__(
        self, sock: socket.socket, caller: Caller, services: Services, limits: Limits, stop: socket.socket
    ) -> None:
        self.established = False
        self._socket = sock
        self._caller, self._services, self._limits = caller, services, limits
        self._stream = Stream(sock, caller.address, limits, stop)

    def hang_up(self) -> None:
        """Wait no longer for what the caller has not said yet."""
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def serve(self, within: float) -> None:
        """Negotiate in `within` seconds and answer messages until the end; nothing is raised."""
        try:
            request = self._request(within)
            session = self._services.open(self._caller)
        except AssociationError as error:
            log.info("No association: %s", error.sentence)
            if error.kind == "protocol":
                self._send_if_possible(ABORT_PDU)
            self._services.refused(self._caller.address, error.kind)
            return
        except Rejected as rejected:
            self._send_if_possible(acceptance.rejection_pdu(rejected.result, rejected.source, rejected.reason))
            return
        self.established = True
        how = "aborted"
        try:
            how = self._converse(request, session)
        except AssociationError as error:
            how = "lost" if error.kind == "closed" else "aborted"
            log.info("An association ended (%s): %s", how, error.sentence)
        finally:
            if how != "released":
                self._send_if_possible(ABORT_PDU)
            session.ended(how)

    def _request(self, within: float) -> Request:
        kind, body = self._stream.request(within)
        if kind != acceptance.REQUEST:
            raise self._stream.broken("no association request")
        try:
            request = acceptance.read_request(body)
        except ValueError as error:
            raise self._stream.broken(str(error)) from None
        except Rejected:
            self._services.refused(self._caller.address, "protocol")
            raise
        self._caller = Caller(
            self._caller.address,
            request.calling_ae_title,
            request.called_ae_title,
            self._caller.tls_subject,
            request.implementation,
        )
        return request

    def _converse(self, request: Request, session: Session) -> str:
        accepted = acceptance.answer(request, session.chosen, session.roles, self._limits.max_pdu)
        self._stream.send(accepted, self._limits.progress)
        while self._stream.message_begins():
            first = self._stream.next_pdv()
            if first is None:
                self._send_if_possible(RELEASE_RP_PDU)
                return "released"
            self._message(first, request, session)
        return "stopped"

    def _message(self, first: tuple[int, int], request: Request, session: Session) -> None:
        """Read one message and answer it."""
        context_id = first[0]
        command = self._command(first)
        syntax = request.accepted.get(context_id)
        if syntax is None:
            raise self._stream.broken("a message in a presentation context that was not accepted")
        field = command.get("CommandField")
        has_dataset = command.get("CommandDataSetType", NO_DATASET) != NO_DATASET
        if field == C_STORE_RQ and has_dataset:
            status, comment = self._store(context_id, command, syntax, session)
            reply = Message(context_id, _store_reply(command, status, comment))
        elif field == C_ECHO_RQ and not has_dataset:
            reply = Message(context_id, _echo_reply(command))
        else:
            dataset = self._small_dataset(context_id) if has_dataset else b""
            answer = session.answer(Message(context_id, command, dataset), syntax)
            if answer is None:
                raise self._stream.broken("it asked for something that is not offered here")
            reply = answer
        self._stream.send(encode_message(reply, request.max_pdu), self._limits.progress)

    def _command(self, first: tuple[int, int]) -> Command:
        data = bytearray()
        pdv: tuple[int, int] | None = first
        while pdv is not None:
            context_id, control = pdv
            if context_id != first[0] or not control & COMMAND:
                raise self._stream.broken("a command set that is mixed with something else")
            for piece in self._stream.content():
                data += piece
                if len(data) > LARGEST_COMMAND:
                    raise self._stream.broken(f"a command set of more than {LARGEST_COMMAND} bytes")
            if control & LAST:
                try:
                    return decode_command(bytes(data))
                except ValueError as error:
                    raise self._stream.broken(str(error)) from None
            pdv = self._stream.next_pdv()
        raise self._stream.broken("a release in the middle of a message")

    def _store(self, context_id: int, command: Command, syntax: str, session: Session) -> tuple[int, str]:
        """Pass a data set on as it arrives and return the status to answer, with its comment.

        When it is refused the rest is read and dropped, because there is no other way to answer.
        """
        incoming: Incoming | None = None
        status, comment = SUCCESS, ""
        wanted = StoreRequest(_text(command, "AffectedSOPClassUID"), _text(command, "AffectedSOPInstanceUID"), syntax)
        try:
            incoming = session.store(wanted)
        except (StoreRefused, OSError) as error:
            status, comment = _refusal(error)
        try:
            last = False
            while not last:
                last = self._next_of_dataset(context_id)
                for piece in self._stream.content():
                    if incoming is not None and status == SUCCESS:
                        try:
                            incoming.write(piece)
                        except (StoreRefused, OSError) as error:
                            status, comment = _refusal(error)
            if incoming is not None and status == SUCCESS:
                try:
                    status = incoming.complete()
                    incoming = None
                except (StoreRefused, OSError) as error:
                    status, comment = _refusal(error)
            return status, comment
        finally:
            if incoming is not None:
                incoming.discard()

    def _small_dataset(self, context_id: int) -> bytes:
        data = bytearray()
        last = False
        while not last:
            last = self._next_of_dataset(context_id)
            for piece in self._stream.content():
                data += piece
                if len(data) > LARGEST_DATASET:
                    raise self._stream.broken(f"a message of more than {LARGEST_DATASET} bytes")
        return bytes(data)

    def _next_of_dataset(self, context_id: int) -> bool:
        """Go to the next value of the data set and tell whether it is the last."""
        pdv = self._stream.next_pdv()
        if pdv is None or pdv[0] != context_id or pdv[1] & COMMAND:
            raise self._stream.broken("a data set that is mixed with something else")
        return bool(pdv[1] & LAST)

    def _send_if_possible(self, data: bytes) -> None:
        """Send a last word to somebody who may not listen any more."""
        try:
            self._stream.send(data, LAST_WORD_WITHIN)
        except AssociationError:
            return


def _text(command: Command, keyword: str) -> str:
    return str(command.get(keyword, ""))  # type: ignore[call-overload]  # both keywords are of the command set


def _refusal(error: Exception) -> tuple[int, str]:
    if isinstance(error, StoreRefused):
        return error.status, error.comment
    log.error("An instance could not be written: %s.", type(error).__name__)
    return OUT_OF_RESOURCES, "storage failure"


def _store_reply(command: Command, status: int, comment: str) -> Command:
    reply: Command = {
        "CommandField": C_STORE_RSP,
        "MessageIDBeingRespondedTo": command.get("MessageID", 0),
        "Status": status,
        "AffectedSOPClassUID": _text(command, "AffectedSOPClassUID"),
        "AffectedSOPInstanceUID": _text(command, "AffectedSOPInstanceUID"),
    }
    if comment:
        reply["ErrorComment"] = comment
    return reply


def _echo_reply(command: Command) -> Command:
    return {
        "CommandField": C_ECHO_RSP,
        "MessageIDBeingRespondedTo": command.get("MessageID", 0),
        "AffectedSOPClassUID": VERIFICATION.sop_class_uid,
        "Status": SUCCESS,
    }
