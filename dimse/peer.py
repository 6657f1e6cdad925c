"""Whom we talk to and what we send: plain values, without a socket.

Nothing here knows a protocol; the modules that speak one take these as arguments.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path

AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")


@dataclass(frozen=True)
class Peer:
    """A DICOM application entity that we open associations to.

    Attributes
    ----------
    host, port
        Where it listens.
    ae_title
        The called AE title.
    calling_ae_title
        Our own AE title, by which the peer knows us.
    connect_timeout
        Seconds for the name look-up and the TCP connection.
    silence_timeout
        Seconds without a single byte of progress after which the peer counts as hung.
    acse_timeout, dimse_timeout
        Seconds for the answer to an association request and to a message; the silence timeout when not given.
        An answer to a C-STORE may take longer by the time that storing so many bytes takes.
    slowest_rate
        Bytes per second below which a transfer counts as hung although bytes still trickle.
    max_pdu
        The largest PDU that we accept, in bytes.
    tls
        A context of `dimse.tls.client_context`: the connection is encrypted, and the peer must be who it says it is.
    """

    host: str
    port: int
    ae_title: str
    calling_ae_title: str = "SENDIT"
    connect_timeout: float = 5.0
    silence_timeout: float = 10.0
    acse_timeout: float | None = None
    dimse_timeout: float | None = None
    slowest_rate: int = 16_384
    max_pdu: int = 65_536
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        for title in (self.ae_title, self.calling_ae_title):
            if not AE_TITLE.fullmatch(title) or not title.strip():
                raise ValueError(f"{title!r} is no AE title: 1 to 16 ASCII characters, no backslash (PS3.5 6.2).")

    def __str__(self) -> str:
        return f"{self.ae_title} ({self.host}:{self.port})"

    @property
    def association_answer_within(self) -> float:
        """Seconds that the peer has to accept or reject an association."""
        return self.silence_timeout if self.acse_timeout is None else self.acse_timeout

    @property
    def message_answer_within(self) -> float:
        """Seconds that the peer has to answer a message."""
        return self.silence_timeout if self.dimse_timeout is None else self.dimse_timeout


@dataclass(frozen=True)
class Instance:
    """A SOP instance in a file, as it is to be sent: these very bytes, in this transfer syntax.

    `dataset_offset` is where the data set begins in the file, behind the preamble and the file meta information.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset_offset: int
