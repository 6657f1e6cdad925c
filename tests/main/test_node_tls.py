"""A test by TLS says which certificate, version or port does not fit, and at which end to change it."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from main.node_test import Layer
from tests.dimse.certificates import DAY, Authority, Pair
from tests.main.test_node_test import ALL, ends, tried
from tests.peers import StoreSCP

pytestmark = pytest.mark.django_db


@contextmanager
def tls_in_front_of(server: Any, own: Pair, ca: Path | None = None) -> Iterator[int]:
    """Put a TLS port before a plain one, as a gateway does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    if ca:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=pass_on, args=(plain,), daemon=True).start()

    def pass_on(plain: socket.socket) -> None:
        try:
            with (
                context.wrap_socket(plain, server_side=True) as outside,
                socket.create_connection(("127.0.0.1", server.dicom_port)) as inside,
            ):
                back = threading.Thread(target=copy, args=(inside, outside), daemon=True)
                back.start()
                copy(outside, inside)
                back.join(10)
        except OSError:
            plain.close()

    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    threading.Thread(target=serve, daemon=True).start()
    yield int(listening.getsockname()[1])
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


@pytest.fixture
def authority(tmp_path: Path, settings: Any) -> Authority:
    """A CA that we trust."""
    found = Authority(tmp_path)
    settings.DICOM_TLS_CA = found.file
    return found


def by_tls(port: int) -> list[Layer]:
    return tried(port, "STORESCP", "localhost", tls=True)


def test_a_peer_with_tls_passes_every_layer(storescp: StoreSCP, authority: Authority) -> None:
    with tls_in_front_of(storescp, authority.issue("localhost", ends_in=365 * DAY)) as port:
        layers = by_tls(port)
    assert [(layer.name, layer.outcome) for layer in layers] == [(name, "ok") for name in [*ALL[:2], "TLS", *ALL[2:]]]
    assert layers[2].says.startswith("TLSv1.3, ")
    assert "Its certificate is good until" in layers[2].says


@pytest.mark.parametrize(
    ("name", "good_for", "says", "do"),
    [
        ("localhost", -DAY, "Its certificate has expired.", "Renew the certificate there."),
        ("other.example.org", 365 * DAY, "for another host name", "as it stands in the certificate"),
    ],
)
def test_a_certificate_that_does_not_fit(
    storescp: StoreSCP, authority: Authority, name: str, good_for: timedelta, says: str, do: str
) -> None:
    with tls_in_front_of(storescp, authority.issue(name, ends_in=good_for)) as port:
        layers = by_tls(port)
    assert ends(layers)[:2] == ("TLS", "failed")
    assert says in layers[-1].says
    assert do in layers[-1].do


def test_a_certificate_that_ends_soon_is_told(storescp: StoreSCP, authority: Authority) -> None:
    with tls_in_front_of(storescp, authority.issue("localhost", ends_in=7 * DAY)) as port:
        layers = by_tls(port)
    assert (layers[2].outcome, layers[2].do) == ("look", "Renew the certificate there soon.")
    assert layers[-1].outcome == "ok"


def test_a_certificate_of_somebody_else(storescp: StoreSCP, authority: Authority, tmp_path: Path) -> None:
    with tls_in_front_of(storescp, Authority(tmp_path, "other").issue("localhost")) as port:
        name, _, says, do = ends(by_tls(port))
    assert (name, says) == ("TLS", "Its certificate is signed by nobody whom we trust.")
    assert "DICOM_TLS_CA" in do


def test_a_peer_that_wants_our_certificate(storescp: StoreSCP, authority: Authority, settings: Any) -> None:
    with tls_in_front_of(storescp, authority.issue("localhost", ends_in=365 * DAY), authority.file) as port:
        name, _, says, do = ends(by_tls(port))
        assert (name, says) == ("TLS", "It wants a certificate from us.")
        assert "Set DICOM_TLS_CERTIFICATE" in do
        ours = authority.issue("sendit")
        settings.DICOM_TLS_CERTIFICATE, settings.DICOM_TLS_KEY = ours.certificate, ours.key
        assert [layer.outcome for layer in by_tls(port)] == ["ok"] * 6


def test_tls_on_a_plain_port(storescp: StoreSCP, authority: Authority) -> None:
    name, outcome, _, do = ends(by_tls(storescp.dicom_port))
    assert (name, outcome) == ("TLS", "failed")
    assert "Switch TLS off for this node" in do


def test_plain_on_a_tls_port(storescp: StoreSCP, authority: Authority) -> None:
    with tls_in_front_of(storescp, authority.issue("localhost", ends_in=365 * DAY), authority.file) as port:
        name, _, says, do = ends(tried(port, "STORESCP"))
    assert (name, says) == ("Association", "It speaks TLS on this port.")
    assert "Switch TLS on for this node" in do


def test_a_certificate_of_ours_that_cannot_be_used(authority: Authority, settings: Any, tmp_path: Path) -> None:
    settings.DICOM_TLS_CERTIFICATE = settings.DICOM_TLS_KEY = tmp_path / "missing.pem"
    name, outcome, says, do = ends(by_tls(104))
    assert (name, outcome) == ("TLS", "failed")
    assert "missing.pem cannot be read" in says
    assert "DICOM_TLS_CERTIFICATE" in do
