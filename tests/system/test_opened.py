"""The receiver is closed until a node is registered: by the real processes, their database, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dimse import AssociationError, DimseError, Peer, echo
from dimse.tls import client_context
from tests.dimse.certificates import Authority
from tests.peers import free_port
from tests.receiver.node import Node, migrated
from tests.waiting import eventually

NOT_RECOGNISED = (1, 3)


def answers(peer: Peer) -> bool:
    try:
        echo(peer)
    except DimseError:
        return False
    return True


def nodes(node: Node, *arguments: str, code: int = 0) -> Any:
    done = node.run("nodes", *arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_a_sender_is_refused_shown_registered_let_in_and_shut_out(tmp_path: Path) -> None:
    node = Node(migrated(tmp_path), DICOM_PUBLIC="no", DICOM_PROCESSES="1")
    with node.receiving():
        with pytest.raises(AssociationError) as rejected:
            echo(node.peer("CT1"))
        assert rejected.value.reason == NOT_RECOGNISED
        eventually(lambda: nodes(node, "list")["refused"], what="the refusal in the list")
        shown = nodes(node, "list")["refused"][0]
        assert (shown["calling_ae_title"], shown["address"], shown["reason"]) == ("CT1", "127.0.0.1", "unknown")

        added = node.run("node", "add", "CT", "--calling", "CT1", "--from", "127.0.0.1")
        assert added.returncode == 0, added.stderr
        eventually(lambda: answers(node.peer("CT1")), what="being let in")
        assert not answers(node.peer("CT2"))

        nodes(node, "remove", "CT")
        eventually(lambda: not answers(node.peer("CT1")), what="being shut out")


def test_a_node_with_a_certificate_is_let_in_by_that_certificate_only(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own, ct, other = (authority.issue(name) for name in ("sendit", "ct1", "ct2"))
    by_tls = free_port()
    settings = {
        "DICOM_TLS_PORT": str(by_tls),
        "DICOM_TLS_CERTIFICATE": str(own.certificate),
        "DICOM_TLS_KEY": str(own.key),
        "DICOM_TLS_CA": str(authority.file),
    }
    node = Node(migrated(tmp_path), DICOM_PUBLIC="no", DICOM_PROCESSES="1", **settings)
    subject = "CN=ct1,O=Hospital\\, Ltd"
    nodes(node, "add", "CT", "--calling", "CT1", "--from", "any", "--tls-subject", subject)
    with node.receiving():
        plain = node.peer("CT1")

        def shows(pair: Any) -> Peer:
            return replace(plain, port=by_tls, tls=client_context(authority.file, pair.certificate, pair.key))

        echo(shows(ct))
        assert not answers(shows(other))
        assert not answers(plain)
