"""Programs that people send with, as they are: each gets its images in, and hears why when it may not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

from dimse import Instance
from tests.peers import MissingPeer, Orthanc
from tests.peers.fixtures import not_installed
from tests.peers.server import program
from tests.receiver.door import AE_TITLE, Door
from tests.waiting import eventually

MODULES = Path(__file__).resolve().parents[2] / ".venv" / "dcmjs" / "node_modules"

# Sends files and returns what the program said; raises CalledProcessError when it says that it failed.
Send = Callable[[Door, list[Instance], str, str], str]


def said(*words: str) -> str:
    try:
        words = (program(words[0], {"node": "nodejs"}.get(words[0], "dcmtk")), *words[1:])
    except MissingPeer as missing:
        not_installed(missing)
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    done.check_returncode()
    return done.stdout + done.stderr


def storescu(door: Door, images: list[Instance], called: str, calling: str) -> str:
    files = [str(one.path) for one in images]
    return said("storescu", "-v", "-aec", called, "-aet", calling, "127.0.0.1", str(door.port), *files)


def dcmsend(door: Door, images: list[Instance], called: str, calling: str) -> str:
    files = [str(one.path) for one in images]
    return said("dcmsend", "-v", "-aec", called, "-aet", calling, "127.0.0.1", str(door.port), *files)


def dcmjs(door: Door, images: list[Instance], called: str, calling: str) -> str:
    if not (MODULES / "dcmjs-dimse").is_dir():
        not_installed(MissingPeer("dcmjs-dimse", "npm"))
    files = [str(one.path) for one in images]
    script = str(Path(__file__).with_name("send.js"))
    text = said("node", script, str(MODULES), str(door.port), called, calling, *files)
    if text.splitlines().count("status 0") != len(images):
        raise subprocess.CalledProcessError(1, "dcmjs-dimse", text)
    return text


def pynetdicom(door: Door, images: list[Instance], called: str, calling: str) -> str:
    ae = AE(ae_title=calling)
    ae.add_requested_context(CTImageStorage)
    association = ae.associate("127.0.0.1", door.port, ae_title=called)
    if not association.is_established:
        raise subprocess.CalledProcessError(1, "pynetdicom")
    for one in images:
        assert association.send_c_store(pydicom.dcmread(one.path)).Status == 0
    association.release()
    return ""


SENDERS = [storescu, dcmsend, dcmjs, pynetdicom]
each_sender = pytest.mark.parametrize("send", SENDERS, ids=lambda send: send.__name__)


@each_sender
def test_images_of_every_sender_arrive(door: Door, images: list[Instance], send: Send) -> None:
    send(door, images, AE_TITLE, "MODALITY")
    eventually(door.handed_over)
    arrived = {pydicom.dcmread(path).SOPInstanceUID for path in door.files()}
    assert arrived == {one.sop_instance_uid for one in images}
    assert len(door.handed_over()) == 1


@each_sender
@pytest.mark.parametrize(
    ("called", "calling", "why"),
    [("SOMEBODY", "MODALITY", "called-ae-title"), (AE_TITLE, "STRANGER", "unknown")],
    ids=["another AE title", "unknown caller"],
)
def test_who_calls_another_title_or_is_unknown_is_rejected_and_counted(
    door: Door, images: list[Instance], send: Send, called: str, calling: str, why: str
) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        send(door, images[:1], called, calling)
    assert door.guests.seen[0] == ("127.0.0.1", calling, called, why)
    assert door.files() == []


def test_dcmtk_says_the_right_reasons(door: Door, images: list[Instance]) -> None:
    for called, calling, words in (
        ("SOMEBODY", "MODALITY", "Called AE Title Not Recognized"),
        (AE_TITLE, "STRANGER", "Calling AE Title Not Recognized"),
    ):
        done = subprocess.run(
            [
                program("storescu", "dcmtk"),
                "-aec",
                called,
                "-aet",
                calling,
                "127.0.0.1",
                str(door.port),
                images[0].path,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert words in done.stdout + done.stderr


def test_an_address_that_may_not_connect_is_closed_without_a_word(door: Door, images: list[Instance]) -> None:
    door.guests.allows = False
    with pytest.raises(subprocess.CalledProcessError):
        storescu(door, images, AE_TITLE, "MODALITY")
    assert door.guests.reasons() == ["address"]


def test_orthanc_sends_to_us(door: Door, images: list[Instance], empty_orthanc: Orthanc) -> None:
    ids = [empty_orthanc.rest("/instances", one.path.read_bytes())["ID"] for one in images]
    empty_orthanc.add_modality("us", AE_TITLE, door.port)
    assert empty_orthanc.rest("/modalities/us/echo", {}) == {}
    answer = empty_orthanc.rest("/modalities/us/store", {"Resources": ids, "Synchronous": True})
    assert answer["FailedInstancesCount"] == 0
    eventually(lambda: len(door.files()) == len(images))
