"""A real prefork worker on the folder broker: bells, garbage, a deleted folder, tasks that hang."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sendit.test_transport import GARBAGE, ROOT
from tests.waiting import eventually

APP = """
import os, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from celery import Celery
from sendit import transport

transport.register()
app = Celery("bells", broker=transport.url(Path({folder!r})), fixups=[])
app.conf.update(
    task_ignore_result=True, worker_prefetch_multiplier=1, worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True, broker_connection_max_retries=None, task_publish_retry=False,
    broker_transport_options=transport.OPTIONS,
)

@app.task(name="bell")
def bell():
    with open({log!r}, "a") as log:
        log.write("rung\\n")

@app.task(name="hang", time_limit=1)
def hang():
    while True:
        pass
"""


@pytest.fixture(scope="module")
def worker(tmp_path_factory) -> Iterator[tuple[Path, object, Callable[[], int], subprocess.Popen]]:
    place = tmp_path_factory.mktemp("worker")
    folder, log = place / "broker", place / "log"
    log.touch()
    (place / "folder_broker_app.py").write_text(APP.format(root=str(ROOT), folder=str(folder), log=str(log)))
    argv = [sys.executable, "-m", "celery", "-A", "folder_broker_app", "worker", "--pool=prefork", "--concurrency=2"]
    argv += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"]
    output = (place / "output").open("w+")
    process = subprocess.Popen(argv, cwd=place, stdout=output, stderr=subprocess.STDOUT)
    sys.path.insert(0, str(place))
    try:
        from folder_broker_app import app

        yield folder, app, lambda: log.read_text().count("rung\n"), process
    finally:
        sys.path.remove(str(place))
        process.terminate()
        try:
            assert process.wait(40) == 0
        finally:
            process.kill()
            output.seek(0)
            sys.stderr.write(output.read())  # pytest shows it beside a failure


def test_a_worker_hears_500_bells(worker):
    folder, app, rung, process = worker
    before = rung()
    for _ in range(500):
        app.send_task("bell", expires=60)
    eventually(lambda: rung() == before + 500, 20, "the 500th bell")
    assert process.poll() is None
    eventually(lambda: not list((folder / "queues" / "celery").iterdir()), 5, "an empty queue")


def test_garbage_in_the_queue_costs_the_worker_nothing(worker):
    folder, app, rung, process = worker
    before = rung()
    (folder / "queues" / "celery").mkdir(parents=True, exist_ok=True)
    for kind, content in GARBAGE.items():
        (folder / "queues" / "celery" / f"{kind}.msg").write_bytes(content)
    app.send_task("no.such.task")
    app.send_task("bell", args=("unexpected",), expires=60)
    app.send_task("bell", expires=60)
    eventually(lambda: rung() == before + 1, 10, "the good bell")
    eventually(lambda: len(list((folder / "bad").glob("*"))) == len(GARBAGE), 5, "all garbage set aside")
    assert process.poll() is None


def test_a_worker_survives_the_deletion_of_its_folder(worker):
    folder, app, rung, process = worker
    before = rung()
    shutil.rmtree(folder)
    app.send_task("bell", expires=60)
    eventually(lambda: rung() == before + 1, 10, "the bell after the deletion")
    assert process.poll() is None


def test_a_task_that_hangs_is_ended_and_the_worker_goes_on(worker):
    folder, app, rung, process = worker
    before = rung()
    for _ in range(2):
        app.send_task("hang", expires=60)
    eventually(lambda: not list((folder / "queues" / "celery").iterdir()), 5, "both children busy")
    app.send_task("bell", expires=60)
    eventually(lambda: rung() == before + 1, 15, "the bell behind two hung tasks")
    assert process.poll() is None
