"""Two trials: the image alone, and the parts of `docker-compose.yml` with Orthanc while the workers are killed.

Each starts its own containers, volumes and networks under names of its own, on free ports of 127.0.0.1, and removes them.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom

from tests.containers.engine import IMAGE, ROOT, docker, exit_code, inspect, manage

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
PAGE = "8080/tcp"


def alone() -> str:
    """The image by itself, with nothing but a volume: what comes in goes out, and it stops when it is told to."""
    name = f"sendit-trial-{os.getpid()}"
    confined = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true", "--tmpfs=/tmp"]
    docker("run", "--detach", f"--name={name}", *confined, f"--volume={name}:/data", "--publish=127.0.0.1::8080", IMAGE)
    try:
        wait_for(lambda: inspect(name)["State"]["Health"]["Status"] == "healthy", 120, lambda: docker("logs", name))
        assert docker("exec", name, "id", "-u").strip() == "10001"
        assert exit_code("exec", name, "touch", "/app/x") != 0, "its system may be written to"
        assert page_answers(name) == 403, "the page is not locked"
        files = drop(name)
        balance = accounted_for(name, files, 900)
        out = docker("exec", name, "find", "/data/outbox", "-type", "f").split()
        assert len(out) == balance["SENT"] > 100
        began = time.monotonic()
        docker("stop", "--time=30", name)
        assert inspect(name)["State"]["ExitCode"] == 0, docker("logs", name)
        return f"{files} files accounted for, {len(out)} images out, stopped in {time.monotonic() - began:.0f} s"
    finally:
        docker("rm", "--force", "--volumes", name)
        docker("volume", "rm", name)


def parts(folder: Path) -> str:
    """The parts of production: all images are in Orthanc once, though all three workers are killed at work meanwhile."""
    with started(folder) as service:
        wait_for(lambda: all(healthy(container) for container in service()), 180, lambda: "not every part is healthy")
        assert page_answers(service("web")[0]) == 403, "the page is not locked"
        sweeper, database, workers = service("sweeper")[0], service("db")[0], service("worker")
        files = drop(service("watcher")[0])
        wait_for(lambda: held_series(database) > 0, 120, lambda: docker("logs", workers[0]), pause=0.0)
        docker("kill", *workers)
        held = held_series(database)
        docker("start", *workers)
        balance = accounted_for(sweeper, files, 300)
        stored = in_orthanc(service("web")[0])
        assert len(stored) == balance["SENT"] > 100
        assert all(tags.get("PatientIdentityRemoved") == "YES" for tags in stored)
        for container in service():
            docker("stop", "--time=30", container)
            assert inspect(container)["State"]["ExitCode"] == 0, docker("logs", container)
        return f"{files} files accounted for, {len(stored)} images in Orthanc once; killed workers held {held} series"


@contextmanager
def started(folder: Path) -> Iterator[Callable[..., list[str]]]:
    """`docker compose up` on ports and volumes of its own; yields what lists the containers of a service, or of all."""
    secrets = folder / "secrets"
    secrets.mkdir()
    for name in ("postgres_password", "page_password"):
        (secrets / name).write_text(os.urandom(12).hex())
    # Pixels are searched in the other trial; a lease as long as a search would make this one wait for minutes.
    (folder / "recipe.yaml").write_text("name: without search\nprofile: basic\npixels: keep\n")
    quick = {"SENDIT_LEASE_SECONDS": "10", "SENDIT_RETRY_SECONDS": "0.5", "SENDIT_RECIPE": "/recipe.yaml"}
    base = json.loads(docker("compose", "--profile=orthanc", "config", "--format=json", "--no-interpolate"))["services"]
    part = {"image": IMAGE, "environment": quick, "volumes": [f"{folder / 'recipe.yaml'}:/recipe.yaml:ro"]}
    own = {name: part for name, service in base.items() if service["image"] == "sendit"}
    (folder / "own.yml").write_text(json.dumps({"services": own}))
    page, dicom = free_ports(2)
    (folder / "env").write_text(
        f"NODE_SECRETS={secrets}\nNODE_PORT={page}\nNODE_DICOM_PORT={dicom}\nSEND_TO_ORTHANC=yes\n"
    )
    compose = ["compose", f"--project-name=sendit-trial-{os.getpid()}", "--profile=orthanc", f"--env-file={folder}/env"]
    compose += [f"--file={ROOT / 'docker-compose.yml'}", f"--file={folder / 'own.yml'}"]

    def containers(*services: str) -> list[str]:
        return docker(*compose, "ps", "--quiet", *services).split()

    try:
        docker(*compose, "up", "--detach", "--no-build", "--scale=worker=3", timeout=600)
        yield containers
    finally:
        docker(*compose, "down", "--volumes", "--timeout=5")


def drop(container: str) -> int:
    """pydicom's own test files into the inbox under a temporary name, then renamed; returns how many."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(TEST_FILES, "x.tmp1", filter=long_ago)
    docker("exec", "--interactive", container, "tar", "-x", "-C", "/data/inbox", stdin=packed.getvalue())
    docker("exec", container, "mv", "/data/inbox/x.tmp1", "/data/inbox/x")
    return sum(path.is_file() for path in TEST_FILES.rglob("*"))


