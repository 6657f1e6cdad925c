"""What is sent arrives byte for byte, in drops that say where they come from; what is wrong is refused and not kept."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    MRImageStorage,
)

from dimse import AssociationError, Instance, echo, store
from dimse.association import Association
from dimse.messages import C_STORE_RQ, Message, encode_message
from dimse.negotiation import Proposal
from receiver.drops import Handover
from receiver.gate import MOST_INFLATED
from tests.peers.images import dataset_bytes, describe, make_series
from tests.receiver.door import Door, handed_over, proposal, send, send_bytes, source_of
from tests.waiting import eventually


def bytes_of(paths: list[Path]) -> list[bytes]:
    return sorted(dataset_bytes(describe(path)) for path in paths)


def test_images_arrive_as_they_are_and_say_where_they_come_from(door: Door, images: list[Instance]) -> None:
    results = list(store(door.peer(), images))
    assert [result.status for result in results] == [0] * len(images)

    eventually(door.handed_over, what="the hand-over")
    (drop,) = door.handed_over()
    assert bytes_of(door.files()) == sorted(map(dataset_bytes, images))
    said = source_of(drop)
    assert (said["node"], said["name"], said["calling"]) == (7, "ct1", "MODALITY")
    assert (said["address"], said["quiet"]) == ("127.0.0.1", 60.0)
    kept = pydicom.dcmread(door.files()[0])
    assert kept.file_meta.MediaStorageSOPInstanceUID == kept.SOPInstanceUID


@pytest.mark.parametrize(
    "name",
    [
        "JPEG2000.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "image_dfl.dcm",
        "rtdose_rle.dcm",
        "reportsi.dcm",
    ],
)
def test_every_transfer_syntax_is_kept_as_it_came(door: Door, name: str) -> None:
    instance = describe(Path(str(get_testdata_file(name))))
    (result,) = store(door.peer(), [instance])
    assert result.status == 0, result.sentence
    eventually(door.handed_over)
    assert bytes_of(door.files()) == [dataset_bytes(instance)]


def test_while_it_is_not_known_who_may_store_callers_are_told_to_come_again(door: Door) -> None:
    door.guests.known = False
    with pytest.raises(AssociationError) as rejected:
        echo(door.peer())
    assert rejected.value.kind == "rejected"
    assert rejected.value.transient


def test_an_echo_is_answered(door: Door) -> None:
    echo(door.peer())


def test_a_private_storage_class_is_accepted_and_services_that_store_nothing_are_not(door: Door) -> None:
    private = Proposal("1.3.12.2.1107.5.9.1", ("1.2.840.10008.1.2.1",))
    find = Proposal("1.2.840.10008.5.1.4.1.2.2.1", ("1.2.840.10008.1.2.1",))
    palette = Proposal("1.2.840.10008.5.1.4.39.1", ("1.2.840.10008.1.2.1",))
    with Association.open(door.peer(), (private, find, palette)) as association:
        assert association.accepted(private)
        assert not association.accepted(find)
        assert not association.accepted(palette)


def test_the_same_instance_twice_is_kept_twice_and_so_is_one_with_other_content(
    door: Door, images: list[Instance]
) -> None:
    other = dataset_bytes(images[0])[:-2] + b"\x01\x02"
    with Association.open(door.peer(), (proposal(images[0]),)) as association:
        assert send(association, images[0]) == send(association, images[0]) == 0
        assert send_bytes(association, images[0], other) == 0
    eventually(door.handed_over)
    assert bytes_of(door.files()) == sorted([dataset_bytes(images[0])] * 2 + [other])


def test_two_associations_of_one_study_at_once_make_two_drops(door: Door, images: list[Instance]) -> None:
    wanted = (proposal(images[0]),)
    with Association.open(door.peer(), wanted) as one, Association.open(door.peer(), wanted) as two:
        assert [send(one, images[0]), send(two, images[1]), send(one, images[2])] == [0, 0, 0]
    eventually(lambda: len(door.handed_over()) == 2)
    assert sorted(len(list(drop.glob("*.dcm"))) for drop in door.handed_over()) == [1, 2]


def test_an_association_that_stays_open_still_flows(tmp_path: Path, images: list[Instance]) -> None:
    with (
        Door(tmp_path / "door", handover=Handover(idle=0)) as door,
        Association.open(door.peer(), (proposal(images[0]),)) as held,
    ):
        assert send(held, images[0]) == 0
        door.drops.hand_over_idle()
        assert len(door.files()) == 1
        assert send(held, images[1]) == 0


def test_what_was_acknowledged_before_an_abort_is_handed_over(door: Door, images: list[Instance]) -> None:
    association = Association.open(door.peer(), (proposal(images[0]),))
    assert send(association, images[0]) == 0
    association.abort()
    association.connection.close()
    eventually(door.handed_over)
    assert len(door.files()) == 1


def test_what_is_cut_off_in_the_middle_is_not_kept(door: Door, images: list[Instance]) -> None:
    association = Association.open(door.peer(), (proposal(images[0]),))
    assert send(association, images[0]) == 0
    context = association.accepted(proposal(images[1]))
    assert context is not None
    whole = encode_message(
        Message(
            context.context_id,
            {
                "CommandField": C_STORE_RQ,
                "MessageID": 9,
                "AffectedSOPClassUID": images[1].sop_class_uid,
                "AffectedSOPInstanceUID": images[1].sop_instance_uid,
            },
            dataset_bytes(images[1]),
        ),
        16_384,
    )
    association.connection.send(whole[:20_000])
    association.connection.close()
    eventually(door.handed_over)
    assert bytes_of(door.files()) == [dataset_bytes(images[0])]
    eventually(lambda: not list(door.inbox.glob(".receiver-*/parts/*")), what="the end of the part")


@pytest.mark.parametrize(
    ("uid", "status"),
    [
        ("../../../../tmp/escaped", 0x0117),
        ("1.2.\0/3", 0x0117),
        ("1." * 100, 0x0117),
        ("", 0x0117),
        ("1.2.3.4", 0xA900),
    ],
    ids=["up", "nul", "long", "none", "another"],
)
def test_a_uid_that_is_none_or_another_than_the_data_sets_is_refused(
    door: Door, images: list[Instance], uid: str, status: int
) -> None:
    with Association.open(door.peer(), (proposal(images[0]),)) as association:
        assert send(association, images[0], sop_instance_uid=uid) == status
        assert send(association, images[1]) == 0
    eventually(door.handed_over)
    assert bytes_of(door.files()) == [dataset_bytes(images[1])]


def test_another_sop_class_than_the_data_sets_is_refused(door: Door, images: list[Instance]) -> None:
    with Association.open(door.peer(), (proposal(images[0]),)) as association:
        assert send(association, images[0], sop_class_uid=MRImageStorage) == 0xA900
        assert send(association, images[0], sop_class_uid="1.2.840.10008.1.1") == 0x0122


def _nested(depth: int) -> bytes:
    """Return an element with sequences of undefined length inside one another."""
    begin = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    end = struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    return begin * depth + end * depth


@pytest.mark.parametrize("wrong", ["cut short", "deep", "garbage"])
def test_a_data_set_that_is_no_whole_one_is_refused_and_the_next_is_taken(
    door: Door, images: list[Instance], wrong: str
) -> None:
    whole = dataset_bytes(images[0])
    at = whole.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"))
    dataset = {
        "cut short": whole[:-100],
        "deep": whole[:at] + _nested(20_000) + whole[at:],
        "garbage": b"\xff" * 5000,
    }[wrong]
    with Association.open(door.peer(), (proposal(images[0]),)) as association:
        assert send_bytes(association, images[0], dataset) == 0xC000
        assert send(association, images[1]) == 0
        assert [one.refused for one in door.receiver.live()] == [1]
    eventually(door.handed_over)
    assert bytes_of(door.files()) == [dataset_bytes(images[1])]


def _deflated(instance: Instance, dataset: bytes) -> tuple[Instance, bytes]:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    changed = Instance(
        instance.path,
        instance.sop_class_uid,
        instance.sop_instance_uid,
        DeflatedExplicitVRLittleEndian,
        instance.dataset_offset,
    )
    return changed, deflater.compress(dataset) + deflater.flush()


def test_a_deflated_data_set_is_checked_and_one_that_is_cut_short_refused(door: Door, images: list[Instance]) -> None:
    instance, dataset = _deflated(images[0], dataset_bytes(images[0]))
    with Association.open(door.peer(), (proposal(instance),)) as association:
        assert send_bytes(association, instance, dataset[:-50]) == 0xC000
        assert send_bytes(association, instance, dataset, sop_instance_uid="1.2.3") == 0xA900
        assert send_bytes(association, instance, dataset) == 0


def test_a_deflate_bomb_is_not_inflated_to_its_end(door: Door, images: list[Instance]) -> None:
    size = 2 * MOST_INFLATED
    zeros = struct.pack("<HH2sHL", 0x7FE1, 0x0010, b"OB", 0, size) + bytes(size)
    instance, dataset = _deflated(images[0], dataset_bytes(images[0]) + zeros)
    broken_at_the_end = dataset[:-20]
    with Association.open(door.peer(), (proposal(instance),)) as association:
        assert send_bytes(association, instance, broken_at_the_end) == 0


def test_only_the_wanted_sop_classes_are_accepted(tmp_path: Path, images: list[Instance]) -> None:
    wanted, unwanted = proposal(images[0]), Proposal(MRImageStorage, ("1.2.840.10008.1.2.1",))
    with (
        Door(tmp_path / "door", sop_classes=[CTImageStorage]) as door,
        Association.open(door.peer(), (wanted, unwanted)) as association,
    ):
        assert not association.accepted(unwanted)
        assert send(association, images[0]) == 0
        assert send(association, images[0], sop_class_uid=MRImageStorage) == 0x0122


def test_only_the_wanted_modalities_are_taken(tmp_path: Path, images: list[Instance]) -> None:
    mr = describe(Path(str(get_testdata_file("MR_small.dcm"))))
    with Door(tmp_path / "door", modalities=["MR", "PT"]) as door:
        assert [result.status for result in store(door.peer(), [images[0], mr])] == [0xC001, 0]


def test_without_room_images_are_refused_and_come_again(door: Door, images: list[Instance]) -> None:
    door.room = False
    with Association.open(door.peer(), (proposal(images[0]),)) as association:
        assert send(association, images[0]) == 0xA700
        door.room = True
        assert send(association, images[0]) == 0
    assert "no-room" in door.guests.reasons()


def test_room_that_ends_in_the_middle_of_a_large_image_ends_that_image(tmp_path: Path) -> None:
    (large,) = make_series(tmp_path / "large", 1, 4096)  # 33 MB
    with Door(tmp_path / "door") as door, Association.open(door.peer(), (proposal(large),)) as association:
        looks = iter([True, False])
        door.receiver.offer.terms.has_room = lambda: next(looks, True)
        assert send(association, large) == 0xA700
        assert send(association, large) == 0
    eventually(lambda: len(handed_over(door.inbox)) == 1)


def test_an_image_that_is_larger_than_anything_may_be_is_refused(tmp_path: Path, images: list[Instance]) -> None:
    with Door(tmp_path / "door") as door, Association.open(door.peer(), (proposal(images[0]),)) as association:
        door.receiver.offer.terms.largest = 10_000
        assert send(association, images[0]) == 0xC000


def test_what_is_not_offered_ends_the_association_and_keeps_what_came_before(
    door: Door, images: list[Instance]
) -> None:
    association = Association.open(door.peer(), (proposal(images[0]),))
    context = association.accepted(proposal(images[0]))
    assert context is not None
    assert send(association, images[0]) == 0
    with pytest.raises(AssociationError):
        association.answer(
            0x8020, association.ask(context, {"CommandField": 0x0020}, b"\x08\x00\x52\x00\x02\x00\x00\x00S ")
        )
    association.connection.close()
    eventually(door.handed_over)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(uid=st.text(max_size=120), dataset=st.binary(min_size=1, max_size=300))
def test_whatever_is_sent_nothing_is_written_outside_and_the_next_image_is_taken(
    door: Door, images: list[Instance], uid: str, dataset: bytes
) -> None:
    with Association.open(door.peer(), (proposal(images[0]),)) as association:
        assert send_bytes(association, images[0], dataset, sop_instance_uid=uid) != 0
        assert send(association, images[0]) == 0
    assert {path.name for path in door.inbox.parent.iterdir()} == {"received", "slots"}
    assert all(path.name.startswith(("received-", ".receiver-")) for path in door.inbox.iterdir())
