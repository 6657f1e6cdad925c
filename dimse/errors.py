"""What can go wrong between two application entities, as exceptions that carry a sentence for the person on call.

No sentence contains a value from a data set.
"""

from __future__ import annotations

from typing import Literal

AssociationFailure = Literal[
    "unreachable", "refused", "tls", "rejected", "timeout", "aborted", "released", "closed", "protocol"
]


class DimseError(Exception):
    """The base of all errors of this package.

    Attributes
    ----------
    sentence : str
        What happened, who did it, and what to do.
    transient : bool
        Whether trying again later may help without anybody doing anything.
    """

    def __init__(self, sentence: str, *, transient: bool) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.transient = transient


class AssociationError(DimseError):
    """There is no association, or it ended before its work was done.

    `kind` says how: the host is `unreachable`, the TCP connection `refused`, `tls` does not come about, the association
    is `rejected` by the peer, a `timeout`, `aborted` or `released` by the peer in mid-work, the connection `closed`, or
    a `protocol` violation.
    `reason` is source and reason of a rejection (PS3.8 Table 9-21).
    """

    def __init__(
        self,
        kind: AssociationFailure,
        sentence: str,
        *,
        transient: bool = True,
        reason: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(sentence, transient=transient)
        self.kind = kind
        self.reason = reason


class CertificateError(DimseError):
    """A certificate or key of ours cannot be used."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, transient=False)


class NotSupported(DimseError):
    """The peer does not offer the service that was asked for."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, transient=False)


class RequestFailed(DimseError):
    """The peer answered a request with a failure status (PS3.7 Annex C)."""

    def __init__(self, status: int, sentence: str, *, transient: bool) -> None:
        super().__init__(sentence, transient=transient)
        self.status = status
