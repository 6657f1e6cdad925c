"""Whatever a peer does in the middle of an image: every image has a result, and nobody waits longer than agreed."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from dimse import AssociationError, Instance, store
from dimse.status import STORAGE, meaning_of
from tests.dimse.conftest import SILENCE, cut_off_in_time, impatient, patient
from tests.peers import Orthanc, ScriptedSCP, StoreSCP
from tests.peers.images import make_series
from tests.peers.scripted import ABORT, COERCED, DROP_THE_ANSWER, FULL, HANG, LIE, Answer, Fault

LOST = ["accepted", "unknown", "transient", "transient"]


@pytest.fixture
def series(tmp_path: Path) -> list[Instance]:
    """Four images of 530 kB."""
    return make_series(tmp_path / "series", 4)


def _large(folder: Path) -> Instance:
    """Return an instance of 40 MB, more than the kernels of both sides hold."""
    path = folder / "large"
    with path.open("wb") as file:
        file.truncate(40 << 20)
    return Instance(path, "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", "1.2.840.10008.1.2.1", 0)


@pytest.mark.parametrize("fault", [HANG, ABORT, DROP_THE_ANSWER, Answer(sop_instance_uid="1.2.3")])
def test_the_image_in_hand_is_unknown_and_the_rest_not_attempted(
    tmp_path: Path, series: list[Instance], fault: Answer | Fault
) -> None:
    with ScriptedSCP(tmp_path, script={1: fault}) as scp, cut_off_in_time():
        results = list(store(impatient(scp), series))
        assert [result.outcome for result in results] == LOST
        assert [result.instance for result in results] == series
        assert all(result.status is None and result.sentence for result in results[1:])
        assert len(scp.received) == 2


def test_a_peer_that_stops_reading_in_the_middle_of_an_image(tmp_path: Path, series: list[Instance]) -> None:
    large = _large(tmp_path)
    with ScriptedSCP(tmp_path, stop_reading_after=700_000) as scp, cut_off_in_time():
        results = list(store(impatient(scp), [series[0], large, series[1]]))
        assert [result.outcome for result in results] == ["accepted", "unknown", "transient"]
        assert "silent" in results[1].sentence


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (FULL, "transient"),
        (Answer(0xC000, keep=False), "permanent"),
        (Answer(0x0122, keep=False), "permanent"),
        (Answer(0xA900, keep=False), "permanent"),
        (COERCED, "warning"),
        (Answer(0xB006), "warning"),
    ],
)
def test_a_status_concerns_its_image_only(tmp_path: Path, series: list[Instance], answer: Answer, outcome: str) -> None:
    with ScriptedSCP(tmp_path, script={1: answer}) as scp:
        results = list(store(patient(scp), series))
    assert [result.outcome for result in results] == ["accepted", outcome, "accepted", "accepted"]
    assert results[1].status == answer.status
    assert f"answered 0x{answer.status:04X}, " in results[1].sentence


def test_a_peer_that_lies_is_accepted_here_and_found_out_by_a_proof(tmp_path: Path, series: list[Instance]) -> None:
    with ScriptedSCP(tmp_path, script={2: LIE}) as scp:
        assert {result.outcome for result in store(patient(scp), series)} == {"accepted"}
        assert set(scp.instances()) == {instance.sop_instance_uid for n, instance in enumerate(series) if n != 2}


def test_a_large_image_may_take_the_peer_longer_than_a_small_one(tmp_path: Path, series: list[Instance]) -> None:
    with ScriptedSCP(tmp_path, default=Answer(after=1.5 * SILENCE)) as scp:
        assert [result.outcome for result in store(impatient(scp), [_large(tmp_path)])] == ["accepted"]
        assert [result.outcome for result in store(impatient(scp), series[:1])] == ["unknown"]


@pytest.mark.parametrize("option", ["--abort-after", "--abort-during", "--refuse"])
def test_storescp_that_was_told_to_fail(tmp_path: Path, series: list[Instance], option: str) -> None:
    with StoreSCP(tmp_path / "scp", "+xa", option) as scp, cut_off_in_time():
        if option == "--refuse":
            with pytest.raises(AssociationError) as caught:
                list(store(impatient(scp), series))
            assert caught.value.kind == "rejected"
        else:
            outcomes = [result.outcome for result in store(impatient(scp), series)]
            assert outcomes == ["unknown", "transient", "transient", "transient"]


def test_orthanc_killed_between_two_images_loses_none_of_those_it_accepted(
    own_orthanc: Orthanc, series: list[Instance]
) -> None:
    outcomes = []
    with cut_off_in_time(5):
        for result in store(impatient(own_orthanc), series):
            outcomes.append(result.outcome)
            if len(outcomes) == 2:
                own_orthanc.kill()
    assert outcomes == ["accepted", "accepted", "unknown", "transient"]
    own_orthanc.start()
    assert own_orthanc.instances() == sorted(instance.sop_instance_uid for instance in series[:2])


def test_orthanc_stopped_in_its_tracks_is_cut_off(own_orthanc: Orthanc, series: list[Instance]) -> None:
    results = store(impatient(own_orthanc), series)
    assert next(results).outcome == "accepted"
    own_orthanc.hang()
    with cut_off_in_time():
        assert [result.outcome for result in results] == LOST[1:]
    own_orthanc.resume()


def test_a_slow_reader_is_not_cut_off_while_it_reads(tmp_path: Path) -> None:
    with ScriptedSCP(tmp_path, pause_per_pdu=0.002) as scp:
        started = time.monotonic()
        assert [result.outcome for result in store(impatient(scp), [_large(tmp_path)])] == ["accepted"]
        assert time.monotonic() - started > 2 * SILENCE


def test_a_reader_that_only_trickles_is_cut_off(tmp_path: Path) -> None:
    with ScriptedSCP(tmp_path, pause_per_pdu=0.02) as scp, cut_off_in_time(SILENCE + 4):
        (result,) = store(impatient(scp, slowest_rate=20 << 20), [_large(tmp_path)])
        assert result.outcome == "unknown"
        assert "too slow" in result.sentence


def test_every_status_has_an_outcome_and_words() -> None:
    for status in range(0x10000):
        meaning = meaning_of(status, STORAGE)
        assert meaning.outcome in {"accepted", "warning", "transient", "permanent"}, hex(status)
        assert meaning.meaning
        assert (meaning.outcome == "accepted") == (status == 0x0000), hex(status)


def _owns_the_loopback() -> bool:
    """Say whether this is a network namespace with nothing but a loopback, which a test may slow down and cut."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=False)
    return links.returncode == 0 and links.stdout.count("\n") == 1


own_loopback = pytest.mark.skipif(not _owns_the_loopback(), reason="slows or cuts the loopback: run in unshare -rn")


@own_loopback
def test_a_link_that_swallows_everything_is_cut_off(own_orthanc: Orthanc, series: list[Instance]) -> None:
    results = store(impatient(own_orthanc), series)
    assert next(results).outcome == "accepted"
    subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
    try:
        with cut_off_in_time():
            assert [result.outcome for result in results] == LOST[1:]
    finally:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@own_loopback
def test_a_slow_link_is_waited_for_while_the_peer_acknowledges(tmp_path: Path, series: list[Instance]) -> None:
    """The kernel takes an image at once and needs four seconds for it: that is no silence of the peer."""
    shape = ["tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "1mbit", "burst", "70kb", "latency", "5s"]
    with ScriptedSCP(tmp_path) as scp:
        subprocess.run(shape, check=True)
        try:
            started = time.monotonic()
            (result,) = store(impatient(scp), series[:1])
            assert time.monotonic() - started > 1.5 * SILENCE
        finally:
            subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"], check=True)
    assert result.outcome == "accepted"
