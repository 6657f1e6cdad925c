"""An echo says whether the peer answers and knows us, and when not, why, in a sentence one can act on."""

from __future__ import annotations

from pathlib import Path

import pytest

from dimse import AssociationError, Peer, echo
from tests.dimse.conftest import cut_off_in_time, impatient, patient
from tests.peers import Dcmqrscp, Listener, Orthanc, ScriptedSCP, StoreSCP, free_port
from tests.peers.scripted import Reject


def test_real_peers_answer(orthanc: Orthanc, storescp: StoreSCP, dcmqrscp: Dcmqrscp) -> None:
    for server in (orthanc, storescp, dcmqrscp):
        echo(patient(server))


def test_a_peer_may_be_given_by_name(orthanc: Orthanc) -> None:
    echo(Peer("localhost", orthanc.dicom_port, orthanc.ae_title))


def test_a_name_that_does_not_resolve_is_said() -> None:
    with pytest.raises(AssociationError) as caught, cut_off_in_time():
        echo(Peer("no-such-host.invalid", 104, "NOBODY", connect_timeout=1))
    assert caught.value.kind == "unreachable"
    assert "name of NOBODY (no-such-host.invalid:104) could not be resolved" in caught.value.sentence


@pytest.mark.parametrize("title", ["", "   ", "A" * 17, "A\\B", "ORTHANÇ", "A\n"])
def test_an_impossible_ae_title_is_refused_before_anything_is_sent(title: str) -> None:
    with pytest.raises(ValueError, match="is no AE title"):
        Peer("127.0.0.1", 104, title)
    with pytest.raises(ValueError, match="is no AE title"):
        Peer("127.0.0.1", 104, "ORTHANC", calling_ae_title=title)


def test_a_port_without_a_listener_is_refused_and_tried_again() -> None:
    port = free_port()
    with pytest.raises(AssociationError) as caught:
        echo(Peer("127.0.0.1", port, "NOBODY"))
    assert (caught.value.kind, caught.value.transient) == ("refused", True)
    assert caught.value.sentence.startswith(f"NOBODY (127.0.0.1:{port}) refused the connection")


def test_orthanc_that_does_not_know_us_is_a_permanent_rejection(tmp_path: Path, orthanc: Orthanc) -> None:
    with Orthanc(tmp_path, DicomCheckCalledAet=True, DicomAlwaysAllowEcho=False) as strict:
        with pytest.raises(AssociationError) as caught:
            echo(Peer("127.0.0.1", strict.dicom_port, "WRONG"))
        assert (caught.value.kind, caught.value.transient) == ("rejected", False)
        assert "called AE title 'WRONG' not recognised" in caught.value.sentence


@pytest.mark.parametrize(
    ("reject", "transient", "says"),
    [
        (
            Reject(1, 1, 3),
            False,
            "calling AE title 'SENDIT' not recognised. Register SENDIT there or set DICOM_AE_TITLE.",
        ),
        (Reject(1, 1, 7), False, "called AE title 'SCRIPTED' not recognised."),
        (Reject(1, 1, 1), False, "no reason given. Will not retry."),
        (Reject(2, 3, 1), True, "it is congested. Will retry."),
        (Reject(2, 3, 2), True, "it has too many associations. Will retry."),
    ],
)
def test_a_rejection_says_why_and_what_to_do(tmp_path: Path, reject: Reject, transient: bool, says: str) -> None:
    with ScriptedSCP(tmp_path, associate=reject) as scp:
        with pytest.raises(AssociationError) as caught:
            echo(patient(scp))
        assert (caught.value.kind, caught.value.transient) == ("rejected", transient)
        assert caught.value.sentence.startswith(f"SCRIPTED (127.0.0.1:{scp.dicom_port}) rejected the association: ")
        assert says in caught.value.sentence


@pytest.mark.parametrize(
    ("manner", "kind"),
    [("silent", "timeout"), ("hangs up", "closed"), ("talks nonsense", "protocol"), ("drips", "timeout")],
)
def test_a_listener_that_speaks_no_dicom_never_holds_us_up(manner: str, kind: str) -> None:
    with Listener(manner) as listener, pytest.raises(AssociationError) as caught, cut_off_in_time():
        echo(impatient(listener))
    assert (caught.value.kind, caught.value.transient) == (kind, True)


@pytest.mark.parametrize(("behaviour", "kind"), [("hang", "timeout"), ("abort", "aborted")])
def test_a_peer_that_fails_while_negotiating(tmp_path: Path, behaviour: str, kind: str) -> None:
    with (
        ScriptedSCP(tmp_path, associate=behaviour) as scp,
        pytest.raises(AssociationError) as caught,
        cut_off_in_time(),
    ):
        echo(impatient(scp))
    assert caught.value.kind == kind


def test_a_peer_stopped_in_its_tracks_is_cut_off_and_answers_when_it_goes_on(own_orthanc: Orthanc) -> None:
    own_orthanc.hang()
    with pytest.raises(AssociationError) as caught, cut_off_in_time():
        echo(impatient(own_orthanc))
    assert caught.value.kind == "timeout"
    own_orthanc.resume()
    echo(patient(own_orthanc))
