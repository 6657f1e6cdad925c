"""What was released leads back to its original, element for element, for those who may; and to nothing once forgotten."""

from __future__ import annotations

import io
import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file, get_testdata_files
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from deidentify import Refused, read_structure, text
from deidentify.dictionary import keyword_of
from deidentify.gate import SOP_INSTANCE
from main import identity, vault, work
from main.forgetting import expire
from main.models import Destination, Event, Image, LedgerEntry, PatientNumber, Pseudonym, Series, Subject, VaultEntry
from main.pipeline.release import deidentifier
from main.pipeline.replay import replay
from tests.main.conftest import Node, copy_of
from tests.main.test_deliver import send_to
from tests.peers import Orthanc
from tests.system.test_node import without_search

REASON = "Radiology asked for it."


@pytest.fixture
def allowed(settings: Any) -> None:
    settings.SENDIT_RESTORE = True


@pytest.fixture
def tidy(settings: Any) -> None:
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0


def restored(source: Path, target: Path, code: int = 0) -> dict[str, Any]:
    """What the command says."""
    said = io.StringIO()
    try:
        call_command("restore", source, target, reason=REASON, as_json=True, stdout=said)
        ended = 0
    except SystemExit as end:
        ended = int(str(end.code))
    assert ended == code, said.getvalue()
    facts: dict[str, Any] = json.loads(said.getvalue())
    return facts


def real_files() -> dict[str, Path]:
    """pydicom's test files by their SOP Instance UIDs, one for each."""
    found: dict[str, Path] = {}
    for path in map(Path, get_testdata_files()):
        try:
            structure = read_structure(path)
        except Refused:
            continue
        if not structure.is_dicomdir and (uid := text(structure, SOP_INSTANCE)):
            found.setdefault(uid, path)
    return found


@pytest.mark.parametrize("searched", [False, True])
def test_every_real_file_comes_back_also_from_orthanc(
    node: Node, tidy: None, allowed: None, tmp_path: Path, empty_orthanc: Orthanc, searched: bool
) -> None:
    recipe = "research" if searched else without_search(tmp_path)
    Destination.objects.update(recipe=recipe)
    Destination.objects.filter(pk=send_to(empty_orthanc).pk).update(recipe=recipe)
    found = real_files()

    def fill(folder: Path) -> None:
        for number, path in enumerate(found.values()):
            shutil.copyfile(path, folder / f"{number}.dcm")

    node.drop("d", fill)
    engine = deidentifier(recipe, "default")
    names = {engine.uid(uid): path for uid, path in found.items()}
    originals = {str(made.relative_to(node.outbox)): names[dcmread(made).SOPInstanceUID] for made in node.out()}
    assert len(originals) > 50

    said = restored(node.outbox, tmp_path / "back")

    assert said["restored"] == len(originals)
    lost = {one["path"]: one["sentence"] for one in said["files"]}
    assert len(lost) < len(originals) / 4
    for place, path in originals.items():
        back = tmp_path / "back" / place
        if place in lost:
            is_original(dcmread(back), dcmread(path), lost[place])
        elif dcmread(path, force=True).file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            is_original(dcmread(back), dcmread(path), "")
        else:
            assert back.read_bytes() == path.read_bytes(), path.name

    copies = tmp_path / "copies"
    copies.mkdir()
    for uid in empty_orthanc.instances():
        (copies / uid).write_bytes(empty_orthanc.instance_file(uid) or b"")
    assert len(empty_orthanc.instances()) > 50
    said = restored(copies, tmp_path / "back2")
    assert said["restored"] == len(empty_orthanc.instances()), said
    lost = {one["path"]: one["sentence"] for one in said["files"]}
    for uid in empty_orthanc.instances():
        is_original(dcmread(tmp_path / "back2" / uid, force=True), dcmread(names[uid], force=True), lost.get(uid, ""))


