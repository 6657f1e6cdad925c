"""The receiver as part of the node: what a modality sends comes out de-identified, and the node says how to reach it."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

import pydicom
import pytest

from dimse import Instance, store
from tests.peers import free_port
from tests.receiver.node import MANAGE, Node, kill
from tests.waiting import eventually

PARTS = ["--only", "watcher", "--only", "receiver", "--only", "worker", "--only", "sweeper"]


@pytest.fixture
def whole(tmp_path: Path) -> Node:
    """Return a node that has never run."""
    (tmp_path / "data").mkdir()
    recipe = tmp_path / "fast.yaml"
    recipe.write_text("name: without search\nprofile: basic\npixels: keep\n")
    return Node(tmp_path / "data", DICOM_AUTO_START="yes", SENDIT_RECIPE=str(recipe), DICOM_STUDY_TIMEOUT="1")


def test_what_is_sent_comes_out_deidentified(whole: Node, images: list[Instance]) -> None:
    with whole.log.open("wb") as log:
        process = subprocess.Popen(
            [*MANAGE, "node", *PARTS],
            env=whole.environment,
            cwd=whole.data,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        eventually(whole.answers, 40, "an open port")
        assert f"send to       DICOMRCV at 127.0.0.1:{whole.port}" in whole.said()
        assert "this machine only" in whole.said()
        assert [result.status for result in store(whole.peer(), images)] == [0] * len(images)
        outbox = whole.data / "outbox"
        eventually(lambda: len(list(outbox.rglob("*.dcm"))) == len(images), 60, "the images in the outbox")
        original = pydicom.dcmread(images[0].path)
        released = pydicom.dcmread(next(outbox.rglob("*.dcm")))
        assert released.PatientName != original.PatientName
        assert released.StudyInstanceUID != original.StudyInstanceUID
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0
    finally:
        kill(process)
    assert "Traceback" not in whole.said()


def test_a_port_that_is_taken_stops_the_node_with_a_sentence(whole: Node) -> None:
    with socket.create_server(("127.0.0.1", whole.port)):
        done = whole.run("node", "--only", "receiver")
    assert f"The DICOM receiver cannot use 127.0.0.1:{whole.port} (Address already in use)" in done.stderr
    assert "DICOM_AUTO_START=no" in done.stderr


def test_without_auto_start_there_is_no_receiver(whole: Node) -> None:
    whole.settings |= {"DICOM_AUTO_START": "no", "DICOM_PORT": str(free_port())}
    assert "Nothing is left to run" in whole.run("node", "--only", "receiver").stderr


def test_check_node_says_where_it_listens_and_who_gets_in(whole: Node) -> None:
    whole.run("migrate", "-v0")
    whole.settings["DICOM_PUBLIC"] = "no"
    said = whole.run("check_node").stdout
    assert f"DICOM receiver: DICOMRCV at 127.0.0.1:{whole.port} does not run now." in said
    assert "this machine only" in said
    assert "everybody is refused" in said
    whole.settings["DICOM_LOW_BYTES"] = whole.settings["DICOM_HIGH_BYTES"] = "999999999999999"
    assert "LOOK  DICOM receiver: The disk is below DICOM_LOW_BYTES" in whole.run("check_node").stdout
