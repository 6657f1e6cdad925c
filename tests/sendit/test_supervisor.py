"""The supervisor with real processes, killed for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.waiting import eventually

ROOT = Path(__file__).parents[2]

NODE = """
import sys; sys.path.insert(0, {root!r})
from pathlib import Path
from sendit.supervisor import AlreadyRunning, Program, Supervisor
place = Path({place!r})
programs = [Program(name, argv, env) for name, argv, env in {programs!r}]
try:
    Supervisor(programs, place / "run", place / "logs", grace={grace!r}).run()
except AlreadyRunning as error:
    sys.exit(str(error))
"""

PATIENT = ["sh", "-c", "echo up; exec sleep 1000"]
STUBBORN = ["sh", "-c", "trap '' TERM INT HUP; echo up; while :; do sleep 0.1; done"]
PARENT = ["sh", "-c", "sleep 1001 & sleep 1002 & echo up; wait"]
STUBBORN_PARENT = ["sh", "-c", "(trap '' TERM HUP; while :; do sleep 0.1; done) & echo up; exec sleep 1000"]


class Node:
    """A supervisor in a process of its own."""

    def __init__(self, place: Path, **programs: list[str]) -> None:
        self.place, self.programs = place, programs

    def start(self, grace: float = 10.0, env: dict[str, str] | None = None, **popen: object) -> subprocess.Popen[str]:
        programs = [(name, argv, env or {}) for name, argv in self.programs.items()]
        script = NODE.format(root=str(ROOT), place=str(self.place), programs=programs, grace=grace)
        self.output = self.place / "output"
        with self.output.open("a") as output:
            popen = {"stdout": output, "stderr": subprocess.STDOUT, **popen}
            self.process = subprocess.Popen([sys.executable, "-c", script], text=True, **popen)
        return self.process

    def pids(self) -> dict[str, int]:
        try:
            return json.loads((self.place / "run" / "node.json").read_text())
        except FileNotFoundError:
            return {}

    def log(self, name: str = "supervisor") -> str:
        path = self.place / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def up(self) -> dict[str, int]:
        """Wait until every program has said so; return their pids."""
        eventually(lambda: all("up\n" in self.log(name) for name in self.programs), what="the start of all programs")
        return self.pids()

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def node(tmp_path) -> Iterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def make(**programs: list[str]) -> Node:
        nodes.append(Node(tmp_path, **programs))
        return nodes[-1]

    yield make
    for each in nodes:
        if hasattr(each, "process"):
            each.process.kill()
            each.process.wait()


def gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def test_what_is_killed_is_back_within_a_second_and_the_reason_is_one_line(node):
    it = node(web=PATIENT, worker=PATIENT)
    it.start()
    pids = it.up()
    killed_at = time.monotonic()
    os.kill(pids["worker"], signal.SIGKILL)
    eventually(lambda: it.pids().get("worker", pids["worker"]) != pids["worker"], 1.0, "the restart")
    assert time.monotonic() - killed_at < 1.0
    assert it.pids()["web"] == pids["web"]
    [line] = [line for line in it.log().splitlines() if "worker" in line]
    assert "worker was ended by SIGKILL after" in line
    assert line.endswith("restarting in 0.3 s.")


def test_every_program_is_restarted_however_often_it_is_killed(node):
    it = node(one=PATIENT)
    it.start()
    seen = {it.up()["one"]}
    for _ in range(3):
        os.kill(it.pids()["one"], signal.SIGKILL)
        eventually(lambda: it.pids().get("one", -1) not in {*seen, -1}, 5)
        seen.add(it.pids()["one"])
    assert all(not psutil.pid_exists(pid) for pid in list(seen - {it.pids()["one"]}))  # and no zombie


def test_a_killed_supervisor_leaves_no_child_and_no_grandchild(node):
    it = node(plain=PATIENT, stubborn=STUBBORN, parent=PARENT, both=STUBBORN_PARENT)
    it.start()
    it.up()
    family = it.family()
    assert len(family) >= 8  # the four, their children, and the guardian
    it.process.kill()
    eventually(lambda: gone(family), 2.0, "the end of the whole family")


def test_a_killed_guardian_is_replaced_and_the_family_still_ends_with_the_supervisor(node):
    it = node(parent=PARENT, both=STUBBORN_PARENT)
    it.start()
    pids = it.up()
    [guardian] = [p for p in psutil.Process(it.process.pid).children() if p.pid not in pids.values()]
    guardian.kill()
    eventually(
        lambda: [p for p in psutil.Process(it.process.pid).children() if p.pid not in {*pids.values(), guardian.pid}],
        what="a new guardian",
    )
    family = it.family()
    it.process.kill()
    eventually(lambda: gone(family), 2.0, "the end of the whole family")


def test_a_killed_program_leaves_nothing_behind_that_could_keep_its_port(node):
    it = node(both=STUBBORN_PARENT)
    it.start()
    pids = it.up()
    orphans = psutil.Process(pids["both"]).children(recursive=True)
    assert orphans
    os.kill(pids["both"], signal.SIGKILL)
    eventually(lambda: gone(orphans), 1.0, "the end of its children")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_all_with_status_0(node, number):
    say = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit('bye')); print('up'); time.sleep(99)"
    it = node(first=[sys.executable, "-c", say], second=[sys.executable, "-c", say], parent=PARENT)
    it.start()
    it.up()
    family = it.family()
    it.process.send_signal(number)
    assert it.process.wait(5) == 0
    assert gone(family)
    assert "bye" in it.log("first")
    assert "bye" in it.log("second")
    assert it.pids() == {}
    assert it.log().endswith("stopped\n")


def test_what_does_not_end_within_the_grace_is_killed(node):
    it = node(stubborn=STUBBORN, plain=PATIENT)
    it.start(grace=0.5)
    it.up()
    family = it.family()
    asked_at = time.monotonic()
    it.process.terminate()
    assert it.process.wait(5) == 0
    assert 0.5 <= time.monotonic() - asked_at < 2.0
    assert gone(family)
    assert "stubborn did not end in time; killing." in it.log()


def test_a_second_signal_does_not_wait_for_the_grace(node):
    it = node(stubborn=STUBBORN)
    it.start(grace=60)
    it.up()
    it.process.send_signal(signal.SIGINT)
    eventually(lambda: "stopping" in it.log())
    it.process.send_signal(signal.SIGINT)
    assert it.process.wait(5) == 0


def test_a_program_that_crashes_at_once_is_tried_ever_more_rarely_and_disturbs_nobody(node):
    it = node(crash=["sh", "-c", "echo up; exit 3"], fine=PATIENT)
    it.start()
    fine = it.up()["fine"]
    eventually(lambda: it.log().count("crash ended with status 3") == 3, 10)
    waits = [line.rsplit(" in ", 1)[1] for line in it.log().splitlines() if "crash" in line]
    assert waits == ["0.3 s.", "0.6 s.", "1.2 s."]
    assert "3 times in a row" in it.log()
    assert it.pids()["fine"] == fine


def test_a_program_that_does_not_exist_is_said_and_disturbs_nobody(node):
    it = node(fine=PATIENT)
    it.programs["missing"] = ["/no/such/program"]
    it.start()
    eventually(lambda: "missing cannot be started (No such file or directory); trying again in 0.3 s." in it.log())
    eventually(lambda: "fine" in it.pids())


def test_a_second_node_is_refused_with_the_pid_of_the_first(node):
    first, second = node(one=PATIENT), node(one=PATIENT)
    first.start()
    first.up()
    second.start(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, complaint = second.process.communicate(timeout=10)
    assert second.process.returncode == 1
    assert f"process {first.process.pid} holds" in complaint
    assert first.process.poll() is None


def test_the_lock_of_a_killed_node_blocks_nobody(node):
    first, second = node(one=STUBBORN_PARENT), node(one=STUBBORN_PARENT)
    first.start()
    pids = first.up()
    first.process.kill()
    first.process.wait()
    second.start()
    eventually(lambda: second.pids().get("one", pids["one"]) != pids["one"], 5, "the start of the second node")


def test_output_is_passed_on_line_by_line_with_the_name_of_the_program(node):
    it = node(
        chatty=["sh", "-c", "echo up; echo error >&2; printf 'no newline'; sleep 0.2; printf ' yet'; exec sleep 99"]
    )
    it.start(env={"GREETING": "x"})
    it.up()
    os.kill(it.pids()["chatty"], signal.SIGKILL)
    eventually(lambda: "no newline" in it.output.read_text())
    assert "chatty     | up\nchatty     | error\n" in it.output.read_text()
    assert "chatty     | no newline" in it.output.read_text()
    assert it.log("chatty").startswith("up\nerror\nno newline")


def test_a_program_gets_its_environment_and_no_descriptor_but_the_standard_ones(node):
    it = node(one=["sh", "-c", "echo $GREETING; ls /proc/self/fd | tr '\\n' ' '; echo; echo up; exec sleep 99"])
    it.start(env={"GREETING": "hello"})
    it.up()
    assert it.log("one").splitlines()[0] == "hello"
    assert it.log("one").splitlines()[1].split() == ["0", "1", "2", "3"]  # 3 is ls reading the folder


def test_a_console_that_nobody_reads_stops_nothing(node):
    it = node(loud=["sh", "-c", "yes | head -200000; echo up; exec sleep 99"])
    reading, writing = os.pipe()
    it.start(stdout=writing)
    os.close(writing)
    it.up()
    os.close(reading)
    os.kill(it.pids()["loud"], signal.SIGKILL)
    eventually(lambda: "restarting" in it.log(), what="life after the console was closed")
    assert it.process.poll() is None


def test_the_log_of_a_program_is_rotated(node, tmp_path):
    it = node(loud=["sh", "-c", "yes 0123456789012345678901234567890123456789 | head -260000; echo up; exec sleep 99"])
    it.start()
    it.up()
    sizes = sorted(path.stat().st_size for path in (tmp_path / "logs").glob("loud.log*"))
    assert len(sizes) == 2
    assert max(sizes) <= 10_000_000
