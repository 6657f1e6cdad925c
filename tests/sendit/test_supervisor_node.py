"""`manage.py node`: the real node, started, killed and stopped as a person does."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from django.utils import timezone

from main.management.commands.node import _end_leases
from main.models import Batch
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Node:
    def __init__(self, place: Path) -> None:
        self.place, self.data, self.port = place, place / "data", free_port()
        self.started: list[subprocess.Popen[str]] = []

    def run(self, *options: str, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "node", *options],
            cwd=self.place,
            env={**self.environment(), **env},
            stdout=(self.place / "output").open("a"),
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SENDIT_", "DJANGO_"))}
        return {**kept, "SENDIT_DATA_DIR": "data", "SENDIT_WEB_BIND": f"127.0.0.1:{self.port}"}

    def healthcheck(self, part: str) -> str:
        """What the container's health check of `part` complains about."""
        env = {**self.environment(), "DJANGO_SETTINGS_MODULE": "sendit.settings", "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, str(ROOT / "docker" / "healthcheck.py"), part]
        result = subprocess.run(argv, cwd=self.place, env=env, stderr=subprocess.PIPE, text=True, check=False)
        assert result.returncode == (1 if result.stderr else 0)
        return result.stderr

    def output(self) -> str:
        return (self.place / "output").read_text()

    def pids(self) -> dict[str, int]:
        try:
            return json.loads((self.data / "run" / "node.json").read_text())
        except FileNotFoundError:
            return {}

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status > 0
        except OSError:
            return False
        finally:
            connection.close()

    def up(self) -> None:
        eventually(self.answers, 20, "the answer of the status page")
        eventually(lambda: "ready." in self.output(), 20, "the readiness of the worker")


@pytest.fixture
def node(tmp_path) -> Iterator[Node]:
    it = Node(tmp_path)
    yield it
    for process in it.started:
        process.kill()
        process.wait()


def test_the_node_starts_says_where_things_are_survives_kills_and_ends_on_ctrl_c(node):
    process = node.run()
    node.up()
    said = node.output()
    assert f"drop into     {node.data / 'inbox'} " in said
    assert f"comes out at  {node.data / 'outbox'} " in said
    assert f"http://localhost:{node.port}/" in said
    assert re.search(r"password +[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}\n", said)
    assert set(node.pids()) == {"supervisor", "web", "watcher", "worker", "sweeper"}

    for part in ("web", "worker", "sweeper"):
        assert node.healthcheck(part) == "", part

    old = node.pids()
    for name in ("web", "worker"):
        os.kill(old[name], signal.SIGKILL)
    eventually(lambda: {"web", "worker"} <= node.pids().keys(), 5, "the restart")
    eventually(lambda: all(node.pids().get(name, old[name]) != old[name] for name in ("web", "worker")), 5, "new pids")
    eventually(node.answers, 20, "the answer of the restarted page on the same port")
    assert node.pids()["watcher"] == old["watcher"]

    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
    assert node.output().endswith("supervisor | stopped\n")
    assert not any(member.is_running() for member in family)
    assert "Traceback" not in node.output()
    assert node.healthcheck("web") == "No answer (ConnectionRefusedError).\n"


def test_a_killed_node_leaves_nobody_and_starts_again_at_once(node):
    process = node.run()
    node.up()
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    eventually(lambda: not any(member.is_running() for member in family), 3, "the end of the whole node")
    node.run()
    eventually(lambda: node.output().count("ready.") == 2, 20, "the readiness of the second worker")
    eventually(node.answers, 20, "the answer of the second status page")


@pytest.mark.django_db
def test_what_killed_workers_held_is_due_at_the_next_start_and_waiting_retries_are_not():
    now = timezone.now()
    later = now + timedelta(seconds=100)
    held = Batch.objects.create(stage="register", received_at=now, due_at=later, token=uuid4())
    waiting = Batch.objects.create(stage="register", received_at=now, due_at=later)
    _end_leases()
    held.refresh_from_db()
    waiting.refresh_from_db()
    assert held.due_at <= timezone.now()
    assert waiting.due_at == later


def test_a_second_node_and_a_taken_port_are_each_refused_in_a_sentence(node, tmp_path_factory):
    with socket.socket() as other:
        other.bind(("127.0.0.1", node.port))
        other.listen()
        assert node.run().wait(20) == 1
        assert f"cannot use 127.0.0.1:{node.port} (Address already in use)" in node.output()
        assert "Traceback" not in node.output()
        first = node.run("--only", "sweeper")
        eventually(lambda: "sweeper" in node.pids(), 20, "the start of the first")
        assert node.run().wait(20) == 1
        assert f"process {first.pid} holds" in node.output()
        assert first.poll() is None


def test_only_and_without_choose_the_parts(node):
    node.run("--only", "web", "--only", "sweeper", "--without", "web", DICOM_COMMITMENT_PORT=str(free_port()))
    eventually(lambda: node.pids().keys() == {"supervisor", "sweeper"}, 20, "the start of the sweeper alone")
    assert "status page" not in node.output()


def test_with_json_the_first_line_says_where_things_are_and_no_secret(node):
    node.run("--only", "sweeper", "--json")
    eventually(lambda: "sweeper" in node.pids(), 20, "the start of the sweeper")
    facts = json.loads(node.output().splitlines()[0])
    assert (facts["parts"], facts["drop"]) == (["sweeper"], [str(node.data / "inbox")])
    assert "password" not in facts


def test_without_permission_to_migrate_an_empty_database_is_refused(node):
    assert node.run("--no-migrate").wait(20) == 1
    assert "needs its migrations first" in node.output()
