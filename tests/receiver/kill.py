"""Rounds of `kill -9` under load: what the senders' own logs call stored has to be there afterwards, whole.

``python -m tests.receiver.kill --rounds 20`` runs as many as you like; a few are run with the other tests. The senders are
dcmtk's `storescu`: nothing of ours says what was acknowledged.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pydicom

from deidentify import read_structure
from dimse import Instance
from tests.peers.images import describe, make_series
from tests.peers.server import program
from tests.receiver.door import AE_TITLE, handed_over
from tests.receiver.node import Node, children, kill, migrated

SENDERS, IMAGES, SIZE = 4, 120, 256


@dataclass
class Round:
    """What one round came to: how many images were acknowledged and arrived, and what is wrong."""

    acknowledged: int = 0
    arrived: int = 0
    wrong: list[str] = field(default_factory=list)


class Load:
    """Senders that send a series each, and what their logs say."""

    def __init__(self, folder: Path, series: Sequence[Sequence[Instance]]) -> None:
        self._folder, self._series = folder, series
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, port: int) -> None:
        folder = self._folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for number, instances in enumerate(self._series):
            words = [program("storescu", "dcmtk"), "-v", "-aec", AE_TITLE, "127.0.0.1", str(port)]
            with (folder / f"{number}.log").open("wb") as log:
                self._running.append(
                    subprocess.Popen([*words, *(str(one.path) for one in instances)], stdout=log, stderr=log)
                )

    def finish(self) -> set[Path]:
        """Wait for the senders' ends and return the files that were acknowledged."""
        for process in self._running:
            process.wait(120)
        self._running.clear()
        return {path for log in self._folder.glob("*.log") for path in acknowledged(log.read_text())}


def acknowledged(log: str) -> set[Path]:
    """Return the files of which storescu's log says that they are stored."""
    found = set()
    for part in re.split(r"I: Sending file: ", log)[1:]:
        path, _, rest = part.partition("\n")
        if "I: Received Store Response (Success)" in rest:
            found.add(Path(path.strip()))
    return found


def run_round(node: Node, load: Load, series: Sequence[Sequence[Instance]], seed: int) -> Round:
    """Kill one process, or all of them, in the middle of the senders' work; then see what is there."""
    choose = random.Random(seed)
    shutil.rmtree(node.inbox)
    node.inbox.mkdir()
    victim = node.launch()
    try:
        node.wait_until_all_listen(victim)
        load.start(node.port)
        time.sleep(choose.uniform(0.05, 0.8))  # the moment of the kill is what a round varies
        if choose.random() < 0.5:
            os.kill(choose.choice(children(victim.pid)), signal.SIGKILL)
        else:
            os.killpg(victim.pid, signal.SIGKILL)
        told = load.finish()
    finally:
        kill(victim)
    with node.receiving():  # recovers
        pass
    return _judged(node, told, {one.path: one for instances in series for one in instances})


def _judged(node: Node, told: set[Path], sent: dict[Path, Instance]) -> Round:
    found = {one.sop_instance_uid: one.path for one in map(describe, node.files())}
    by_uid = {one.sop_instance_uid: one for one in sent.values()}
    result = Round(len(told), len(found))
    lost = [path for path in told if sent[path].sop_instance_uid not in found]
    if lost:
        result.wrong.append(f"{len(lost)} acknowledged images are lost")
    for uid, path in found.items():
        read_structure(path)
        if _content(path) != _content(by_uid[uid].path):
            result.wrong.append("an image is not what was sent")
    if len(found) > len(told) + SENDERS:
        result.wrong.append("more is there than was acknowledged or in hand")
    left = [path for path in node.inbox.iterdir() if path not in handed_over(node.inbox) and path.is_dir()]
    if left:
        result.wrong.append(f"{len(left)} folders of dead processes are left")
    return result


def _content(path: Path) -> pydicom.Dataset:
    """Return what storescu sends of a file: it encodes lengths in its own way and leaves trailing padding out."""
    dataset = pydicom.dcmread(path)
    dataset.pop("DataSetTrailingPadding", None)
    return dataset


def make_load(folder: Path, images: int = IMAGES) -> tuple[Load, list[list[Instance]]]:
    """Make the series of all senders."""
    series = [make_series(folder / f"series{number}", images, SIZE) for number in range(SENDERS)]
    return Load(folder / "logs", series), series


def main() -> int:
    """Run the rounds and print what came of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sendit-kill-") as name:
        folder = Path(name)
        node = Node(migrated(folder))
        load, series = make_load(folder)
        rounds = []
        for number in range(options.rounds):
            rounds.append(run_round(node, load, series, options.seed + number))
            last = rounds[-1]
            print(
                f"round {number + 1}: {last.acknowledged} acknowledged, {last.arrived} there  {'; '.join(last.wrong)}"
            )
    wrong = sum(bool(one.wrong) for one in rounds)
    told = sum(one.acknowledged for one in rounds)
    print(f"{len(rounds)} rounds, {told} images acknowledged, {wrong} rounds with something wrong")
    return 1 if wrong or not told else 0


if __name__ == "__main__":
    sys.exit(main())
