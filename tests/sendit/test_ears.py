"""A pipe that opens while others publish is there, and stays: nobody takes it for one that a dead worker left."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from sendit.ears import EARS, Ear, wake


def test_a_pipe_that_opens_while_others_publish_is_not_taken_away(tmp_path: Path) -> None:
    (tmp_path / EARS).mkdir()
    stop = threading.Event()

    def publish() -> None:
        while not stop.is_set():
            wake(tmp_path)

    publishers = [threading.Thread(target=publish) for _ in range(3)]
    for thread in publishers:
        thread.start()
    try:
        for _ in range(2000):
            ear = Ear(tmp_path)
            assert ear.path.exists()
            ear.close()
    finally:
        stop.set()
        for thread in publishers:
            thread.join()
    assert not os.listdir(tmp_path / EARS)
