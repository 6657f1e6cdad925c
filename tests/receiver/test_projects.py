"""Projects by AE title: real storescu calls a project, or calls as one of its senders, and the images go its way."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pydicom
import pytest

from dimse import Instance
from tests.peers.server import program
from tests.receiver.door import AE_TITLE, PROJECT, Door
from tests.receiver.node import MANAGE, Node, kill
from tests.waiting import eventually

PARTS = ["--only", "watcher", "--only", "receiver", "--only", "worker", "--only", "sweeper"]


def storescu(port: int, called: str, calling: str, *files: Path) -> int:
    """Send with DCMTK; return its exit code."""
    done = subprocess.run(
        [program("storescu", "dcmtk"), "-aec", called, "-aet", calling, "127.0.0.1", str(port), *map(str, files)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode


def test_a_project_is_called_beside_our_own_title_and_the_drop_says_so(door: Door, images: list[Instance]) -> None:
    for called, answer in ((PROJECT, 0), (AE_TITLE, 0), (PROJECT.lower(), 1)):
        assert bool(storescu(door.port, called, "CT1", images[0].path)) == bool(answer), called
    eventually(lambda: len(door.handed_over()) == 2)
    told = [json.loads((drop / ".sendit-source.json").read_text()) for drop in door.handed_over()]
    assert {one["called"] for one in told} == {PROJECT, AE_TITLE}
    assert {one["calling"] for one in told} == {"CT1"}


@pytest.fixture
def whole(tmp_path: Path) -> Node:
    """Return a node that has never run, with two projects beside the default one."""
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "fast.yaml").write_text("name: without search\nprofile: basic\npixels: keep\n")
    names = ("called", "calling", "rest")
    (data / "destinations.toml").write_text(
        "".join(f'[{name}]\nkind = "folder"\npath = "{tmp_path}/{name}"\n' for name in names)
    )
    (data / "projects.toml").write_text(
        f'[{names[0]}]\ncalled_ae_titles = ["TRIAL"]\ndestinations = ["called"]\n'
        f'[{names[1]}]\ncalling_ae_titles = ["CT7"]\ndestinations = ["calling"]\n'
    )
    return Node(
        data,
        DICOM_AUTO_START="yes",
        DICOM_STUDY_TIMEOUT="1",
        SENDIT_RECIPE=str(tmp_path / "fast.yaml"),
        SENDIT_DESTINATIONS=str(data / "destinations.toml"),
        SENDIT_PROJECTS=str(data / "projects.toml"),
    )


def test_what_is_sent_to_a_project_goes_its_way(whole: Node, images: list[Instance], tmp_path: Path) -> None:
    with whole.log.open("wb") as log:
        process = subprocess.Popen(
            [*MANAGE, "node", *PARTS],
            env=whole.environment,
            cwd=whole.data,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        eventually(whole.answers, 40, "an open port")
        assert storescu(whole.port, "TRIAL", "CT1", images[0].path) == 0
        assert storescu(whole.port, "DICOMRCV", "CT7", images[0].path) == 0
        assert storescu(whole.port, "DICOMRCV", "CT1", images[0].path) == 0
        assert storescu(whole.port, "NOBODY", "CT1", images[0].path) != 0

        def out(name: str) -> list[Path]:
            return list((tmp_path / name).rglob("*.dcm"))

        names = ("called", "calling", "rest")
        eventually(lambda: all(len(out(name)) == 1 for name in names), 60, "one image at each destination")
        found = [pydicom.dcmread(out(name)[0]) for name in names]
        assert len({one.PatientID for one in found}) == len({one.SOPInstanceUID for one in found}) == 3
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0
    finally:
        kill(process)
    assert "Traceback" not in whole.said()
