"""What the tests of the association client share: a peer that is given up after two seconds, and how long that took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dimse import Peer

SILENCE = 2.0


def patient(server: Any) -> Peer:
    """Return `server` as a peer, with the patience of everyday: for a rule that has nothing to do with time."""
    return Peer(server.host, server.dicom_port, server.ae_title)


def impatient(server: Any, **settings: Any) -> Peer:
    """Return `server` as a peer that counts as hung after two seconds without progress."""
    return Peer(server.host, server.dicom_port, server.ae_title, **{"silence_timeout": SILENCE, **settings})


@contextmanager
def cut_off_in_time(within: float = SILENCE + 1) -> Iterator[None]:
    """Fail when the block takes longer than a silent peer may hold us up."""
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    assert took < within, f"held up for {took:.1f} s"


@pytest.fixture(autouse=True)
def _no_patient_value_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Look into everything that any test here logs, at every level, for the values of the patient it sent."""
    caplog.set_level("DEBUG")
    yield
    for value in ("CompressedSamples", "1CT1", "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"):
        assert value not in caplog.text
