"""A test says at which layer a node fails, and what to change where; tried on real peers, closed, silent and wrong ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from main import node_test
from main.models import Node
from main.node_test import Layer
from tests.peers import Listener, Orthanc, ScriptedSCP, StoreSCP, free_port
from tests.peers.scripted import Reject

pytestmark = pytest.mark.django_db

ALL = ["Name", "TCP", "Association", "C-ECHO", "SOP classes"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up a silent peer after a second."""
    monkeypatch.setattr(node_test, "CONNECT_WITHIN", 1.0)
    monkeypatch.setattr(node_test, "ANSWER_WITHIN", 1.0)


def tried(port: int, ae_title: str = "PEER", host: str = "127.0.0.1", **more: Any) -> list[Layer]:
    node = Node(name="peer", calling_ae_titles=["PEER"], host=host, port=port, ae_title=ae_title, **more)
    return list(node_test.layers(node))


def ends(layers: list[Layer]) -> tuple[str, str, str, str]:
    """The last layer, when those before it are good."""
    assert all(layer.outcome != "failed" for layer in layers[:-1])
    last = layers[-1]
    return last.name, last.outcome, last.says, last.do


def test_orthanc_passes_every_layer(orthanc: Orthanc) -> None:
    layers = tried(orthanc.dicom_port, "ORTHANC", "localhost", ask_count=True)
    assert [(layer.name, layer.outcome) for layer in layers] == [(name, "ok") for name in ALL]
    assert layers[0].says.startswith("localhost is ")
    assert "It offers C-FIND and storage commitment." in layers[-1].says
    assert "JPEG 2000 lossless" in layers[-1].more["CT, compressed"]


def test_storescp_passes_every_layer_and_what_it_takes_is_told(storescp: StoreSCP) -> None:
    layers = tried(storescp.dicom_port, "STORESCP")
    assert [layer.outcome for layer in layers] == ["ok"] * 5
    assert "It takes 1" in layers[-1].says
    assert "It offers neither C-FIND nor storage commitment." in layers[-1].says
    assert layers[-1].more["Refused"]


def test_a_peer_that_cannot_be_asked_for_counts_is_told(storescp: StoreSCP) -> None:
    name, outcome, _, do = ends(tried(storescp.dicom_port, "STORESCP", ask_count=True))
    assert (name, outcome) == ("SOP classes", "look")
    assert do.startswith("It cannot be asked for the number of images")


def test_a_sender_that_takes_nothing_is_no_failure(tmp_path: Path) -> None:
    with ScriptedSCP(tmp_path, sop_classes=["1.2.3"]) as scp:
        name, outcome, says, _ = ends(tried(scp.dicom_port, "SCRIPTED"))
    assert (name, outcome) == ("SOP classes", "ok")
    assert says.startswith("It takes no images")


def test_the_result_is_kept_with_the_node(storescp: StoreSCP) -> None:
    node = Node.objects.create(
        name="s", calling_ae_titles=["S"], host="127.0.0.1", port=storescp.dicom_port, ae_title="S"
    )
    layers = node_test.run(node)
    node = Node.objects.get()
    assert [Layer(**layer) for layer in node.last_test] == layers
    assert node.tested_at is not None


def test_a_name_that_is_not_known() -> None:
    name, outcome, says, do = ends(tried(104, host="no-such-host.invalid"))
    assert (name, outcome) == ("Name", "failed")
    assert "no-such-host.invalid is not known" in says
    assert "Correct the host here" in do


def test_a_closed_port() -> None:
    port = free_port()
    name, outcome, says, do = ends(tried(port))
    assert (name, outcome) == ("TCP", "failed")
    assert f"nothing listens on port {port} of 127.0.0.1" in says
    assert "Correct the port here" in do


@pytest.mark.parametrize(
    ("manner", "says", "do"),
    [
        ("silent", "was silent for 1 s", "Check that this is its DICOM port"),
        ("hangs up", "closed the connection when asked", "lets the address of this machine in"),
        ("talks nonsense", "What answers there is not DICOM", "Correct the port here"),
        ("drips", "was silent for 1 s", "the service there hangs"),
    ],
)
def test_a_port_that_does_not_speak_dicom(impatient: None, manner: Any, says: str, do: str) -> None:
    with Listener(manner) as listener:
        layers = tried(listener.dicom_port)
    assert ends(layers)[:2] == ("Association", "failed")
    assert says in layers[-1].says
    assert do in layers[-1].do


@pytest.mark.parametrize(
    ("reject", "says", "do"),
    [
        (Reject(1, 1, 3), "calling AE title DICOMRCV not recognised", "Register DICOMRCV there"),
        (Reject(1, 1, 7), "It is not called SCRIPTED", "Correct the called AE title here"),
        (Reject(1, 1, 1), "without a known reason", "most want DICOMRCV registered"),
        (Reject(2, 3, 1), "It is busy", "Try again"),
        (Reject(2, 3, 2), "as many associations as it takes", "raise its limit there"),
    ],
)
def test_a_rejection_says_what_to_change_where(tmp_path: Path, reject: Reject, says: str, do: str) -> None:
    with ScriptedSCP(tmp_path, associate=reject) as scp:
        layers = tried(scp.dicom_port, "SCRIPTED")
    assert ends(layers)[:2] == ("Association", "failed")
    assert says in layers[-1].says
    assert do in layers[-1].do


def test_an_orthanc_that_is_called_otherwise(tmp_path: Path) -> None:
    with Orthanc(tmp_path, DicomCheckCalledAet=True) as strict:
        layers = tried(strict.dicom_port, "WRONG")
    assert "It is not called WRONG" in layers[-1].says


def test_a_peer_that_aborts(tmp_path: Path) -> None:
    with ScriptedSCP(tmp_path, associate="abort") as scp:
        layers = tried(scp.dicom_port, "SCRIPTED")
    assert "It aborted when asked for an association." in layers[-1].says


def test_a_node_that_only_calls_us_is_no_failure() -> None:
    layers = list(node_test.layers(Node(name="ct", calling_ae_titles=["CT"])))
    assert [(layer.name, layer.outcome) for layer in layers] == [("Name", "look")]
    assert "it only calls us" in layers[0].says
