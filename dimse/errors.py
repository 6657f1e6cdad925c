"""What can go wrong between two application entities, as exceptions that carry a sentence for the person on call.

No sentence contains a value from a data set.
"""

from __future__ import annotations

from typing import Literal

AssociationFailure = Literal[
    "unreachable", "refused", "rejected", "timeout", "aborted", "released", "closed", "protocol"
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

    `kind` says how: the host is `unreachable`, the TCP connection `refused`, the association `rejected` by the peer,
    a `timeout`, `aborted` or `released` by the peer in mid-work, the connection `closed`, or a `protocol` violation.
    """

    def __init__(self, kind: AssociationFailure, sentence: str, *, transient: bool = True) -> None:
        super().__init__(sentence, transient=transient)
        self.kind = kind


class NotSupported(DimseError):
    """The peer does not offer the service that was asked for."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, transient=False)


class RequestFailed(DimseError):
    """The peer answered a request with a failure status (PS3.7 Annex C)."""

    def __init__(self, status: int, sentence: str, *, transient: bool) -> None:
        super().__init__(sentence, transient=transient)
        self.status = status
