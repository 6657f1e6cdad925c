"""TLS by BCP 195: with our own two sides and with dcmtk's, and a sentence for every certificate that will not do."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dimse import AssociationError, CertificateError, Instance, Peer, echo, store
from dimse.server import Limits
from dimse.tls import client_context, server_context
from tests.dimse import serving as raw
from tests.dimse.certificates import Authority, Pair
from tests.dimse.serving import Raw, Shelf, serving
from tests.peers import Orthanc, StoreSCP
from tests.peers.fixtures import running
from tests.peers.images import dataset_bytes, make_series
from tests.peers.server import program
from tests.waiting import eventually


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where certificates lie."""
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    """Return the authority that everybody trusts."""
    return Authority(folder)


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Pair:
    """Return the certificate of the side that listens."""
    return authority.issue("localhost")


@pytest.fixture(scope="module")
def theirs(authority: Authority) -> Pair:
    """Return the certificate of a caller."""
    return authority.issue("ct1")


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Instance:
    """Return an image."""
    return make_series(tmp_path_factory.mktemp("series"), 1)[0]


@pytest.fixture
def shelf() -> Shelf:
    """Return a shelf for what arrives."""
    return Shelf()


@pytest.fixture
def port(shelf: Shelf, ours: Pair, authority: Authority) -> Iterator[int]:
    """Yield the port of a listener that wants certificates of `authority`."""
    context = server_context(ours.certificate, ours.key, authority.file)
    with serving(shelf, Limits(request_within=8), tls=context) as listener:
        yield listener.port


def peer(port: int, context: ssl.SSLContext | None, host: str = "127.0.0.1") -> Peer:
    return Peer(host, port, "SENDIT", tls=context)


