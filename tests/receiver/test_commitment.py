"""A modality stores, asks whether it may delete, and hears it from the whole node, also when that was killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from dimse import Instance, store
from tests.peers.committer import Committer
from tests.receiver.door import AE_TITLE
from tests.receiver.node import MANAGE, Node, kill
from tests.waiting import eventually

PARTS = ["--only", "watcher", "--only", "receiver", "--only", "worker", "--only", "sweeper"]


@contextmanager
def running(node: Node) -> Iterator[subprocess.Popen[bytes]]:
    """The whole node without its pages; it is killed at the end."""
    with node.log.open("ab") as log:
        process = subprocess.Popen(
            [*MANAGE, "node", *PARTS],
            env=node.environment,
            cwd=node.data,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        eventually(node.answers, 40, "an open port")
        yield process
    finally:
        kill(process)


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """End every process of the node as a power cut would."""
    for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        os.kill(one.pid, signal.SIGKILL)
    process.wait()


def test_a_modality_hears_that_its_images_are_proven(node: Node, images: list[Instance]) -> None:
    references = [(image.sop_class_uid, image.sop_instance_uid) for image in images]
    node.settings |= {
        "DICOM_AUTO_START": "yes",
        "DICOM_PUBLIC": "no",
        "DICOM_STUDY_TIMEOUT": "3",
        "SENDIT_LEASE_SECONDS": "5",
    }
    with Committer() as modality:
        added = node.run(
            *("nodes", "add", "CT1", "--calling", modality.ae_title, "--from", "127.0.0.1"),
            *("--host", "127.0.0.1", "--port", str(modality.port), "--called", modality.ae_title),
        )
        assert added.returncode == 0, added.stderr
        with running(node) as process:
            peer = node.peer(modality.ae_title)
            assert [result.status for result in store(peer, images)] == [0] * len(images)
            status, transaction = modality.ask(node.port, references, to=AE_TITLE)
            assert status == 0x0000
            kill_all(process)  # its study waits, and so does the answer
        assert modality.answers == []
        with running(node):
            eventually(lambda: modality.answers, 60, "the answer")
        answer = modality.answers[0]
        assert (answer.transaction_uid, answer.failed) == (transaction, [])
        assert sorted(answer.committed) == sorted(references)
        assert len(list((node.data / "outbox").rglob("*.dcm"))) == len(images)
    assert "Traceback" not in node.said()
