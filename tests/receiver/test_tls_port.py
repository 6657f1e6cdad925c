"""The TLS port of the receiver: real senders with a certificate get in, without one or in plain words they do not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dimse import AssociationError, Instance, Peer, echo, store
from dimse.tls import client_context
from tests.dimse.certificates import Authority, Pair
from tests.peers import Orthanc, free_port
from tests.peers.fixtures import running
from tests.peers.server import program
from tests.receiver.door import AE_TITLE
from tests.receiver.node import Node
from tests.waiting import eventually


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return the authority of the hospital."""
    return Authority(tmp_path)


@pytest.fixture
def secure(node: Node, authority: Authority) -> Iterator[Node]:
    """Yield a receiver that speaks TLS only, to those whom the hospital knows."""
    ours = authority.issue("receiver")
    port = free_port()
    with node.receiving(
        DICOM_PORT="0",
        DICOM_TLS_PORT=str(port),
        DICOM_TLS_CERTIFICATE=str(ours.certificate),
        DICOM_TLS_KEY=str(ours.key),
        DICOM_TLS_CA=str(authority.file),
    ):
        node.port = port
        yield node


def test_a_caller_with_a_certificate_stores(secure: Node, authority: Authority, images: list[Instance]) -> None:
    theirs = authority.issue("modality")
    context = client_context(authority.file, theirs.certificate, theirs.key)
    peer = Peer("127.0.0.1", secure.port, AE_TITLE, "MODALITY", tls=context)
    assert [result.status for result in store(peer, images)] == [0] * len(images)
    eventually(lambda: len(secure.files()) == len(images))


def test_a_caller_without_certificate_or_without_tls_is_refused_and_others_are_not_held_up(
    secure: Node, authority: Authority
) -> None:
    for context in (client_context(authority.file), None):
        with pytest.raises(AssociationError):
            echo(Peer("127.0.0.1", secure.port, AE_TITLE, tls=context))
    theirs = authority.issue("modality")
    echo(Peer("127.0.0.1", secure.port, AE_TITLE, tls=client_context(authority.file, theirs.certificate, theirs.key)))
    assert "DICOM over TLS on" in secure.run("receiver_status").stdout


def storescu(node: Node, theirs: Pair, authority: Authority, images: list[Instance]) -> int:
    words = [program("storescu", "dcmtk"), "+tls", theirs.key, theirs.certificate, "+cf", authority.file]
    files = [one.path for one in images]
    return subprocess.run(
        [*words, "-aec", AE_TITLE, "127.0.0.1", str(node.port), *files], timeout=60, check=False
    ).returncode


def test_storescu_by_mutual_tls(
    secure: Node, authority: Authority, images: list[Instance], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert storescu(secure, authority.issue("modality"), authority, images) == 0
    eventually(lambda: len(secure.files()) == len(images))
    stranger = Authority(tmp_path_factory.mktemp("elsewhere")).issue("modality")
    assert storescu(secure, stranger, authority, images) != 0


def test_orthanc_by_mutual_tls(secure: Node, authority: Authority, images: list[Instance], tmp_path: Path) -> None:
    theirs = authority.issue("orthanc")
    orthanc = Orthanc(
        tmp_path / "orthanc",
        DicomTlsCertificate=str(theirs.certificate),
        DicomTlsPrivateKey=str(theirs.key),
        DicomTlsTrustedCertificates=str(authority.file),
        DicomModalities={"us": {"AET": AE_TITLE, "Host": "127.0.0.1", "Port": secure.port, "UseDicomTls": True}},
    )
    running(orthanc)
    with orthanc:
        ids = [orthanc.rest("/instances", one.path.read_bytes())["ID"] for one in images]
        answer = orthanc.rest("/modalities/us/store", {"Resources": ids, "Synchronous": True})
    assert answer["FailedInstancesCount"] == 0
    eventually(lambda: len(secure.files()) == len(images))