def encrypted(port: int, context: ssl.SSLContext) -> Raw:
    """Return a caller behind a handshake."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    return Raw(port, context.wrap_socket(connection, server_hostname="localhost", suppress_ragged_eofs=False))


def why_not(port: int, context: ssl.SSLContext, host: str = "127.0.0.1") -> AssociationError:
    with pytest.raises(AssociationError) as caught:
        echo(peer(port, context, host))
    return caught.value


def test_our_two_sides_exchange_an_image(
    shelf: Shelf, port: int, authority: Authority, theirs: Pair, instance: Instance
) -> None:
    context = client_context(authority.file, theirs.certificate, theirs.key)
    echo(peer(port, context))
    echo(peer(port, context, "localhost"))
    (result,) = store(peer(port, context), [instance])
    assert result.outcome == "accepted"
    eventually(lambda: shelf.endings == ["released"] * 3)
    assert [data for _, data in shelf.kept] == [dataset_bytes(instance)]


def test_the_subject_is_told_as_openssl_prints_it(shelf: Shelf, port: int, authority: Authority, theirs: Pair) -> None:
    echo(peer(port, client_context(authority.file, theirs.certificate, theirs.key)))
    command = ["openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", str(theirs.certificate)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert printed == f"subject={shelf.callers[0].tls_subject}"
    assert shelf.callers[0].tls_subject == "CN=ct1,O=Hospital\\, Ltd"


def test_a_client_certificate_is_not_needed_where_none_is_asked_for(
    shelf: Shelf, ours: Pair, authority: Authority
) -> None:
    with serving(shelf, tls=server_context(ours.certificate, ours.key)) as listener:
        echo(peer(listener.port, client_context(authority.file)))
    assert shelf.callers[0].tls_subject == ""


@pytest.mark.parametrize("caller", ["none", "another authority's", "expired"])
def test_a_caller_without_a_good_certificate_never_reaches_the_services(
    shelf: Shelf, port: int, authority: Authority, folder: Path, caller: str
) -> None:
    if caller == "none":
        context = client_context(authority.file)
    else:
        issuer = Authority(folder, "other") if caller == "another authority's" else authority
        pair = issuer.issue("stranger", ends_in=timedelta(days=-1 if caller == "expired" else 1))
        context = client_context(authority.file, pair.certificate, pair.key)
    assert why_not(port, context).kind in ("tls", "closed")
    eventually(lambda: shelf.refusals == ["tls"])
    assert shelf.callers == []


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        ("expired", "certificate has expired"),
        ("another authority's", "unable to get local issuer certificate"),
        ("another name", "IP address mismatch"),
    ],
)
def test_a_server_without_a_good_certificate_is_not_spoken_to_and_said_why(
    shelf: Shelf, authority: Authority, folder: Path, problem: str, says: str
) -> None:
    issuer = Authority(folder, "other") if problem == "another authority's" else authority
    address = "10.1.2.3" if problem == "another name" else "127.0.0.1"
    pair = issuer.issue("bad", ends_in=timedelta(days=-1 if problem == "expired" else 1), address=address)
    with serving(shelf, tls=server_context(pair.certificate, pair.key)) as listener:
        error = why_not(listener.port, client_context(authority.file))
    assert (error.kind, error.transient) == ("tls", True)
    assert error.sentence.startswith(
        f"SENDIT (127.0.0.1:{listener.port}) has a certificate that is not accepted here: "
    )
    assert says in error.sentence
    assert shelf.callers == []


def test_who_refuses_our_certificate_is_quoted(folder: Path, authority: Authority, ours: Pair) -> None:
    """With TLS 1.3 the refusal comes after the handshake, as an alert instead of an answer."""
    context = server_context(ours.certificate, ours.key, authority.file)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            sock, _ = server.accept()
            with contextlib.suppress(ssl.SSLError):
                context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=True)

        thread = threading.Thread(target=refuse)
        thread.start()
        error = why_not(server.getsockname()[1], client_context(authority.file))
        thread.join(10)
    assert error.kind in ("tls", "closed")
    if error.kind == "tls":
        assert "refused the TLS connection: certificate required" in error.sentence


def test_plain_dicom_and_tls_do_not_understand_each_other(shelf: Shelf, port: int, authority: Authority) -> None:
    with pytest.raises(AssociationError):
        echo(peer(port, None))
    eventually(lambda: shelf.refusals == ["tls"])
    with serving(Shelf()) as plain:
        error = why_not(plain.port, client_context(authority.file))
    assert error.kind == "tls"
    assert "Check that this is its TLS port." in error.sentence


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(port: int, authority: Authority, theirs: Pair, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.minimum_version = version
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_verify_locations(authority.file)
    context.load_cert_chain(theirs.certificate, theirs.key)
    assert why_not(port, context).kind == "tls"


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"])
def test_ciphers_without_forward_secrecy_or_authentication_are_refused(
    port: int, authority: Authority, theirs: Pair, cipher: str
) -> None:
    context = client_context(authority.file, theirs.certificate, theirs.key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher)
    assert why_not(port, context).kind == "tls"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_good_versions_work(port: int, authority: Authority, theirs: Pair, version: ssl.TLSVersion) -> None:
    context = client_context(authority.file, theirs.certificate, theirs.key)
    context.minimum_version = context.maximum_version = version
    echo(peer(port, context))


def test_silent_connections_hold_nobody_up_and_are_closed(
    shelf: Shelf, port: int, authority: Authority, theirs: Pair
) -> None:
    context = client_context(authority.file, theirs.certificate, theirs.key)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(Raw(port)) for _ in range(20)]
        silent[1].send(b"\x16\x03\x01\x02\x00")
        began = time.monotonic()
        echo(peer(port, context))
        assert time.monotonic() - began < 2
        assert all(one.closed() for one in silent)
    eventually(lambda: len(shelf.refusals) == 20)


def test_a_caller_that_is_cut_off_under_tls_hears_an_abort(ours: Pair, authority: Authority) -> None:
    shelf = Shelf()
    context = server_context(ours.certificate, ours.key)
    with (
        serving(shelf, Limits(idle=0.5), tls=context) as listener,
        encrypted(listener.port, client_context(authority.file)) as caller,
    ):
        caller.associate()
        assert caller.pdu()[0] == raw.ABORT
        assert caller.pdu()[0] == 0  # the end is announced, not torn off


def test_stopping_under_tls_finishes_the_instance_in_hand(ours: Pair, authority: Authority) -> None:
    shelf = Shelf()
    shelf.may_complete.clear()
    with serving(shelf, Limits(), tls=server_context(ours.certificate, ours.key)) as listener:
        context = client_context(authority.file)
        callers = [encrypted(listener.port, context) for _ in range(2)]
        for caller in callers:
            caller.associate()
        callers[0].send(raw.store(b"in hand"))
        assert shelf.completing.wait(10)
        stopping = threading.Thread(target=listener.stop, args=(10,))
        stopping.start()
        assert callers[1].pdu()[0] == raw.ABORT
        shelf.may_complete.set()
        assert callers[0].status() == 0
        assert callers[0].pdu()[0] == raw.ABORT
        stopping.join(10)
    for caller in callers:
        caller.socket.close()


@pytest.mark.parametrize("profile", ["--profile-bcp195-nd", "--profile-bcp195", "--profile-bcp195-ex"])
def test_storescu_sends_by_tls(
    shelf: Shelf, port: int, authority: Authority, theirs: Pair, instance: Instance, profile: str
) -> None:
    command = [program("storescu", "dcmtk"), "+tls", str(theirs.key), str(theirs.certificate), profile]
    command += ["+cf", str(authority.file), "-aec", "SENDIT", "localhost", str(port), str(instance.path)]
    subprocess.run(command, check=True, timeout=30)
    assert len(shelf.kept) == 1


def test_storescu_without_a_certificate_is_refused(
    shelf: Shelf, port: int, authority: Authority, instance: Instance
) -> None:
    command = [program("storescu", "dcmtk"), "+tla", "+cf", str(authority.file), "-aec", "SENDIT"]
    command += ["localhost", str(port), str(instance.path)]
    assert subprocess.run(command, timeout=30, check=False).returncode != 0
    assert shelf.kept == []


@pytest.mark.parametrize("profile", ["--profile-bcp195-nd", "--profile-bcp195"])
def test_storescp_receives_by_tls(
    tmp_path: Path, authority: Authority, ours: Pair, theirs: Pair, instance: Instance, profile: str
) -> None:
    options = ["+xa", "+B", "+tls", str(ours.key), str(ours.certificate), "+cf", str(authority.file), profile]
    with StoreSCP(tmp_path, *options) as storescp:
        there = Peer(storescp.host, storescp.dicom_port, storescp.ae_title)
        good = client_context(authority.file, theirs.certificate, theirs.key)
        (result,) = store(Peer(there.host, there.port, there.ae_title, tls=good), [instance])
        assert result.outcome == "accepted"
        nothing = client_context(authority.file)
        with pytest.raises(AssociationError) as caught:
            echo(Peer(there.host, there.port, there.ae_title, tls=nothing))
        assert caught.value.kind in ("tls", "closed")
        with pytest.raises(AssociationError):
            echo(there)
        assert len(storescp.received()) == 1


@pytest.mark.parametrize("file", ["missing", "garbage", "other key"])
def test_a_certificate_of_ours_that_cannot_be_used_is_said(tmp_path: Path, ours: Pair, theirs: Pair, file: str) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_bytes(b"no certificate")
    certificate, key = {
        "missing": (tmp_path / "missing.pem", ours.key),
        "garbage": (garbage, ours.key),
        "other key": (ours.certificate, theirs.key),
    }[file]
    with pytest.raises(CertificateError) as caught:
        server_context(certificate, key)
    assert str(certificate) in caught.value.sentence
    with pytest.raises(CertificateError):
        client_context(garbage)


def test_orthanc_receives_and_sends_by_mutual_tls(
    tmp_path: Path, shelf: Shelf, port: int, authority: Authority, ours: Pair, theirs: Pair, instance: Instance
) -> None:
    config = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(theirs.certificate),
        "DicomTlsPrivateKey": str(theirs.key),
        "DicomTlsTrustedCertificates": str(authority.file),
        "DicomTlsRemoteCertificateRequired": True,
        "DicomModalities": {"us": {"AET": "SENDIT", "Host": "localhost", "Port": port, "UseDicomTls": True}},
    }
    with running(Orthanc(tmp_path, **config)) as orthanc:
        there = Peer(orthanc.host, orthanc.dicom_port, orthanc.ae_title)
        with pytest.raises(AssociationError):
            echo(there)
        context = client_context(authority.file, ours.certificate, ours.key)
        (result,) = store(Peer(there.host, there.port, there.ae_title, tls=context), [instance])
        assert result.outcome == "accepted"
        (identifier,) = orthanc.rest("/instances")
        orthanc.rest("/modalities/us/store", identifier.encode())
    assert len(shelf.kept) == 1
    assert shelf.callers[-1].tls_subject.startswith("CN=ct1,")