def long_ago(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Files that nobody writes to any more: what is cut off is not waited for."""
    entry.mtime = 1
    return entry


def accounted_for(container: str, files: int, seconds: float) -> dict[str, int]:
    """Wait until the drop is through; each of its files has one outcome."""

    def through() -> bool:
        facts = manage(container, "status")
        images = facts["images"]
        registered = facts["drops"] and facts["drops"][0]["registered"]
        return bool(registered) and not images["NEW"] + images["PROCESSING"] + images["DONEPROCESSING"]

    wait_for(through, seconds, lambda: str(manage(container, "status")))
    balance: dict[str, int] = manage(container, "status")["drops"][0]["balance"]
    assert sum(balance.values()) == files, balance
    held = manage(container, "quarantine", "list")["held"]
    assert all(row["sentence"] for row in held)
    return balance


def held_series(database: str) -> int:
    """How many series workers have in hand just now."""
    query = "SELECT count(*) FROM main_series WHERE token IS NOT NULL"
    return int(docker("exec", database, "psql", "--username=sendit", "--dbname=sendit", "-tAc", query))


def in_orthanc(container: str) -> list[dict[str, Any]]:
    """The headers of everything Orthanc holds, read over its REST interface from inside the network."""
    ask = (
        "import json, urllib.request as u; get = lambda p: json.load(u.urlopen('http://orthanc:8042' + p));"
        "print(json.dumps([get(f'/instances/{i}/simplified-tags') for i in get('/instances')]))"
    )
    found: list[dict[str, Any]] = json.loads(docker("exec", container, "python", "-c", ask))
    return found


def healthy(container: str) -> bool:
    """Whether the engine finds a container healthy, or has nothing to ask it and it runs."""
    state = inspect(container)["State"]
    return bool(state["Health"]["Status"] == "healthy" if "Health" in state else state["Running"])


def page_answers(container: str) -> int:
    """The status with which the published page answers one who has no password."""
    published = inspect(container)["NetworkSettings"]["Ports"][PAGE][0]
    assert published["HostIp"] == "127.0.0.1", "the page is published to others than this machine"
    connection = http.client.HTTPConnection("127.0.0.1", int(published["HostPort"]), timeout=10)
    connection.request("GET", "/")
    return connection.getresponse().status


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def wait_for(condition: Callable[[], object], seconds: float, otherwise: Callable[[], str], pause: float = 0.5) -> None:
    """Wait until something holds that other machines' processes bring about."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, otherwise()
        time.sleep(pause)
