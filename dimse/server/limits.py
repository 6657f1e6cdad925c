"""How much of our time, memory and threads a caller gets before it is cut off."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of one listener; times are seconds.

    Attributes
    ----------
    max_pdu : int
        The largest PDU that is announced to callers (PS3.8 D.1).
    request_within : float
        From the TCP connection to the complete association request, the TLS handshake included.
    idle : float
        Silence between two messages after which an association is aborted.
    progress : float
        Silence in the middle of a message after which it is aborted.
    slowest_rate : int
        Bytes per second below which a message counts as hung although it trickles on; `progress` comes on top.
    connections : int
        Connections at once, those without an association included; more are closed before a thread exists.
    connections_per_address : int
        Connections at once from one address.
    """

    max_pdu: int = 131_072
    request_within: float = 30.0
    idle: float = 60.0
    progress: float = 60.0
    slowest_rate: int = 16_384
    connections: int = 66
    connections_per_address: int = 66
