"""The neighbours as pytest fixtures; a test that shares one leaves what it stored, so it looks for its own UIDs only.

A neighbour that is not installed is a visible skip with the install line, and a failure when `CI=true`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

from tests.peers import Dcmqrscp, MissingPeer, Orthanc, Postgres, Redis, StoreSCP
from tests.peers.server import Server, program

S = TypeVar("S", bound=Server)
Make = Callable[[str], Path]


def running(server: Server) -> Server:
    """Start `server`; when it is not installed, skip the test with the install line (fail it when CI=true)."""
    try:
        return server.start()
    except MissingPeer as missing:
        not_installed(missing)


def not_installed(missing: MissingPeer) -> NoReturn:
    """Skip the test with the install line; fail it when CI=true."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(str(missing))
    pytest.skip(str(missing))


@pytest.fixture(scope="session")
def dcmdump() -> str:
    """Return the path of dcmtk's dcmdump."""
    try:
        return program("dcmdump", "dcmtk")
    except MissingPeer as missing:
        not_installed(missing)


def _while_running(server: S) -> Iterator[S]:
    running(server)
    with server:
        yield server


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Yield an Orthanc for the whole run."""
    yield from _while_running(Orthanc(tmp_path_factory.mktemp("orthanc")))


@pytest.fixture
def empty_orthanc(orthanc: Orthanc) -> Orthanc:
    """Return the run's Orthanc with nothing stored."""
    orthanc.clear()
    return orthanc


@pytest.fixture
def own_orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """Yield an Orthanc of the test's own, which it may hang, kill and start again."""
    yield from _while_running(Orthanc(tmp_path / "orthanc"))


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """Yield a redis-server for the whole run."""
    yield from _while_running(Redis(tmp_path_factory.mktemp("redis")))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Yield a PostgreSQL for the whole run."""
    yield from _while_running(Postgres(tmp_path_factory.mktemp("postgres")))


@pytest.fixture(scope="session")
def storescp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreSCP]:
    """Yield dcmtk's storescp for the whole run."""
    yield from _while_running(StoreSCP(tmp_path_factory.mktemp("storescp")))


@pytest.fixture(scope="session")
def dcmqrscp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dcmqrscp]:
    """Yield dcmtk's archive for the whole run."""
    yield from _while_running(Dcmqrscp(tmp_path_factory.mktemp("dcmqrscp")))
