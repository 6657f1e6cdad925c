"""A receiver in this process, and images to send to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dimse import Instance
from tests.peers.images import make_series
from tests.receiver.door import Door
from tests.receiver.node import Node, copy_of, migrated


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """Yield a running receiver."""
    with Door(tmp_path / "door") as running:
        yield running


@pytest.fixture
def images(tmp_path: Path) -> list[Instance]:
    """Return five small images of one series."""
    return make_series(tmp_path / "images", 5, 128)


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a database, to copy."""
    return migrated(tmp_path_factory.mktemp("first"))


@pytest.fixture
def node(first_start: Path, tmp_path: Path) -> Iterator[Node]:
    """Yield a node on which no receiver runs yet, and at the end none any more."""
    node = Node(copy_of(first_start, tmp_path))
    yield node
    if node.answers():
        node.run("receiver_stop", "--timeout", "5")
