"""Joins the receiver with the rest of sendit: settings in, access, commitment and signs of life out.

The only place in the receiver that knows Django, beside its commands.
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from django.conf import settings
from django.db import Error, close_old_connections, connections

from dimse import tls
from dimse.server import Limits, Listener
from main import commitments
from main.access import Access
from main.associations import Reporter
from main.heartbeat import beat
from receiver.drops import Drops
from receiver.family import Family
from receiver.home import recover
from receiver.instance import Terms
from receiver.process import Process
from receiver.room import Room
from receiver.services import Offer, Receiver
from receiver.slots import Slots

logger = logging.getLogger(__name__)

BEAT_EVERY = 10.0  # seconds, when nothing changes


class NoPort(Exception):  # noqa: N818 - a state, not a fault
    """A port cannot be used; the text is for people."""


def pid_file() -> Path:
    """Where the receiver's pid file is."""
    return Path(settings.RUN_DIR) / "receiver.pid"


def log_file() -> Path:
    """Where a receiver in the background writes its log."""
    return Path(settings.LOGS_DIR) / "receiver.log"


def process_name(number: int) -> str:
    """Name a process: the same after a restart."""
    return f"{os.uname().nodename}-{number}"


def listening() -> list[str]:
    """Say where the receiver listens."""
    return [f"{'DICOM over TLS' if secure else 'DICOM'} on {_address(port)}" for port, secure in _ports()]


def require_ports() -> None:
    """Try the ports that are to be used: several processes may share one, so another receiver would not be noticed.

    Raises
    ------
    NoPort
        A port is not to be had.
    """
    if not _ports():
        raise NoPort("DICOM_PORT and DICOM_TLS_PORT are both 0: the receiver has no port.")
    for port, _ in _ports():
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.DICOM_BIND_ADDRESS, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                raise NoPort(
                    f"The receiver cannot use {_address(port)} ({error.strerror}). Stop what uses it, or set DICOM_PORT, "
                    "DICOM_TLS_PORT or DICOM_BIND_ADDRESS."
                ) from None


def tls_context() -> ssl.SSLContext | None:
    """Read the certificate of the TLS port; None without one.

    Raises
    ------
    dimse.errors.DimseError
        A file cannot be read or does not fit; with a sentence.
    """
    if not settings.DICOM_TLS_PORT:
        return None
    return tls.server_context(settings.DICOM_TLS_CERTIFICATE, settings.DICOM_TLS_KEY, settings.DICOM_TLS_CA)


def make_family(context: ssl.SSLContext | None) -> Family:
    """Make the processes of the receiver, as the settings want them; nothing of this process's is theirs."""
    connections.close_all()
    return Family(settings.DICOM_PROCESSES, lambda number, until: _serve(number, context, until))


def _serve(number: int, context: ssl.SSLContext | None, until: Callable[[], object]) -> None:
    if found := recover(settings.DICOM_FOLDER):
        logger.warning("%d drops of processes that had died were handed over", found)
    access = Access().start()
    receiver = Receiver(
        Offer(
            settings.DICOM_AE_TITLE,
            access,
            commitments.answer,
            Drops(settings.DICOM_FOLDER),
            Slots(settings.RUN_DIR / "receiver.slots", settings.DICOM_MAX_ASSOCIATIONS),
            Terms(
                Room(settings.DICOM_FOLDER, settings.DICOM_LOW_BYTES, settings.DICOM_HIGH_BYTES),
                settings.SENDIT_MAX_FILE_BYTES,
                settings.DICOM_MODALITIES,
            ),
            settings.DICOM_STUDY_TIMEOUT,
            settings.DICOM_SOP_CLASSES,
        )
    )
    reporter = Reporter(process_name(number), listening())
    try:
        Process(receiver, _listeners(receiver, context), _telling(number, receiver, reporter)).run(until)
    finally:
        access.stop()
        with suppress(Error):
            reporter.gone()
        connections.close_all()


def _listeners(receiver: Receiver, context: ssl.SSLContext | None) -> Sequence[Listener]:
    return [
        Listener(settings.DICOM_BIND_ADDRESS, port, receiver, limits(), tls=context if secure else None, shared=True)
        for port, secure in _ports()
    ]


def limits() -> Limits:
    """Return the bounds of a listener; one address that opens connections and is silent leaves room for the others."""
    most = settings.DICOM_MAX_ASSOCIATIONS + 16  # who is refused needs a connection to hear it
    return Limits(
        max_pdu=settings.DICOM_MAX_PDU_SIZE,
        request_within=settings.DICOM_ACSE_TIMEOUT,
        progress=settings.DICOM_DIMSE_TIMEOUT,
        idle=settings.DICOM_NETWORK_TIMEOUT,
        connections=4 * most,
        connections_per_address=most,
    )


def _telling(number: int, receiver: Receiver, reporter: Reporter) -> Callable[[], None]:
    told: dict[str, object] = {}
    told_at = 0.0

    def tell() -> None:
        nonlocal told, told_at
        close_old_connections()
        try:
            live = receiver.live()
            reporter.report(live)
            facts: dict[str, object] = {
                "pid": os.getpid(),
                "listening": listening(),
                "associations": len(live),
                "instances": receiver.instances + sum(one.instances for one in live),
                "refused": receiver.refusals + sum(one.refused for one in live),
                "room": receiver.offer.terms.has_room(),
            }
            if facts != told or monotonic() - told_at >= BEAT_EVERY:
                beat("receiver", process_name(number), **facts)
                told, told_at = facts, monotonic()
        finally:
            close_old_connections()

    return tell


def _ports() -> list[tuple[int, bool]]:
    ports = ((settings.DICOM_PORT, False), (settings.DICOM_TLS_PORT, True))
    return [(port, secure) for port, secure in ports if port]


def _address(port: int) -> str:
    host = settings.DICOM_BIND_ADDRESS
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
