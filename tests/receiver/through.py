"""`kill -9` of the receiver while a whole node works: what the senders call stored has to be in the Orthanc behind it.

``python -m tests.receiver.through --rounds 20``; the images keep their UIDs on the way, so that both lists can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.peers import Orthanc
from tests.receiver.kill import make_load
from tests.receiver.node import MANAGE, Node, kill, migrated
from tests.waiting import eventually

IMAGES = 40
RECIPE = "name: keeps UIDs\nprofile: basic\noptions: [retain-uids]\npixels: keep\n"


def main() -> int:
    """Run the rounds, wait until all is through, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sendit-through-") as name, Orthanc(Path(name) / "orthanc") as orthanc:
        folder = Path(name)
        recipe = folder / "recipe.yaml"
        recipe.write_text(RECIPE)
        node = Node(
            migrated(folder),
            DICOM_AUTO_START="yes",
            DICOM_STUDY_TIMEOUT="1",
            SENDIT_RECIPE=str(recipe),
            SEND_TO_ORTHANC="yes",
            ORTHANC_PORT=str(orthanc.dicom_port),
            ORTHANC_REST_URL=orthanc.rest_url,
        )
        with node.log.open("wb") as log:
            whole = subprocess.Popen(
                [*MANAGE, "node", "--without", "web"],
                env=node.environment,
                cwd=node.data,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            told, sent = _rounds(node, folder, random.Random(options.seed), options.rounds)
            try:
                eventually(lambda: told <= set(orthanc.instances()), 120, "all images in Orthanc")
            except AssertionError as late:
                print(late)
            there = orthanc.instances()
            whole.send_signal(signal.SIGTERM)
            whole.wait(60)
        finally:
            kill(whole)
    lost, strange = len(told - set(there)), len(set(there) - sent)
    print(
        f"{options.rounds} rounds, {len(told)} images acknowledged, {len(there)} in Orthanc, {lost} lost, {strange} unknown"
    )
    return 1 if lost or strange or not told or len(there) != len(set(there)) else 0


def _rounds(node: Node, folder: Path, choose: random.Random, rounds: int) -> tuple[set[str], set[str]]:
    """Send new images in every round, end a process of the receiver meanwhile; return what was acknowledged and sent."""
    told: set[str] = set()
    sent: set[str] = set()
    for number in range(rounds):
        load, series = make_load(folder / f"round{number}", IMAGES)
        uids = {one.path: one.sop_instance_uid for instances in series for one in instances}
        sent.update(uids.values())
        eventually(node.answers, 40, "an open port")
        load.start(node.port)
        time.sleep(choose.uniform(0.05, 0.5))  # the moment of the kill is what a round varies
        parent = psutil.Process(json.loads((node.data / "run" / "node.json").read_text())["receiver"])
        victim = choose.choice([parent, *parent.children()])
        os.kill(victim.pid, signal.SIGKILL)
        found = {uids[path] for path in load.finish()}
        told |= found
        print(f"round {number + 1}: {len(found)} acknowledged", flush=True)
    return told, sent


if __name__ == "__main__":
    sys.exit(main())
