"""Fixtures that every room's tests may use: peers, and the end of the run's data folder."""

import shutil

import pytest

from tests.environment import DATA

pytest_plugins = ["tests.peers.fixtures"]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the run's data folder."""
    shutil.rmtree(DATA, ignore_errors=True)
