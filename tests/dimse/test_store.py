"""What is sent arrives as it is: every byte of the data set, in its own transfer syntax, with a result an image."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import generate_uid

from dimse import Instance, store
from dimse.store import associations
from tests.dimse.conftest import patient
from tests.peers import Dcmqrscp, Orthanc, ScriptedSCP, StoreSCP
from tests.peers.images import dataset_bytes, describe, make_series

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"

# One real file for each transfer syntax that pydicom brings along.
EVERY_SYNTAX = [
    "CT_small.dcm",  # Explicit VR Little Endian
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "image_dfl.dcm",  # Deflated
    "MR_small_RLE.dcm",
    "SC_rgb_jpeg_gdcm.dcm",  # JPEG Lossless SV1
    "JPGExtended.dcm",
    "SC_rgb_small_odd_jpeg.dcm",  # JPEG Baseline
    "MR_small_jpeg_ls_lossless.dcm",
    "JPEGLSNearLossless_08.dcm",
    "GDCMJ2K_TextGBR.dcm",  # JPEG 2000 Lossless
    "693_J2KI.dcm",  # JPEG 2000
]


def of_every_syntax(folder: Path) -> list[Instance]:
    """Write one image per transfer syntax, with a SOP Instance UID of its own, and describe them."""
    folder.mkdir()
    instances = []
    for name in EVERY_SYNTAX:
        image = pydicom.dcmread(TEST_FILES / name)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        for keyword in (
            "StudyInstanceUID",
            "SeriesInstanceUID",
            "PatientID",
        ):  # without these Orthanc has no place for it
            setattr(image, keyword, image.get(keyword) or generate_uid())
        image.save_as(folder / name)
        instances.append(describe(folder / name))
    return instances


def test_a_series_arrives_in_orthanc_byte_for_byte(tmp_path: Path, orthanc: Orthanc) -> None:
    series = make_series(tmp_path, 5)
    results = list(store(patient(orthanc), series))
    assert [(result.instance, result.status, result.outcome, result.sentence) for result in results] == [
        (instance, 0x0000, "accepted", "") for instance in series
    ]
    for instance in series:
        stored = orthanc.instance_file(instance.sop_instance_uid)
        assert stored is not None
        assert stored.endswith(dataset_bytes(instance))


def test_every_transfer_syntax_passes_unchanged_over_one_association(tmp_path: Path) -> None:
    instances = of_every_syntax(tmp_path / "images")
    assert len({instance.transfer_syntax_uid for instance in instances}) == len(EVERY_SYNTAX)
    with ScriptedSCP(tmp_path) as scp:
        assert {result.outcome for result in store(patient(scp), instances)} == {"accepted"}
        assert scp.associations == 1
        assert scp.kept == {instance.sop_instance_uid: dataset_bytes(instance) for instance in instances}


def test_real_archives_take_every_transfer_syntax(tmp_path: Path, orthanc: Orthanc, storescp: StoreSCP) -> None:
    for server in (orthanc, storescp):
        instances = of_every_syntax(tmp_path / server.name)
        results = {result.instance.path.name: result.outcome for result in store(patient(server), instances)}
        assert results == dict.fromkeys(EVERY_SYNTAX, "accepted")
    for instance in of_every_syntax(tmp_path / "again"):
        assert [result.outcome for result in store(patient(orthanc), [instance])] == ["accepted"]
        stored = orthanc.instance_file(instance.sop_instance_uid)
        assert stored is not None
        # Not compared as bytes: dcmtk writes some sequences and paddings anew when it takes a data set apart.
        sent, kept = pydicom.dcmread(instance.path), pydicom.dcmread(BytesIO(stored))
        assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID, instance.path.name
        assert kept.PixelData == sent.PixelData, instance.path.name


def test_dcmqrscp_takes_a_series(tmp_path: Path, dcmqrscp: Dcmqrscp) -> None:
    series = make_series(tmp_path, 3, size=128)
    assert [result.outcome for result in store(patient(dcmqrscp), series)] == ["accepted"] * 3


@pytest.mark.parametrize("max_pdu", [4096, 16382, 65_536, 0])
def test_pdus_keep_to_the_size_that_the_peer_receives(tmp_path: Path, max_pdu: int) -> None:
    series = make_series(tmp_path / "series", 2)
    with ScriptedSCP(tmp_path, max_pdu=max_pdu) as scp:
        assert [result.outcome for result in store(patient(scp), series)] == ["accepted"] * 2
        assert scp.kept == {instance.sop_instance_uid: dataset_bytes(instance) for instance in series}
        largest = max(size for kind, size in _pdus(scp.wire.read_bytes()) if kind == 0x04)
        assert largest <= (max_pdu or 131_072)


@pytest.mark.parametrize("size", [1, 2, 16375, 16376, 16377, 2 * 16376, 64 * 16376, 64 * 16376 + 1, 3_000_001])
def test_data_sets_of_every_size_arrive_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"head" + bytes(range(251)) * (size // 251) + bytes(size % 251))
    uid = generate_uid()
    instance = Instance(path, CT, uid, "1.2.840.10008.1.2.1", 4)
    with ScriptedSCP(tmp_path) as scp:
        assert [result.outcome for result in store(patient(scp), [instance] * 2)] == ["accepted"] * 2
        assert scp.received == [(uid, path.read_bytes()[4:])] * 2


def test_a_peer_without_the_transfer_syntax_is_a_permanent_refusal_of_these_images_only(tmp_path: Path) -> None:
    instances = of_every_syntax(tmp_path / "images")
    with ScriptedSCP(tmp_path, transfer_syntaxes=["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]) as scp:
        results = {result.instance.path.name: result for result in store(patient(scp), instances)}
    assert {name for name, result in results.items() if result.outcome == "accepted"} == set(EVERY_SYNTAX[:2])
    refused = results["693_J2KI.dcm"]
    assert (refused.outcome, refused.status) == ("permanent", None)
    assert "does not support the transfer syntax" in refused.sentence
    assert "1.2.840.10008.1.2.4.91" in refused.sentence


def test_a_peer_without_the_sop_class_is_a_permanent_refusal(tmp_path: Path) -> None:
    series = make_series(tmp_path / "series", 1, size=128)
    with ScriptedSCP(tmp_path, sop_classes=[MR]) as scp:
        (result,) = store(patient(scp), series)
    assert result.outcome == "permanent"
    assert "does not support the SOP class" in result.sentence


def test_more_than_128_contexts_take_several_associations_and_keep_the_order(tmp_path: Path) -> None:
    (image,) = make_series(tmp_path / "series", 1, size=128)
    classes = [f"1.2.3.{number}" for number in range(300)]
    classes[0], classes[299] = CT, MR
    many = [
        Instance(image.path, sop_class, generate_uid(), image.transfer_syntax_uid, image.dataset_offset)
        for sop_class in classes
    ]
    assert [len(group) for group in associations(many)] == [128, 128, 44]
    with ScriptedSCP(tmp_path, sop_classes=[CT, MR]) as scp:
        results = list(store(patient(scp), many))
        assert scp.associations == 3
    assert [result.instance for result in results] == many
    assert [n for n, result in enumerate(results) if result.outcome == "accepted"] == [0, 299]


@pytest.mark.parametrize("uid", ["", "1.2." + "3" * 200, "1.2/../3", "1.2 3", "1.2.3\x00", "é"])
def test_a_malformed_uid_stops_nothing_else_and_is_not_repeated(tmp_path: Path, orthanc: Orthanc, uid: str) -> None:
    series = make_series(tmp_path, 2, size=128)
    for field in ("sop_class_uid", "sop_instance_uid", "transfer_syntax_uid"):
        malformed = replace(series[0], **{field: uid})
        results = list(store(patient(orthanc), [malformed, series[1]]))
        assert [result.outcome for result in results] == ["permanent", "accepted"]
        assert len(uid) < 2 or uid not in results[0].sentence
        assert [result.outcome for result in store(patient(orthanc), [malformed])] == ["permanent"]


def test_a_file_that_is_gone_or_empty_stops_nothing_else(tmp_path: Path, orthanc: Orthanc) -> None:
    series = make_series(tmp_path, 4, size=128)
    series[1].path.unlink()
    series[2].path.write_bytes(series[2].path.read_bytes()[: series[2].dataset_offset])
    results = list(store(patient(orthanc), series))
    assert [result.outcome for result in results] == ["accepted", "permanent", "permanent", "accepted"]
    assert not any(str(tmp_path) in result.sentence for result in results)


def test_stopping_half_way_leaves_the_peer_with_what_was_sent(tmp_path: Path) -> None:
    series = make_series(tmp_path / "series", 3, size=128)
    with ScriptedSCP(tmp_path) as scp:
        results = store(patient(scp), series)
        next(results)
        results.close()
        assert scp.instances() == [series[0].sop_instance_uid]


def _pdus(wire: bytes) -> list[tuple[int, int]]:
    """Return type and length of every PDU in a recorded byte stream."""
    found, at = [], 0
    while at < len(wire):
        length = int.from_bytes(wire[at + 2 : at + 6], "big")
        found.append((wire[at], length))
        at += 6 + length
    return found
