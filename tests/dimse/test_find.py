"""A proof by C-FIND says of each image whether the peer has it, and never more than was asked."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.uid import generate_uid

from dimse import (
    AssociationError,
    Instance,
    NotSupported,
    Peer,
    RequestFailed,
    count_instances,
    find_instances,
    store,
)
from tests.dimse.conftest import cut_off_in_time, impatient, patient
from tests.peers import Dcmqrscp, Listener, Orthanc, ScriptedSCP, StoreSCP
from tests.peers.images import make_series
from tests.peers.scripted import LIE


def ask(peer: Peer, instances: list[Instance], *more: str) -> set[str]:
    """Ask for the images of one series, and for some that never were."""
    image = pydicom.dcmread(instances[0].path, stop_before_pixels=True)
    wanted = [*(instance.sop_instance_uid for instance in instances), *more]
    return find_instances(peer, image.StudyInstanceUID, image.SeriesInstanceUID, wanted)


@pytest.mark.parametrize("count", [1, 250])
def test_real_archives_have_what_they_were_sent_and_not_the_rest(
    tmp_path: Path, orthanc: Orthanc, dcmqrscp: Dcmqrscp, count: int
) -> None:
    series = make_series(tmp_path, count, size=128)
    sent = series[: max(1, count - 3)]
    for server in (orthanc, dcmqrscp):
        peer = patient(server)
        assert all(result.outcome == "accepted" for result in store(peer, sent))
        assert ask(peer, series, generate_uid()) == {instance.sop_instance_uid for instance in sent}


def test_an_image_of_another_series_is_not_found(tmp_path: Path, orthanc: Orthanc) -> None:
    one, other = make_series(tmp_path / "a", 1, size=128), make_series(tmp_path / "b", 1, size=128)
    assert all(result.outcome == "accepted" for result in store(patient(orthanc), one + other))
    assert ask(patient(orthanc), one, other[0].sop_instance_uid) == {one[0].sop_instance_uid}


def test_a_peer_that_lied_is_found_out(tmp_path: Path) -> None:
    series = make_series(tmp_path / "series", 3, size=128)
    with ScriptedSCP(tmp_path, script={1: LIE}) as scp:
        assert all(result.outcome == "accepted" for result in store(patient(scp), series))
        assert ask(patient(scp), series) == {series[0].sop_instance_uid, series[2].sop_instance_uid}


def test_nothing_asked_is_nothing_found_and_no_association() -> None:
    assert find_instances(Peer("no-such-host.invalid", 104, "NOBODY"), "1.2", "1.2.3", []) == set()


def test_a_peer_without_queries_is_said(tmp_path: Path, storescp: StoreSCP) -> None:
    series = make_series(tmp_path, 1, size=128)
    with pytest.raises(NotSupported) as caught:
        ask(patient(storescp), series)
    assert "does not support the SOP class (Study Root C-FIND)" in caught.value.sentence


@pytest.mark.parametrize(("status", "transient"), [(0xA700, True), (0xA900, False), (0xC001, False), (0x0124, False)])
def test_a_failed_query_is_an_error_and_not_an_empty_answer(tmp_path: Path, status: int, transient: bool) -> None:
    series = make_series(tmp_path / "series", 1, size=128)
    with ScriptedSCP(tmp_path, find_status=status) as scp:
        with pytest.raises(RequestFailed) as caught:
            ask(patient(scp), series)
        assert (caught.value.status, caught.value.transient) == (status, transient)


def test_a_peer_that_answers_with_matches_for_ever_is_left(tmp_path: Path) -> None:
    series = make_series(tmp_path / "series", 2, size=128)
    with ScriptedSCP(tmp_path, endless_matches=True) as scp:
        assert all(result.outcome == "accepted" for result in store(patient(scp), series))
        with pytest.raises(AssociationError) as caught:
            ask(patient(scp), series)
        assert caught.value.kind == "protocol"


def test_a_silent_peer_is_cut_off(tmp_path: Path) -> None:
    series = make_series(tmp_path / "series", 1, size=128)
    with Listener() as listener, pytest.raises(AssociationError) as caught, cut_off_in_time():
        ask(impatient(listener), series)
    assert caught.value.kind == "timeout"


@pytest.mark.filterwarnings("error")
def test_a_malformed_uid_is_asked_for_like_any_other_and_never_printed(
    tmp_path: Path, orthanc: Orthanc, caplog: pytest.LogCaptureFixture
) -> None:
    assert find_instances(patient(orthanc), "1.2.03", "not a UID", ["1.2..3", "A^B"]) == set()
    assert "A^B" not in caplog.text


@pytest.mark.parametrize("says_the_number", [True, False])
def test_real_archives_say_how_many_images_a_study_has(
    tmp_path: Path, orthanc: Orthanc, dcmqrscp: Dcmqrscp, says_the_number: bool
) -> None:
    server = orthanc if says_the_number else dcmqrscp
    series = make_series(tmp_path, 5, size=128)
    assert all(result.outcome == "accepted" for result in store(patient(server), series))
    study = pydicom.dcmread(series[0].path, stop_before_pixels=True).StudyInstanceUID
    assert count_instances(patient(server), study) == 5
    assert count_instances(patient(server), generate_uid()) == 0
