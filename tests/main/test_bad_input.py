"""What arrives in a hospital: each is accounted for with its reason, and one bad item never stops the others."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from main import work
from main.models import Batch, Destination, FileOutcome, Image, Series, Study, Subject
from main.pipeline import register
from main.pipeline.take import take
from tests.main.conftest import Node, copy_of, counts_add_up, one, statuses

Outcome = FileOutcome.Outcome


def aged(path: Path) -> None:
    """Make a file look as if it was written a while ago, so that it does not count as growing."""
    os.utime(path, (time.time() - 3600, time.time() - 3600))


def saved(ds: Dataset, folder: Path, name: str = "a.dcm") -> Path:
    path = folder / name
    ds.save_as(path)
    aged(path)
    return path


def beside_a_good_one(fill: Callable[[Path], Any]) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        copy_of("MR_small.dcm")(folder)
        fill(folder)

    return both


def write(content: bytes, name: str = "x.dcm") -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / name).write_bytes(content)
        aged(folder / name)

    return fill


def truncated(folder: Path) -> None:
    content = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    write(content[: len(content) - 1000])(folder)


def locked_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        archive.writestr("a.dcm", b"x" * 100)
    content = bytearray((folder / "images.zip").read_bytes())
    content[6] |= 1  # the flag "encrypted" of the first entry
    write(bytes(content), "images.zip")(folder)


@pytest.mark.parametrize(
    ("fill", "outcome", "code"),
    [
        (write(b""), Outcome.NOT_DICOM, "empty"),
        (truncated, Outcome.UNREADABLE, "truncated"),
        (write(b"Dear colleague, the images follow by post."), Outcome.NOT_DICOM, "not-dicom"),
        (write(b"%PDF-1.4 " + b"0" * 4000, "report.pdf"), Outcome.NOT_DICOM, "not-dicom"),
        (locked_zip, Outcome.NOT_DICOM, None),
        (write(b"\0" * 128 + b"DICM"), Outcome.UNREADABLE, None),
        (write(b"\0" * 128 + b"DICM" + os.urandom(3000)), Outcome.UNREADABLE, None),
    ],
    ids=["zero bytes", "truncated", "letter", "pdf", "password zip", "nothing behind DICM", "noise behind DICM"],
)
def test_a_file_that_is_no_image_is_held_with_its_reason_and_the_others_go_out(
    node: Node, fill: Callable[[Path], None], outcome: Outcome, code: str | None
) -> None:
    batch = node.drop("d", beside_a_good_one(fill))
    held = one(batch)
    assert held.outcome == outcome
    assert held.held
    assert code in (None, held.code)
    assert held.sentence
    assert statuses(batch) == {"SENT": 1}
    assert len(node.out()) == 1
    assert counts_add_up(batch)
    assert (batch.folder / "d").exists(), "a held file is kept"


def test_a_dicomdir_is_accounted_for_and_not_sent(node: Node) -> None:
    batch = node.drop("d", beside_a_good_one(copy_of("DICOMDIR")))
    assert (one(batch).outcome, one(batch).held) == (Outcome.DICOMDIR, False)
    assert statuses(batch) == {"SENT": 1}


def test_system_files_are_named_as_such(node: Node) -> None:
    def fill(folder: Path) -> None:
        copy_of("CT_small.dcm")(folder)
        for name in ("Thumbs.db", ".DS_Store", "._CT_small.dcm"):
            (folder / name).write_bytes(b"x")
        (folder / "@eaDir").mkdir()
        (folder / "@eaDir" / "y").write_bytes(b"y")

    batch = node.drop("d", fill)
    assert FileOutcome.objects.filter(batch=batch, outcome=Outcome.SYSTEM, held=False).count() == 4
    assert counts_add_up(batch)


def test_links_are_not_followed(node: Node, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere.dcm"
    shutil.copyfile(str(get_testdata_file("CT_small.dcm")), secret)
    batch = node.drop("d", lambda folder: os.symlink(secret, folder / "link.dcm"))
    assert one(batch).outcome == Outcome.UNREADABLE
    assert not node.out()
    assert secret.exists()


@pytest.mark.parametrize(
    ("keyword", "code"),
    [
        ("StudyInstanceUID", "no-study-instance-uid"),
        ("SeriesInstanceUID", "no-series-instance-uid"),
        ("SOPInstanceUID", "no-sop-instance-uid"),
    ],
)
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_an_image_without_a_uid_is_held(node: Node, ct: Dataset, keyword: str, code: str, how: str) -> None:
    if how == "missing":
        del ct[keyword]
    else:
        setattr(ct, keyword, "")
    batch = node.drop("d", lambda folder: saved(ct, folder))
    assert (one(batch).code, one(batch).held) == (code, True)
    assert counts_add_up(batch)


@pytest.mark.parametrize("uid", ["../../../etc/passwd", "1.2 .3", "1." * 100 + "1", "1.2.3\\4.5.6", "/abs", "1.2.x"])
def test_a_uid_that_is_none_is_held_and_reaches_no_path(node: Node, ct: Dataset, uid: str, recwarn: Any) -> None:
    ct.SOPInstanceUID = uid
    ct.StudyInstanceUID = uid if uid == "/abs" else ct.StudyInstanceUID
    batch = node.drop("d", lambda folder: saved(ct, folder))
    assert one(batch).held
    assert one(batch).code.startswith("bad-")
    assert uid not in one(batch).sentence
    assert not node.out()


def test_an_image_without_modality_goes_out(node: Node, ct: Dataset) -> None:
    del ct.Modality
    batch = node.drop("d", lambda folder: saved(ct, folder))
    assert statuses(batch) == {"SENT": 1}


def test_a_file_without_preamble_comes_out_as_a_proper_file(node: Node, ct: Dataset) -> None:
    def fill(folder: Path) -> None:
        content = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
        write(content[132:])(folder)

    batch = node.drop("d", fill)
    assert statuses(batch) == {"SENT": 1}
    assert dcmread(node.out()[0]).Rows == ct.Rows


def test_two_patients_in_one_folder_get_two_pseudonyms(node: Node, ct: Dataset) -> None:
    def fill(folder: Path) -> None:
        saved(ct, folder)
        ct.PatientID = "another"
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(ct, keyword, generate_uid())
        saved(ct, folder, "b.dcm")

    node.drop("d", fill)
    patients = {dcmread(path).PatientID for path in node.out()}
    assert len(patients) == 2
    assert Subject.objects.count() == 2


def test_a_study_of_two_patients_is_never_merged(node: Node, ct: Dataset) -> None:
    node.drop("first", lambda folder: saved(ct, folder))
    ct.PatientID, ct.SOPInstanceUID = "somebody else", generate_uid()
    batch = node.drop("second", lambda folder: saved(ct, folder))
    assert one(batch).code == "study-of-another-patient"
    assert one(batch).held
    assert len(node.out()) == 1


def test_the_same_folder_twice_sends_nothing_twice(node: Node) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    batch = node.drop("d", copy_of("CT_small.dcm"))
    assert (one(batch).outcome, one(batch).held) == (Outcome.DUPLICATE, False)
    assert Image.objects.count() == 1
    assert counts_add_up(batch)


def test_a_duplicate_that_travelled_otherwise_is_a_duplicate(node: Node, ct: Dataset) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    ct.file_meta.SourceApplicationEntityTitle = "OTHERWAY"
    ct.preamble = b"x" * 128
    assert one(node.drop("e", lambda folder: saved(ct, folder))).outcome == Outcome.DUPLICATE


def test_the_same_uid_with_other_pixels_is_held_with_the_names_of_what_differs(node: Node, ct: Dataset) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    pixels = bytearray(ct.PixelData)
    pixels[100] ^= 1
    ct.PixelData = bytes(pixels)
    ct.PatientComments = "CANARY COMMENT"
    batch = node.drop("e", lambda folder: saved(ct, folder))
    held = one(batch)
    assert (held.outcome, held.held) == (Outcome.CONFLICT, True)
    assert held.detail["differing"] == ["PatientComments", "PixelData"]
    assert "CANARY" not in str(held.detail) + held.sentence


def test_a_late_image_gets_the_same_pseudonyms_and_goes_alone(node: Node, ct: Dataset) -> None:
    node.drop("d", lambda folder: saved(ct, folder))
    first = dcmread(node.out()[0])
    before = node.out()[0].stat().st_mtime_ns
    ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    node.drop("e", lambda folder: saved(ct, folder))
    assert len(node.out()) == 2
    late = next(ds for ds in map(dcmread, node.out()) if ds.SOPInstanceUID != first.SOPInstanceUID)
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID"):
        assert late[keyword].value == first[keyword].value
    kept = next(path for path in node.out() if path.stem == first.SOPInstanceUID)
    assert kept.stat().st_mtime_ns == before, "the first one was not sent again"


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", "Ünïcödé^Jürgen=山田^太郎"),
        ("ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 100", "Wałęsa"),  # cannot be written in it: the charset is wrong
        ("NO SUCH CHARSET", "Buc^Jérôme"),
    ],
)
def test_names_in_any_charset_are_gone_from_the_output(
    node: Node, ct: Dataset, character_set: str, name: str, recwarn: Any
) -> None:
    raw = name.encode("utf-8")
    ct.SpecificCharacterSet = "ISO_IR 192"
    ct.PatientName = name
    ct[0x00080005].value = character_set if character_set != "ISO 2022 IR 87" else ["", "ISO 2022 IR 87"]

    def fill(folder: Path) -> None:
        ct.save_as(folder / "a.dcm")

    batch = node.drop("d", fill)
    assert set(statuses(batch)) <= {"SENT", "QUARANTINED"}
    for path in node.out():
        assert raw not in path.read_bytes()
        assert dcmread(path).PatientName == dcmread(path).PatientID
    assert counts_add_up(batch)


def test_a_very_long_name_is_no_problem(node: Node, ct: Dataset, recwarn: Any) -> None:
    ct.PatientName = "^".join(["VERYLONGNAME" * 20] * 3)
    batch = node.drop("d", lambda folder: saved(ct, folder))
    assert statuses(batch) == {"SENT": 1}
    assert b"VERYLONG" not in node.out()[0].read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "image_dfl.dcm",
        "SC_rgb_jpeg_dcmd.dcm",
        "JPGExtended.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "JPEG2000.dcm",
        "MR_small_RLE.dcm",
        "rtdose_rle.dcm",
        "SC_rgb_rle_2frame.dcm",
        "waveform_ecg.dcm",
        "rtplan.dcm",
        "reportsi.dcm",
    ],
)
def test_every_transfer_syntax_comes_out_as_it_came_in(node: Node, name: str, tmp_path: Path) -> None:
    recipe = tmp_path / "pixels-as-they-are.yaml"
    recipe.write_text("name: as they are\nprofile: basic\npixels: keep\n")
    Destination.objects.update(recipe=str(recipe))
    batch = node.drop("d", copy_of(name))
    assert statuses(batch) == {"SENT": 1}
    source, out = dcmread(str(get_testdata_file(name))), dcmread(node.out()[0])
    assert out.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID
    assert out.SOPClassUID == source.SOPClassUID
    if "PixelData" in source:
        assert out.PixelData == source.PixelData


def test_a_deflate_bomb_is_held_without_inflating_it(node: Node, ct: Dataset) -> None:
    ct.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"

    def fill(folder: Path) -> None:
        whole = saved(ct, folder)
        content = whole.read_bytes()
        end_of_meta = 144 + int.from_bytes(content[140:144], "little")
        packer = zlib.compressobj(9, wbits=-15)
        bomb = b"".join(packer.compress(b"\0" * (1 << 24)) for _ in range(160)) + packer.flush()
        whole.write_bytes(content[:end_of_meta] + bomb)
        aged(whole)

    batch = node.drop("d", fill)
    assert one(batch).held
    assert one(batch).outcome == Outcome.UNREADABLE


def test_a_folder_that_still_grows_waits_and_loses_nothing(node: Node, settings: Any) -> None:
    content = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()

    def half(folder: Path) -> None:
        copy_of("MR_small.dcm")(folder)
        (folder / "half.dcm").write_bytes(content[:20000])

    batch = node.drop("d", half)
    assert batch.error_code == "still-growing"
    assert batch.due_at is not None
    assert statuses(batch) == {"SENT": 1}, "the complete one does not wait"
    with open(batch.folder / "d" / "half.dcm", "ab") as file:
        file.write(content[20000:])
    Batch.objects.update(due_at=batch.received_at)
    work.drain(seconds=30)
    batch.refresh_from_db()
    assert statuses(batch) == {"SENT": 2}
    assert counts_add_up(batch)


def test_a_half_copied_file_that_grows_no_more_is_held_as_truncated(node: Node) -> None:
    batch = node.drop("d", truncated)
    assert one(batch).code == "truncated"


def test_ten_thousand_files_are_all_accounted_for(node: Node) -> None:
    def fill(folder: Path) -> None:
        for number in range(10_000):
            (folder / f"{number}.txt").write_bytes(b"not an image")
        copy_of("CT_small.dcm")(folder)

    batch = node.drop("big", fill)
    assert batch.files == 10_001
    assert FileOutcome.objects.filter(batch=batch).count() == 10_000
    assert statuses(batch) == {"SENT": 1}
    assert counts_add_up(batch)


def test_many_series_in_one_folder_are_told_apart(node: Node, ct: Dataset) -> None:
    def fill(folder: Path) -> None:
        for number in range(6):
            if number % 2 == 0:
                ct.SeriesInstanceUID = generate_uid()
            if number == 4:
                ct.StudyInstanceUID = generate_uid()
            ct.SOPInstanceUID = generate_uid()
            saved(ct, folder, f"{number}.dcm")

    batch = node.drop("d", fill)
    assert (Study.objects.count(), Series.objects.count()) == (2, 3)
    assert statuses(batch) == {"SENT": 6}


def test_a_file_that_kills_its_worker_is_set_aside_after_some_deaths(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The death is played by an exception that nothing catches, as a killed process leaves no other trace."""

    class Killed(BaseException):
        pass

    real = register.read_structure

    def deadly(path: Path, *rest: Any) -> Any:
        if path.name == "poison.dcm":
            raise Killed
        return real(path, *rest)

    monkeypatch.setattr(register, "read_structure", deadly)

    def fill(folder: Path) -> None:
        copy_of("CT_small.dcm")(folder)
        copy_of("MR_small.dcm", "poison.dcm")(folder)

    batch = node.hand_over("d", fill)
    for _ in range(10):
        Batch.objects.update(due_at=batch.received_at)
        try:
            work.drain(seconds=30)
            break
        except Killed:
            continue
    batch.refresh_from_db()
    assert one(batch).code == "killed-worker"
    assert statuses(batch) == {"SENT": 1}
    assert counts_add_up(batch)


def test_odd_file_names_are_taken_and_shown_nowhere(node: Node) -> None:
    def fill(folder: Path) -> None:
        shutil.copyfile(str(get_testdata_file("CT_small.dcm")), os.fsencode(folder) + b"/DOE^J\xff\xfe.dcm")
        (folder / ("x" * 200)).write_bytes(b"not an image")
        aged(folder / ("x" * 200))

    batch = node.drop("DOE JANE 1970", fill)
    assert statuses(batch) == {"SENT": 1}
    assert counts_add_up(batch)


def test_explicit_files_over_64_kib_in_short_length_elements(node: Node, ct: Dataset) -> None:
    ct.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ct.PatientComments = "y" * 70_000
    batch = node.drop("d", lambda folder: saved(ct, folder))
    assert set(statuses(batch)) <= {"SENT", "QUARANTINED"}
    assert counts_add_up(batch)


def test_an_empty_folder_is_a_drop_of_nothing(node: Node) -> None:
    (node.inbox / "empty").mkdir()
    batch = take([node.inbox / "empty"], node.inbox)
    assert batch is not None
    work.drain(seconds=10)
    batch.refresh_from_db()
    assert (batch.stage, batch.files) == ("", 0)
