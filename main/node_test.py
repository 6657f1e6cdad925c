"""Tries a node layer by layer: name, TCP, TLS, association, C-ECHO, what it takes; the first that fails ends it.

Each layer says what happened, and what to change where. How the peer speaks DICOM is known in `dimse/`.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from django.utils import timezone

from dimse import AssociationError, DimseError, Peer, echo
from dimse.association import Association
from dimse.echo import VERIFICATION
from dimse.errors import NotSupported
from main.host_names import Address, parsed, resolved
from main.models import Node
from main.node_offers import offers
from main.node_tls import handshake, speaks_tls

CONNECT_WITHIN, ANSWER_WITHIN = 3.0, 5.0

Outcome = Literal["ok", "look", "failed"]


@dataclass
class Layer:
    """What one layer said. `look` is no failure, but a person should know; `do` is what to change, and where.

    `more` are lists under a heading, for those who want to know.
    """

    name: str
    outcome: Outcome
    says: str
    do: str = ""
    more: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0


class _Stopped(Exception):  # noqa: N818 - the end of a test, not a fault
    """A layer failed: those above it cannot be tried."""

    def __init__(self, says: str, do: str) -> None:
        super().__init__(says)
        self.says, self.do = says, do


def run(node: Node) -> list[Layer]:
    """Try a node and keep the result with it, for whoever looks at it next."""
    found = list(layers(node))
    node.last_test, node.tested_at = [asdict(layer) for layer in found], timezone.now()
    Node.objects.filter(pk=node.pk).update(last_test=node.last_test, tested_at=node.tested_at)
    return found


def layers(node: Node) -> Iterator[Layer]:
    """Yield each layer as soon as it is tried, up to the first that fails."""
    try:
        peer = replace(node.peer(), connect_timeout=CONNECT_WITHIN, silence_timeout=ANSWER_WITHIN)
    except ValueError:
        yield Layer(
            "Name",
            "look",
            "It has no host, port and AE title here: it only calls us, so there is nothing to try from here.",
            "Send a C-ECHO from there; if it is refused, the page Receiver says why.",
        )
        return
    except DimseError as error:
        yield Layer("TLS", "failed", error.sentence, "Correct DICOM_TLS_CERTIFICATE, DICOM_TLS_KEY and DICOM_TLS_CA.")
        return
    addresses: list[Address] = []
    tried: list[tuple[str, Callable[[], Layer]]] = [
        ("Name", lambda: _name(peer, addresses)),
        ("TCP", lambda: _tcp(peer, addresses)),
        *([("TLS", lambda: _tls(peer))] if node.tls else []),
        ("Association", lambda: _association(peer, node.tls)),
        ("C-ECHO", lambda: _echo(peer)),
        ("SOP classes", lambda: _offers(peer, ask_count=node.ask_count)),
    ]
    for name, attempt in tried:
        started = time.monotonic()
        try:
            layer = attempt()
        except _Stopped as stopped:
            layer = Layer(name, "failed", stopped.says, stopped.do)
        layer.seconds = round(time.monotonic() - started, 3)
        yield layer
        if layer.outcome == "failed":
            return


def _name(peer: Peer, addresses: list[Address]) -> Layer:
    if (literal := parsed(peer.host)) is not None:
        addresses.append(literal)
        return Layer("Name", "ok", f"{peer.host} is an address: no name to look up.")
    thread = threading.Thread(target=lambda: addresses.extend(sorted(resolved(peer.host), key=str)), daemon=True)
    thread.start()
    thread.join(CONNECT_WITHIN)
    if thread.is_alive():
        raise _Stopped(
            f"The name server has not answered for {peer.host} within {CONNECT_WITHIN:g} s.",
            "Check the name server of this machine, or write the IP address here.",
        )
    if not addresses:
        raise _Stopped(
            f"The name {peer.host} is not known to the name server of this machine.",
            "Correct the host here, or write its IP address. In a container, names of the host's /etc/hosts are missing.",
        )
    return Layer("Name", "ok", f"{peer.host} is {', '.join(map(str, addresses))}.")


def _tcp(peer: Peer, addresses: list[Address]) -> Layer:
    where = f"port {peer.port} of {peer.host}"
    stopped = _Stopped(f"Nothing reaches {where}.", "Check host and network.")
    for address in addresses:
        try:
            with socket.create_connection((str(address), peer.port), CONNECT_WITHIN):
                return Layer("TCP", "ok", f"{where[0].upper()}{where[1:]} takes connections.")
        except ConnectionRefusedError:
            stopped = _Stopped(
                f"The machine is there, but nothing listens on {where}.",
                "Correct the port here, or start the DICOM service there (it may listen on its own machine only).",
            )
        except TimeoutError:
            stopped = _Stopped(
                f"No answer from {where} within {CONNECT_WITHIN:g} s: the machine is off, or a firewall drops it.",
                f"Correct the host here, or let this machine reach TCP port {peer.port} in the firewall there.",
            )
        except OSError:
            stopped = _Stopped(
                f"There is no way to {where}: the network refuses it.", "Check the host here, routes and firewall."
            )
    raise stopped


def _tls(peer: Peer) -> Layer:
    assert peer.tls is not None
    found = handshake(peer.host, peer.port, peer.tls, CONNECT_WITHIN)
    if not found.ok:
        raise _Stopped(found.says, found.do)
    return Layer("TLS", "look" if found.do else "ok", found.says, found.do)


def _association(peer: Peer, by_tls: bool) -> Layer:
    try:
        with Association.open(peer, (VERIFICATION,)):
            pass
    except AssociationError as error:
        raise _Stopped(*_no_association(peer, error, by_tls)) from None
    return Layer("Association", "ok", f"{peer.ae_title} lets us in as {peer.calling_ae_title}.")


# What is said of a rejection by its source and reason (PS3.8 Table 9-21), and what to change where.
_REJECTIONS = {
    (1, 2): ("It does not know the DICOM application context.", "Check that this is a DICOM service."),
    (1, 3): (
        "It does not know us: calling AE title {ours} not recognised.",
        "Register {ours} there, with the address of this machine; or set DICOM_AE_TITLE to a title that it knows.",
    ),
    (1, 7): (
        "It is not called {theirs}: called AE title not recognised.",
        "Correct the called AE title here to the one that is set there; capitals count.",
    ),
    (3, 1): ("It is busy and takes no association now.", "Try again; if it stays so, look at it there."),
    (3, 2): ("It has as many associations as it takes.", "Try again, or raise its limit there."),
}


def _no_association(peer: Peer, error: AssociationError, by_tls: bool) -> tuple[str, str]:
    if error.reason is not None:
        says, do = _REJECTIONS.get(
            error.reason,
            ("It rejected the association without a known reason.", "Its log says why; most want {ours} registered."),
        )
        names = {"ours": peer.calling_ae_title, "theirs": peer.ae_title}
        return says.format(**names), do.format(**names)
    if not by_tls and speaks_tls(peer.host, peer.port, CONNECT_WITHIN):
        return "It speaks TLS on this port.", "Switch TLS on for this node, or take its plain DICOM port."
    return {
        "timeout": (
            f"It took the connection, and was silent for {ANSWER_WITHIN:g} s when asked for an association.",
            "Check that this is its DICOM port; if it is, the service there hangs: restart it.",
        ),
        "closed": (
            "It closed the connection when asked for an association.",
            "Check that this is its DICOM port, and that the service there lets the address of this machine in.",
        ),
        "aborted": (
            "It aborted when asked for an association.",
            "Its log says why; most such services want our AE title and address registered.",
        ),
        "tls": ("TLS ended when it was asked for an association.", "It may not accept our certificate: see its log."),
        "protocol": ("What answers there is not DICOM.", "Correct the port here: it may be that of its web pages."),
    }.get(error.kind, ("It took a connection, and then none any more.", "Try again; the service may have ended."))


def _echo(peer: Peer) -> Layer:
    try:
        echo(peer)
    except NotSupported:
        return Layer("C-ECHO", "look", "It takes associations but offers no C-ECHO.", "Nothing, if it is made so.")
    except DimseError as error:
        raise _Stopped(error.sentence, "Look at the service there.") from None
    return Layer("C-ECHO", "ok", "It answers with success.")


def _offers(peer: Peer, *, ask_count: bool) -> Layer:
    try:
        found = offers(peer)
    except AssociationError as error:
        return Layer("SOP classes", "look", f"It did not say what it takes. {error.sentence}", "Look at its log.")
    if found.storage:
        kinds = sorted({name for names in found.compressed.values() for name in names})
        says = f"It takes {len(found.storage)} of {len(found.storage) + len(found.refused)} storage SOP classes"
        says += f", compressed as {', '.join(kinds)}." if kinds else ", uncompressed only."
    else:
        says = "It takes no images: it only sends, or wants to know us first."
    services = [name for name, there in (("C-FIND", found.find), ("storage commitment", found.commitment)) if there]
    says += f" It offers {' and '.join(services)}." if services else " It offers neither C-FIND nor storage commitment."
    more = {f"{name}, compressed": kinds for name, kinds in found.compressed.items()}
    if found.storage and found.refused:
        more["Refused"] = found.refused
    if ask_count and not found.find:
        do = "It cannot be asked for the number of images (no C-FIND): switch that off here, or C-FIND on there."
        return Layer("SOP classes", "look", says, do, more)
    return Layer("SOP classes", "ok", says, more=more)
