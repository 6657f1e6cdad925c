"""Nothing of a patient is in a log or in what is shown, at any log level; and a receiver without work is quiet."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil
import pydicom
import pytest
from pydicom.data import get_testdata_file

from dimse import Instance, store
from dimse.association import Association
from tests.peers.images import dataset_bytes, describe
from tests.receiver.door import proposal, send, send_bytes
from tests.receiver.node import Node, children
from tests.waiting import eventually

CANARIES = {
    "PatientName": "QUINBY^ADALBERTA",
    "PatientID": "MRN-77120-X",
    "PatientBirthDate": "19370519",
    "AccessionNumber": "ACC5550123",
    "StudyInstanceUID": "1.2.826.0.1.77777.1",
    "SOPInstanceUID": "1.2.826.0.1.77777.2",
}


@pytest.fixture
def canary(tmp_path: Path) -> Instance:
    """Return an image whose every identifying value is known."""
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    for keyword, value in CANARIES.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(tmp_path / "canary.dcm", enforce_file_format=True)
    return describe(tmp_path / "canary.dcm")


def test_no_value_of_a_patient_is_logged_or_shown_whatever_happens(node: Node, canary: Instance) -> None:
    with node.receiving(DICOM_LOG_LEVEL="debug", SENDIT_LOG_LEVEL="debug"):
        assert [one.status for one in store(node.peer(), [canary, canary])] == [0, 0]
        with Association.open(node.peer(), (proposal(canary),)) as association:
            assert send(association, canary, sop_instance_uid="1.2.826.0.1.77777.3") == 0xA900
            assert send_bytes(association, canary, dataset_bytes(canary)[:-500]) == 0xC000
        shutil.rmtree(node.inbox)  # whatever it writes now fails
        assert [one.status for one in store(node.peer(), [canary])] == [0xA700]
        node.inbox.mkdir()
        shown = node.run("receiver_status").stdout + node.run("receiver_status", "--json").stdout
    for value in [*CANARIES.values(), "77777.3", "QUINBY", "ADALBERTA"]:
        assert value not in node.said() + shown
    assert "released" in node.said(), "the log that is searched is the receiver's"


def test_a_receiver_without_work_uses_hardly_any_time(node: Node) -> None:
    with node.receiving() as parent:
        processes = [psutil.Process(pid) for pid in (parent.pid, *children(parent.pid))]
        before = [sum(one.cpu_times()[:2]) for one in processes]
        began = os.times().elapsed
        eventually(lambda: os.times().elapsed - began > 6.0, 10)
        used = sum(sum(one.cpu_times()[:2]) for one in processes) - sum(before)
        assert used / (os.times().elapsed - began) < 0.02  # of one core, all processes together
