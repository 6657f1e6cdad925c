"""The campaign's eyes: each check from outside sees what it is there to see, and an armed failpoint does as it says."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import outside
from tests.faults.load import Producer
from tests.faults.parts import ROOT, Node, is_stopped
from tests.peers import Orthanc, wait_for

PASS = "import django; django.setup(); from main.failpoints import reach; reach('deliver:sent'); print('passed')"


@pytest.fixture
def producer(tmp_path: Path) -> Producer:
    """Return a producer that has handed over three images."""
    producer = Producer(tmp_path / "producer", tmp_path / "inbox", seed=1)
    producer.drop(3, hostile=True)
    return producer


@pytest.fixture
def node(tmp_path: Path, own_orthanc: Orthanc) -> Iterator[Node]:
    """Yield a node that is not started."""
    with Node(tmp_path / "node", own_orthanc, {}) as node:
        (node.data / "logs").mkdir(parents=True, exist_ok=True)
        yield node


def test_the_same_seed_hands_over_the_same_outcomes(tmp_path: Path, producer: Producer) -> None:
    other = Producer(tmp_path / "other", tmp_path / "other inbox", seed=1)
    other.drop(3, hostile=True)
    assert [file.outcomes for file in other.files] == [file.outcomes for file in producer.files]
    assert other.marker != producer.marker


def test_what_orthanc_lost_changed_or_was_given_by_others_is_seen(producer: Producer, own_orthanc: Orthanc) -> None:
    sources = {file.sop_instance_uid: Path(file.source).read_bytes() for file in producer.files if file.source}
    for content in sources.values():
        own_orthanc.rest("/instances", content)
    released = {uid: (hashlib.sha256(content[-9000:]).hexdigest(), 9000) for uid, content in sources.items()}
    assert list(outside.stored(own_orthanc, released)) == []
    first, *others = released
    assert "not in Orthanc" in next(outside.stored(own_orthanc, {**released, "1.2.3": ("", 1)}))
    assert "no release" in next(outside.stored(own_orthanc, {uid: released[uid] for uid in others}))
    assert "another content" in next(outside.stored(own_orthanc, {**released, first: ("0" * 64, 9000)}))


def test_a_value_in_a_log_a_name_or_orthanc_is_seen(producer: Producer, node: Node) -> None:
    assert list(outside.canaries(node, producer)) == []
    (node.data / "logs" / "worker.log").write_text(f"read {producer.marker.upper()}^X")
    assert len(list(outside.canaries(node, producer))) == 1
    (node.data / "logs" / f"{producer.uid_root}.7.log").write_text("nothing")
    assert len(list(outside.canaries(node, producer))) == 2
    node.orthanc.rest("/instances", Path(producer.files[0].source).read_bytes())
    assert list(outside.canaries_in_orthanc(node.orthanc, [producer]))


def test_a_process_that_is_left_is_seen(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "GONE_WITHIN", 0.1)
    with subprocess.Popen(["sleep", "60"], env=node.environment | dict(os.environ)) as process:
        process.kill()
    assert list(outside.survivors(node)) == []
    left = subprocess.Popen(["sleep", "60"], env={**os.environ, **node.environment})
    try:
        wait_for(lambda: bool(list(outside.survivors(node))), "the process being seen")
    finally:
        left.kill()
        left.wait()


def test_an_armed_failpoint_ends_one_process_and_then_none(node: Node) -> None:
    node.arm("deliver:sent")
    command = [sys.executable, "-c", PASS]
    environment = {**os.environ, **node.environment}
    assert subprocess.run(command, env=environment, cwd=ROOT, timeout=60).returncode == 137
    assert not node.is_armed("deliver:sent")
    assert subprocess.run(command, env=environment, cwd=ROOT, timeout=60).returncode == 0


def test_a_process_that_was_stopped_at_a_failpoint_goes_on_when_told(node: Node) -> None:
    node.arm("deliver:sent", "stop")
    environment = {**os.environ, **node.environment}
    process = subprocess.Popen([sys.executable, "-c", PASS], env=environment, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        wait_for(lambda: is_stopped(process.pid), "the process stopping")
        os.kill(process.pid, signal.SIGCONT)
        assert process.communicate(timeout=60)[0] == b"passed\n"
    finally:
        process.kill()
        process.wait()
