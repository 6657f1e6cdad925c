"""The receiver as it is run: several processes on one port, each of them replaceable, and one sentence for each mistake."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress

import psutil
import pytest

from dimse import AssociationError, Instance, echo, store
from dimse.association import Association
from tests.receiver.door import proposal, send
from tests.receiver.node import Node, children, listening_pids
from tests.waiting import eventually


def test_start_status_stop(node: Node, images: list[Instance]) -> None:
    assert node.run("receiver_status").returncode == 3
    assert "not running" in node.run("receiver_stop").stdout

    started = node.run("receiver_start")
    assert started.returncode == 0, started.stderr
    assert "as DICOMRCV" in started.stdout
    assert "this machine only" in started.stdout
    assert "whoever reaches the port" in started.stdout
    assert "already" in node.run("receiver_start").stdout
    assert "already" in node.run("receiver_start", "--foreground").stderr
    eventually(node.answers, 20)
    eventually(lambda: len(node.status()["processes"]) == 2, 20, "a sign of life of each process")

    assert [result.status for result in store(node.peer(), images)] == [0] * len(images)
    eventually(lambda: sum(one["instances"] for one in node.status()["processes"]) == len(images), 20)
    text = node.run("receiver_status")
    assert text.returncode == 0
    assert "MODALITY" not in text.stdout

    assert "has stopped" in node.run("receiver_stop").stdout
    assert not node.answers()
    assert len(node.files()) == len(images)
    assert not list(node.inbox.glob(".receiver-*.tmp1"))


def test_open_associations_are_shown(node: Node, images: list[Instance]) -> None:
    with node.receiving(), Association.open(node.peer(), (proposal(images[0]),)) as association:
        assert send(association, images[0]) == 0
        eventually(lambda: any(one["instances"] for one in node.status()["associations"]), 20)
        (shown,) = node.status()["associations"]
        assert (shown["calling_ae_title"], shown["address"], shown["node"]) == ("MODALITY", "127.0.0.1", "public")


def test_a_process_that_dies_is_replaced_and_its_acknowledged_images_go_on(node: Node, images: list[Instance]) -> None:
    with node.receiving(DICOM_PROCESSES="1") as parent:
        (old,) = children(parent.pid)
        association = Association.open(node.peer(), (proposal(images[0]),))
        assert send(association, images[0]) == 0
        os.kill(old, signal.SIGKILL)
        with pytest.raises(AssociationError):
            send(association, images[1])
        association.connection.close()
        eventually(lambda: [pid for pid in listening_pids(parent.pid) if pid != old], 20, "the new process")
        eventually(lambda: len(node.files()) == 1)
        echo(node.peer())
    assert "signal 9" in node.said()


def test_a_receiver_that_is_killed_takes_its_processes_with_it_and_starts_again_at_once(node: Node) -> None:
    with suppress(AssertionError), node.receiving() as parent:
        family = psutil.Process(parent.pid).children(recursive=True)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait(10)
        eventually(lambda: not any(one.is_running() and one.status() != "zombie" for one in family))
        assert not node.answers()
    with node.receiving():
        echo(node.peer())


def test_the_image_in_hand_is_finished_when_the_receiver_stops(node: Node, images: list[Instance]) -> None:
    process = node.launch()
    node.wait_until_all_listen(process)
    association = Association.open(node.peer(), (proposal(images[0]),))
    sent = 0
    process.terminate()
    with suppress(AssociationError):
        while sent < 10_000:
            assert send(association, images[0]) == 0
            sent += 1
    association.connection.close()
    assert process.wait(30) == 0
    assert sent < 10_000
    assert len(node.files()) in (sent, sent + 1)


def test_sixty_associations_against_fifty(node: Node, images: list[Instance]) -> None:
    reasons = []
    with node.receiving(DICOM_MAX_ASSOCIATIONS="50") as parent, ExitStack() as open_now:
        for _ in range(60):
            try:
                open_now.enter_context(Association.open(node.peer(), (proposal(images[0]),)))
            except AssociationError as error:
                reasons.append((error.kind, error.transient))
        assert len(reasons) == 10
        assert set(reasons) == {("rejected", True)}
        assert len(listening_pids(parent.pid)) == 2


def test_both_processes_serve_and_slots_come_back_from_one_that_dies(node: Node, images: list[Instance]) -> None:
    with node.receiving(DICOM_MAX_ASSOCIATIONS="4") as parent:
        held = [Association.open(node.peer(), (proposal(images[0]),)) for _ in range(4)]
        with pytest.raises(AssociationError):
            Association.open(node.peer(), (proposal(images[0]),))
        for pid in children(parent.pid):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(listening_pids(parent.pid)) == 2, 20)
        for association in held:
            association.connection.close()
        with ExitStack() as again:
            for _ in range(4):
                again.enter_context(Association.open(node.peer(), (proposal(images[0]),)))


def test_a_taken_port_is_told_in_a_sentence(node: Node) -> None:
    with socket.create_server(("127.0.0.1", node.port)):
        for options in ([], ["--foreground"]):
            done = node.run("receiver_start", *options)
            assert done.returncode != 0
            assert f"cannot use 127.0.0.1:{node.port} (Address already in use)" in done.stderr
            assert "Traceback" not in done.stderr


def test_a_second_receiver_on_the_same_port_is_noticed(node: Node, first_start: object, tmp_path: object) -> None:
    with node.receiving():
        other = Node(node.data.parent / "other", DICOM_PORT=str(node.port))
        other.data.mkdir()
        done = other.run("receiver_start", "--foreground")
        assert "cannot use" in done.stderr


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"DICOM_PORT": "0"}, "both 0"),
        ({"DICOM_TLS_PORT": "12345"}, "needs DICOM_TLS_CERTIFICATE"),
        ({"DICOM_TLS_PORT": "12345", "DICOM_TLS_CERTIFICATE": "none.pem", "DICOM_TLS_KEY": "none.key"}, "none.pem"),
        ({"DICOM_LOW_BYTES": "10", "DICOM_HIGH_BYTES": "9"}, "DICOM_HIGH_BYTES must not be less"),
        ({"DICOM_BIND_ADDRESS": "everywhere"}, "an IP address, or localhost"),
        ({"DICOM_BIND_ADDRESS": "192.0.2.1"}, "cannot use 192.0.2.1"),
        ({"DICOM_SOP_CLASSES": "CTImage"}, "CTImageStorage"),
        ({"DICOM_ALLOWED_NETWORKS": "10.0.0.0/99"}, "10.1.0.0/16"),
        ({"DICOM_FOLDER": "/proc/none"}, "DICOM_FOLDER"),
    ],
)
def test_every_mistake_in_the_settings_is_a_sentence(node: Node, settings: dict[str, str], sentence: str) -> None:
    node.settings.update(settings)
    done: subprocess.CompletedProcess[str] = node.run("receiver_start", "--foreground")
    assert done.returncode != 0
    assert sentence in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
