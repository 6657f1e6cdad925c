"""Who may do what: a caller is recognised by the nodes, everybody else is refused and counted.

Nothing that a caller waits for touches the database or a name server: one thread reads the nodes and writes refusals.
While the database is away the last known nodes hold; while they were never read nobody gets in.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from main.host_names import Address, HostNames, parsed
from main.models import Node
from main.models.nodes import Network, network
from main.projects import projects
from main.projects.belonging import called_ae_titles
from main.refusals import Refusals

log = logging.getLogger(__name__)

EVERY = 2.0
PUBLIC = "public"
LOOPBACK_ONLY = "The receiver listens on this machine only; set DICOM_BIND_ADDRESS=0.0.0.0 to let other machines in."


class Caller(Protocol):
    """Who asks for an association, as `dimse.server.Caller` says it."""

    @property
    def address(self) -> str:
        """IP address of the other side."""

    @property
    def calling_ae_title(self) -> str:
        """What it calls itself."""

    @property
    def tls_subject(self) -> str:
        """Subject of its certificate; empty without one."""


@dataclass(frozen=True)
class Admitted:
    """A caller that may store: the name of its node, the node's number, and the seconds of quiet that end its studies."""

    name: str
    node: int | None
    quiet: float | None


@dataclass(frozen=True)
class Known:
    """A node, ready for comparing; where several recognise a caller, the one that asks for the most decides."""

    admitted: Admitted
    may_store: bool
    titles: frozenset[str]
    networks: tuple[Network, ...]
    names: frozenset[str]
    tls_subject: str

    @classmethod
    def of(cls, node: Node) -> Known:
        """Take over a row."""
        networks = {text: network(text) for text in node.addresses}
        return cls(
            Admitted(node.name, node.pk, node.quiet),
            node.may_store,
            frozenset(node.calling_ae_titles),
            tuple(found for found in networks.values() if found),
            frozenset(text for text, found in networks.items() if not found),
            node.tls_subject,
        )

    @property
    def asks_for(self) -> int:
        """How many of title, address and certificate it asks for."""
        return bool(self.titles) + bool(self.networks or self.names) + bool(self.tls_subject)

    def is_at(self, address: Address | None, names: HostNames) -> bool:
        """Whether the node may call from this address."""
        if not self.networks and not self.names:
            return True
        if address is None:
            return False
        return any(address in one for one in self.networks) or any(address in names.of(one) for one in self.names)

    def is_caller(self, caller: Caller, names: HostNames) -> bool:
        """Whether everything that the node asks for is as the caller has it."""
        return (
            (not self.titles or caller.calling_ae_title in self.titles)
            and (not self.tls_subject or caller.tls_subject == self.tls_subject)
            and self.is_at(parsed(caller.address), names)
        )


class Access:
    """The answers of one receiver process, from any of its threads; make it after the process was forked."""

    def __init__(self, every: float = EVERY) -> None:
        self._every = every
        self._allowed = tuple(ipaddress.ip_network(text) for text in settings.DICOM_ALLOWED_NETWORKS)
        self._known: tuple[Known, ...] | None = None
        self._titles: frozenset[str] = frozenset()
        self._names, self._refusals = HostNames(), Refusals()
        self._stopping, self._read_once = threading.Event(), threading.Event()
        self._complained = ""
        self._thread = threading.Thread(target=self._run, name="access", daemon=True)

    def start(self, within: float = 10.0) -> Self:
        """Read the nodes and keep up with them; returns when they were read, or after `within` seconds without them."""
        self._thread.start()
        if self._read_once.wait(within):
            self._names.settled(within)
        return self

    def stop(self, within: float = 10.0) -> None:
        """Write the last refusals and end."""
        self._stopping.set()
        self._names.stop()
        self._thread.join(within)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def may_connect(self, address: str) -> bool:
        """Whether anybody at this address may ask for an association (DICOM_ALLOWED_NETWORKS)."""
        if not self._allowed:
            return True
        found = parsed(address)
        return found is not None and any(found in one for one in self._allowed)

    def is_known(self) -> bool:
        """Whether the nodes were read at all; until then nobody can be told for good that it is unknown."""
        return self._known is not None

    def is_called(self, title: str) -> bool:
        """Whether a project is called by this AE title."""
        return title in self._titles

    def admitted(self, caller: Caller) -> Admitted | None:
        """Return who the caller is when it may store; None refuses it."""
        known = self._known
        if known is None:
            return None
        for node in known:
            if node.is_caller(caller, self._names):
                return node.admitted if node.may_store else None
        return Admitted(PUBLIC, None, None) if settings.DICOM_PUBLIC else None

    def refused(self, address: str, calling: str, called: str, why: str) -> None:
        """Count a refusal for the page; `why` is a key of `main.refusals.REASONS`."""
        self._refusals.add(address, calling, called, why)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._turn()
            self._stopping.wait(self._every)
        self._turn()
        connection.close()

    def _turn(self) -> None:
        with suppress(ImproperlyConfigured):  # those that were read last hold; drops wait and say why
            self._titles = called_ae_titles()
        try:
            self._known = in_order(Known.of(node) for node in Node.objects.defer("last_test"))
            self._names.want({name for one in self._known for name in one.names})
            self._read_once.set()
            self._refusals.write()
            self._complained = ""
        except Exception as error:  # noqa: BLE001 - whatever the database does, the last known nodes hold
            connection.close()
            said = type(error).__name__
            if said != self._complained:
                self._complained = said
                log.warning("The nodes cannot be read (%s); those that were read last hold.", said)


def in_order(known: Iterable[Known]) -> tuple[Known, ...]:
    """Return the nodes as they are asked: who asks for the most first, then by name."""
    return tuple(sorted(known, key=lambda one: (-one.asks_for, one.admitted.name)))


def notes() -> list[str]:
    """What a person should know about who gets in at all, in sentences."""
    found = []
    bound = parsed(settings.DICOM_BIND_ADDRESS)
    if settings.DICOM_BIND_ADDRESS == "localhost" or (bound is not None and bound.is_loopback):
        found.append(LOOPBACK_ONLY)
    with suppress(ImproperlyConfigured):  # which is said elsewhere
        for one in projects().values():
            if one.called_ae_titles:
                found.append(f"Project {one.name} is called {' or '.join(sorted(one.called_ae_titles))}.")
    if settings.DICOM_PUBLIC:
        found.append("DICOM_PUBLIC is yes: whoever reaches the port may send images here.")
    elif not Node.objects.filter(may_store=True).exists():
        found.append("No node may send yet, so everybody is refused: add one.")
    by_certificate = Node.objects.exclude(tls_subject="").values_list("name", flat=True)
    if not (settings.DICOM_TLS_PORT and settings.DICOM_TLS_CA) and (names := sorted(by_certificate)):
        found.append(
            f"Certificates are not asked for, so {', '.join(names)} cannot be recognised: set DICOM_TLS_PORT and DICOM_TLS_CA."
        )
    return found
