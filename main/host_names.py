"""The IP addresses of host names, looked up in a thread of their own: a name server that hangs holds up nobody."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Collection
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parsed(text: str) -> Address | None:
    """Return an IP address without its zone, an IPv4 address also where it is written as IPv6; None for other text."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped or address


class HostNames:
    """Knows the addresses of the names that are wanted, and looks them up again every `again` seconds.

    A name that cannot be resolved keeps the addresses that it had.
    """

    def __init__(self, again: float = 60.0) -> None:
        self._again = again
        self._wanted: frozenset[str] = frozenset()
        self._found: dict[str, frozenset[Address]] = {}
        self._changed, self._settled = threading.Event(), threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def want(self, names: Collection[str]) -> None:
        """Say which names are needed from now on; their addresses are known a moment later."""
        wanted = frozenset(names)
        if wanted == self._wanted:
            return
        self._wanted = wanted
        self._settled.clear()
        self._changed.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="host names", daemon=True)
            self._thread.start()

    def of(self, name: str) -> frozenset[Address]:
        """Return the addresses of a name as last known; never waits."""
        return self._found.get(name, frozenset())

    def settled(self, within: float) -> bool:
        """Wait until every wanted name was looked up once; False when that takes longer."""
        return not self._wanted or self._settled.wait(within)

    def stop(self) -> None:
        """Look nothing up any more; a look-up that hangs is left alone."""
        self._stopping = True
        self._changed.set()

    def _run(self) -> None:
        while not self._stopping:
            self._changed.clear()
            wanted = self._wanted
            found = {name: resolved(name) or self.of(name) for name in sorted(wanted)}
            self._found = found
            if wanted == self._wanted:
                self._settled.set()
            self._changed.wait(self._again)


def resolved(name: str) -> frozenset[Address]:
    """Return the addresses of a name; none when it is not known. This may take as long as the name server likes."""
    try:
        found: list[Any] = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(address for entry in found if (address := parsed(str(entry[4][0]))) is not None)