def is_original(back: Dataset, original: Dataset, lost: str) -> None:
    """Compare every element but those that `lost` names."""
    for tag in sorted(back.keys() | original.keys()):
        if keyword_of(tag) not in lost:
            assert back[tag].VR == original[tag].VR, (original.filename, tag)
            assert back[tag].value == original[tag].value, (original.filename, tag)
    assert back.original_encoding == original.original_encoding


def test_an_original_is_made_only_when_it_is_allowed(node: Node, tmp_path: Path) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    with pytest.raises(CommandError, match="SENDIT_RESTORE") as caught:
        call_command("restore", node.outbox, tmp_path / "back", reason=REASON)
    assert caught.value.returncode == 2
    assert not (tmp_path / "back").exists()


def test_every_use_is_on_record_before_it_happens(
    node: Node, allowed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    monkeypatch.setenv("LOGNAME", "somebody-else")
    from main import restoring
    from main.management.commands._base import system_user

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restoring, "restore", fails)
    with pytest.raises(OSError, match="No space"):
        call_command("restore", node.outbox, tmp_path / "back", reason=REASON)
    event = Event.objects.get(kind="restore")
    assert (event.actor, event.count) == (system_user(), 1)
    assert event.actor != "somebody-else"
    entry = VaultEntry.objects.get()
    for shown in (entry.patient_id, entry.study_instance_uid, entry.series_instance_uid, REASON):
        assert shown in event.sentence
    original = dcmread(str(get_testdata_file("CT_small.dcm")))
    assert original.PatientID not in event.sentence
    assert original.StudyInstanceUID not in event.sentence


def test_a_run_that_was_interrupted_goes_on(node: Node, ct: Dataset, allowed: None, tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        for number in range(3):
            ct.SOPInstanceUID = generate_uid()
            ct.save_as(folder / f"{number}.dcm")

    node.drop("d", fill)
    back = tmp_path / "back"
    assert restored(node.outbox, back)["restored"] == 3
    [first, *_] = [path for path in back.rglob("*") if path.is_file()]
    first.unlink()
    (first.parent / f".{first.name}.part").write_bytes(b"half")
    said = restored(node.outbox, back)
    assert (said["restored"], said["there"]) == (1, 2)
    assert not list(back.rglob("*.part"))


def test_what_is_not_known_or_does_not_fit_is_listed(
    node: Node, allowed: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    [released] = node.out()
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    shutil.copyfile(str(get_testdata_file("MR_small.dcm")), mixed / "stranger.dcm")
    (mixed / "letter.txt").write_bytes(b"Dear colleague. " * 20)
    ds = dcmread(released)
    del ds.Rows
    ds.save_as(mixed / "thinner.dcm")
    shutil.copyfile(released, mixed / "whole.dcm")

    said = restored(mixed, tmp_path / "back", code=1)

    assert said["restored"] == 1
    assert {one["path"]: one["code"] for one in said["files"]} == {
        "stranger.dcm": "unknown",
        "letter.txt": "not-dicom",
        "thinner.dcm": "does-not-fit",
    }
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == ["whole.dcm"]
    original = dcmread(str(get_testdata_file("CT_small.dcm")))
    assert original.PatientID not in json.dumps(said) + "".join(capsys.readouterr())


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_implicit.dcm", "rtplan.dcm"])
def test_a_copy_that_another_system_wrote_anew_leads_back(
    node: Node, allowed: None, tmp_path: Path, name: str, syntax: str
) -> None:
    node.drop("d", copy_of(name))
    [released] = node.out()
    copy = dcmread(released)
    for element in copy.iterall():  # everything is decoded, and written anew
        if element.VR == "SQ":
            element.is_undefined_length = True
    copy.file_meta.TransferSyntaxUID = syntax
    copy.file_meta.ImplementationVersionName = "ANOTHER"
    copy.save_as(tmp_path / "copy.dcm", implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)

    assert restored(tmp_path / "copy.dcm", tmp_path / "back.dcm")["restored"] == 1

    original, back = dcmread(str(get_testdata_file(name))), dcmread(tmp_path / "back.dcm")
    assert back.original_encoding == original.original_encoding
    assert back.file_meta == original.file_meta
    assert back == original


def test_two_recipes_for_one_image_both_lead_back(node: Node, allowed: None, tmp_path: Path) -> None:
    Destination.objects.create(name="b", kind="folder", recipe="research", settings={"path": str(tmp_path / "b")})
    node.drop("d", copy_of("CT_small.dcm"))
    original = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    for number, outbox in enumerate((node.outbox, tmp_path / "b")):
        restored(outbox, tmp_path / f"back{number}")
        [back] = [path for path in (tmp_path / f"back{number}").rglob("*") if path.is_file()]
        assert back.read_bytes() == original
    assert VaultEntry.objects.count() == 2


def test_of_recipes_that_store_pixels_in_different_ways_the_file_says_which_one_it_was(
    node: Node, allowed: None, tmp_path: Path
) -> None:
    recipe = tmp_path / "pixels-stay.yaml"
    recipe.write_text("name: pixels-stay\nprofile: basic\npixels:\n  mode: keep\n")
    Destination.objects.create(name="b", kind="folder", recipe=str(recipe), settings={"path": str(tmp_path / "b")})
    node.drop("d", copy_of("JPEG-lossy.dcm"))
    original = Path(str(get_testdata_file("JPEG-lossy.dcm")))
    [cleaned] = restored(node.outbox, tmp_path / "back")["files"]
    assert "PixelData" in cleaned["sentence"]
    assert restored(tmp_path / "b", tmp_path / "back-b") == {"restored": 1, "there": 0, "files": []}
    [back] = [path for path in (tmp_path / "back-b").rglob("*") if path.is_file()]
    assert back.read_bytes() == original.read_bytes()


def test_a_replay_replaces_the_entries_of_its_images_only(
    node: Node, ct: Dataset, allowed: None, tmp_path: Path
) -> None:
    def fill(*numbers: int) -> Any:
        def write(folder: Path) -> None:
            for number in numbers:
                ct.SOPInstanceUID = f"1.2.3.{number}"
                ct.save_as(folder / f"{number}.dcm")

        return write

    node.drop("first", fill(1, 2))
    node.drop("late", fill(3))
    assert sorted(VaultEntry.objects.values_list("images", flat=True)) == [1, 2]
    replay(Series.objects.get(), "deidentify", "tester")
    work.drain(seconds=30)
    assert list(VaultEntry.objects.values_list("images", flat=True)) == [3]
    assert restored(node.outbox, tmp_path / "back")["restored"] == 3


def test_without_a_vault_nothing_is_kept(node: Node, allowed: None, settings: Any, tmp_path: Path) -> None:
    settings.SENDIT_VAULT = False
    node.drop("d", copy_of("CT_small.dcm"))
    assert not VaultEntry.objects.exists()
    assert restored(node.outbox, tmp_path / "back", code=1)["restored"] == 0


def test_entries_are_found_by_either_name(node: Node, tidy: None) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    original = dcmread(str(get_testdata_file("CT_small.dcm")))
    entry = VaultEntry.objects.get()
    released = dcmread(node.out()[0])
    assert not Image.objects.exists()
    for found in (
        vault.of_patient(released.PatientID),
        vault.of_study(released.StudyInstanceUID),
        vault.of_series(released.SeriesInstanceUID),
        vault.of_original_patient("", original.PatientID),
        vault.of_original_study(original.StudyInstanceUID),
        vault.of_original_series(original.SeriesInstanceUID),
    ):
        assert found.get() == entry
    assert not vault.of_original_patient("elsewhere", original.PatientID).exists()
    way = vault.Opened().way_back([entry], released.SOPInstanceUID, "1.2.840.10008.1.2.1")
    assert way is not None
    assert original.PatientID not in repr(way)
    assert original.PatientID not in entry.sealed


@pytest.mark.parametrize("cleaned", [True, False])
def test_a_patient_is_forgotten_and_proof_stays(
    node: Node, allowed: None, settings: Any, tmp_path: Path, cleaned: bool
) -> None:
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = cleaned, 0.0
    batch = node.drop("d", copy_of("CT_small.dcm"))
    node.drop("other", copy_of("MR_small.dcm"))
    released = next(path for path in node.out() if dcmread(path).Modality == "CT")
    pseudonym = dcmread(released).PatientID
    subject = vault.of_patient(pseudonym).get().subject_index
    PatientNumber.objects.create(project="default", key_index=subject, number=1, at=batch.received_at)

    call_command("forget", pseudonym, reason="Article 17", as_json=True)

    assert not vault.of_patient(pseudonym).exists()
    assert not Subject.objects.filter(key_index=subject).exists()
    assert not PatientNumber.objects.filter(key_index=subject).exists()
    assert PatientNumber.objects.count() == 1, "the number is not given again"
    assert not batch.folder.exists()
    assert VaultEntry.objects.count() == 1, "other patients stay"
    assert LedgerEntry.objects.filter(patient_id=pseudonym).exists()
    assert "Article 17" in Event.objects.get(kind="forget").sentence
    said = restored(released, tmp_path / "back", code=1)
    assert said["files"][0]["code"] == "unknown"
    with pytest.raises(SystemExit):
        call_command("forget", pseudonym, reason="again", as_json=True)


def test_what_is_too_old_leads_back_no_more_and_the_pseudonym_stays(node: Node, settings: Any) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    node.drop("e", copy_of("MR_small.dcm"))
    old, young = VaultEntry.objects.order_by("pk")
    VaultEntry.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=31))
    assert expire() == 0, "for ever, as it comes"
    settings.SENDIT_VAULT_DAYS = 30

    assert expire() == 1

    assert list(VaultEntry.objects.all()) == [young]
    called = {row.pseudonym: row for row in Pseudonym.objects.all()}
    assert called[old.patient_id].is_current
    assert called[old.patient_id].subject_index == old.subject_index
    assert not called[old.patient_id].sealed
    assert called[young.patient_id].sealed
    assert Event.objects.get(kind="expire").count == old.images
    assert expire() == 0


def test_nobody_is_forgotten_while_an_image_is_on_its_way(node: Node) -> None:
    Destination.objects.update(held=True)
    node.drop("d", copy_of("CT_small.dcm"))
    pseudonym = VaultEntry.objects.get().patient_id
    with pytest.raises(CommandError, match="on their way"):
        call_command("forget", pseudonym, reason="Article 17")
    assert VaultEntry.objects.exists()
    assert identity.unseal_values(Subject.objects.get().sealed)


def test_a_single_file_goes_where_cp_would_put_it(node: Node, allowed: None, tmp_path: Path) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    [released] = node.out()
    folder = tmp_path / "folder"
    folder.mkdir()
    assert restored(released, folder)["restored"] == 1
    assert restored(released, tmp_path / "new" / "name.dcm")["restored"] == 1
    assert restored(released, tmp_path / "new" / "name.dcm") == {"restored": 0, "there": 1, "files": []}
    original = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    assert (folder / released.name).read_bytes() == (tmp_path / "new" / "name.dcm").read_bytes() == original
    with pytest.raises(CommandError, match="choose another"):
        call_command("restore", released, released, reason=REASON)


@pytest.mark.parametrize("given", [None, "", "  ", "x" * 201])
def test_there_is_no_way_without_a_reason(node: Node, allowed: None, tmp_path: Path, given: str | None) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    with pytest.raises(CommandError, match="Give a reason") as caught:
        call_command("restore", node.outbox, tmp_path / "back", reason=given)
    assert caught.value.returncode == 2
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("inside", ["out", "data"])
def test_originals_are_not_put_where_they_would_be_taken_in(
    node: Node, allowed: None, settings: Any, inside: str
) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    place = node.outbox / "x" if inside == "out" else settings.DATA_DIR / "x"
    with pytest.raises(CommandError, match="choose another"):
        call_command("restore", node.outbox, place, reason=REASON)
