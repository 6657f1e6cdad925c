"""Projects: one patient and one study in two of them have nothing in common that leaves, and nothing goes by a wrong one."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydicom.uid import generate_uid

from main import certificates, claims, identity, map_export, map_import, vault, work
from main.models import (
    Batch,
    Delivery,
    FileOutcome,
    Image,
    KeyRecord,
    LedgerEntry,
    Pseudonym,
    Release,
    Series,
    SeriesIdentifiers,
    Study,
    Subject,
    VaultEntry,
)
from main.pipeline import replay
from main.pipeline.take import recover, take_copy
from main.projects import projects
from main.projects.configured import require_destinations
from tests.main.conftest import Node, counts_add_up, statuses
from tests.main.projects import Projects, out, real

TWO = """
[heart]
folders = ["{folder}/heart"]
recipe = "research"
identifiers = "sequential"
sequence = "HEART-{number:04d}"
destinations = ["heart"]

[lung]
folders = ["{folder}/lung"]
destinations = ["lung"]
"""


@pytest.fixture
def two(node: Node, tmp_path: Path, settings: Any) -> Projects:
    """Two projects with a folder each, beside the default one."""
    identity._pseudonyms.cache_clear()  # as in a new process: keys are noted
    found = Projects(node, tmp_path, settings)
    for name in ("heart", "lung"):
        found.watched(name)
        found.outbox(name)
    found.write(TWO)
    return found


def work_all() -> None:
    """Work until nothing is due."""
    assert work.drain(seconds=60)


def test_one_study_in_two_projects_has_nothing_in_common_that_leaves(two: Projects, tmp_path: Path) -> None:
    for name in ("heart", "lung"):
        two.drop(tmp_path / name, real())
    two.node.drop("d", lambda folder: real().save_as(folder / "0.dcm"))
    work_all()

    [heart], [lung], [plain] = out(tmp_path / "heart-outbox"), out(tmp_path / "lung-outbox"), out(two.node.outbox)
    assert heart.PatientID == "HEART-0001"
    for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        assert len({str(one[keyword].value) for one in (heart, lung, plain)}) == 3, keyword
    assert heart.DeidentificationMethod != lung.DeidentificationMethod == plain.DeidentificationMethod
    assert (Subject.objects.count(), Study.objects.count(), Series.objects.count()) == (1, 3, 3)
    assert set(Delivery.objects.values_list("series__project", "destination__name")) == {
        ("heart", "heart"),
        ("lung", "lung"),
        ("default", "outbox"),
    }
    assert set(FileOutcome.objects.values_list("outcome")) == set(), "none is a duplicate of another project's"
    assert not {str(real().StudyInstanceUID), str(real().PatientID)} & {
        str(one[keyword].value) for one in (heart, lung, plain) for keyword in ("PatientID", "StudyInstanceUID")
    }


def test_dates_are_moved_by_other_days_in_another_project(two: Projects, tmp_path: Path) -> None:
    two.write(TWO.replace('folders = ["{folder}/lung"]', 'folders = ["{folder}/lung"]\nrecipe = "research"'))
    for name in ("heart", "lung"):
        two.drop(tmp_path / name, real())
    work_all()
    [heart], [lung] = out(tmp_path / "heart-outbox"), out(tmp_path / "lung-outbox")
    assert len({real().StudyDate, heart.StudyDate, lung.StudyDate}) == 3


def test_a_late_image_keeps_to_its_project(two: Projects, tmp_path: Path) -> None:
    two.drop(tmp_path / "heart", real())
    work_all()
    two.drop(tmp_path / "heart", real(SOPInstanceUID=generate_uid()))
    work_all()
    assert {one.PatientID for one in out(tmp_path / "heart-outbox")} == {"HEART-0001"}
    assert len(out(tmp_path / "heart-outbox")) == 2
    assert Study.objects.count() == 1


def test_duplicates_and_conflicts_are_told_within_a_project_only(two: Projects, tmp_path: Path) -> None:
    two.drop(tmp_path / "heart", real())
    two.drop(tmp_path / "lung", real(InstanceNumber="9"))
    work_all()
    again = two.drop(tmp_path / "heart", real())
    other = two.drop(tmp_path / "heart", real(InstanceNumber="9"))
    work_all()
    assert FileOutcome.objects.get(batch=again).outcome == "duplicate"
    assert FileOutcome.objects.get(batch=other).outcome == "conflict"
    assert (len(out(tmp_path / "heart-outbox")), len(out(tmp_path / "lung-outbox"))) == (1, 1)


def test_a_study_of_two_patients_is_no_matter_between_projects(two: Projects, tmp_path: Path) -> None:
    two.drop(tmp_path / "heart", real())
    batch = two.drop(tmp_path / "lung", real(PatientID="ANOTHER"))
    work_all()
    assert statuses(batch) == {"SENT": 1}
    held = two.drop(tmp_path / "heart", real(PatientID="ANOTHER", SOPInstanceUID=generate_uid()))
    work_all()
    assert FileOutcome.objects.get(batch=held).code == "study-of-another-patient"


RULES = """
[trial]
when.ClinicalTrialProtocolID = ["T-1*", "T-2"]

[ct-of-heart]
folders = ["{folder}/heart"]
when.Modality = "CT"

[heart]
folders = ["{folder}/heart"]
"""


def test_more_specific_claims_win(two: Projects, tmp_path: Path) -> None:
    two.write(RULES)

    def project_of(folder: Path, **values: Any) -> str:
        uid = generate_uid()
        batch = two.drop(folder, real(SOPInstanceUID=uid, StudyInstanceUID=uid, **values))
        work.work_one("register")
        [found] = Series.objects.filter(image_set__batch=batch)
        assert found.project == found.study.project
        return found.project

    plain = tmp_path / "inbox"
    assert project_of(plain) == "default"
    assert project_of(plain, ClinicalTrialProtocolID="t-17") == "trial"
    assert project_of(tmp_path / "heart", Modality="MR") == "heart"
    assert project_of(tmp_path / "heart", Modality="MR", ClinicalTrialProtocolID="T-2") == "trial"
    assert project_of(tmp_path / "heart", Modality="CT", ClinicalTrialProtocolID="T-2") == "ct-of-heart"
    assert project_of(tmp_path / "heart") == "ct-of-heart"


def test_one_drop_may_be_of_several_projects(two: Projects) -> None:
    two.write('[mr]\nwhen.Modality = "MR"\n[ct]\nwhen.Modality = "CT"\n')
    files = [
        real(SOPInstanceUID=generate_uid(), Modality=one, StudyInstanceUID="1.2.3") for one in ("MR", "CT", "MR", "PT")
    ]
    batch = two.drop(two.node.inbox, *files)
    work_all()
    batch.refresh_from_db()
    assert counts_add_up(batch)
    assert sorted(Series.objects.values_list("project", "images")) == [("ct", 1), ("default", 1), ("mr", 2)]
    assert Study.objects.count() == 3
    assert len({one.PatientID for one in out(two.node.outbox)}) == 3


def test_what_two_rules_claim_is_held_until_the_file_is_right(two: Projects) -> None:
    two.write('[ct]\nwhen.Modality = "CT"\n[philips]\nwhen.Manufacturer = "GE*"\n')
    batch = two.drop(two.node.inbox, real(), real("MR_small.dcm"))
    work_all()
    outcome = FileOutcome.objects.get(batch=batch)
    assert (outcome.outcome, outcome.code, outcome.held) == ("unassigned", "project-claimed-twice", True)
    assert "ct and philips" in outcome.sentence
    batch.refresh_from_db()
    assert counts_add_up(batch)

    two.write('[ct]\nwhen.Modality = "CT"\n[philips]\nwhen.Manufacturer = "Philips*"\n')
    replay.requeue_files([outcome.pk], "nurse")
    work_all()
    assert sorted(Series.objects.values_list("project", flat=True)) == ["ct", "default"]
    assert set(Series.objects.values_list("status", flat=True)) == {"SENT"}


def test_a_folder_of_one_and_a_title_of_another_project_is_held(two: Projects) -> None:
    two.write('[a]\ncalled_ae_titles = ["TRIAL"]\n[b]\ncalling_ae_titles = ["CT1"]\n')
    batch = two.drop(two.node.inbox, real())
    Batch.objects.update(called_ae_title="TRIAL", calling_ae_title="CT1")
    work_all()
    assert FileOutcome.objects.get(batch=batch).code == "project-claimed-twice"


def test_nothing_goes_by_another_project_when_its_own_vanishes(two: Projects, tmp_path: Path) -> None:
    waits_for = {"identify": None, "deidentify": None, "deliver": None}
    for stage in waits_for:
        uid = generate_uid()
        two.drop(tmp_path / "heart", real(SOPInstanceUID=uid, StudyInstanceUID=uid, SeriesInstanceUID=uid))
        work.work_one("register")
        waits_for[stage] = Series.objects.latest("pk")
        for one in ("identify", "deidentify"):
            if stage not in (one, "identify") and (stage, one) != ("deidentify", "deidentify"):
                assert work.work_one(one, waits_for[stage].pk)
    assert [Series.objects.get(pk=one.pk).stage for one in waits_for.values()] == list(waits_for)

    two.write(TWO.replace("[heart]", "[heart-2]"))
    work_all()

    assert out(tmp_path / "heart-outbox") == []
    for stage in ("identify", "deidentify"):
        image = Image.objects.get(series=waits_for[stage])
        assert (image.status, image.code) == ("QUARANTINED", "project-unknown")
        assert "The project heart is not configured any more" in image.sentence
    blocked = Delivery.objects.get(series=waits_for["deliver"])
    assert (blocked.state, blocked.error_code) == ("BLOCKED", "project-unknown")
    assert certificates.recipes([waits_for["deliver"].pk]) == []

    two.write(TWO)
    replay.requeue_images(list(Image.objects.filter(status="QUARANTINED").values_list("pk", flat=True)), "nurse")
    replay.retry_blocked("nurse")
    work_all()
    assert len(out(tmp_path / "heart-outbox")) == 3
    assert {one.PatientID for one in out(tmp_path / "heart-outbox")} == {"HEART-0001"}


def test_a_drop_knows_its_folder_also_when_its_taker_died(two: Projects, tmp_path: Path) -> None:
    batch = two.drop(tmp_path / "heart", real())
    Batch.objects.all().delete()
    assert recover(0) == 1
    again = Batch.objects.get()
    assert (again.key, again.watched) == (batch.key, str(tmp_path / "heart"))
    work_all()
    assert Study.objects.get().project == "heart"


def test_a_drop_whose_source_is_lost_goes_by_no_project(two: Projects, tmp_path: Path) -> None:
    batch = two.drop(tmp_path / "heart", real())
    Batch.objects.all().delete()
    (batch.folder / ".sendit-source.json").write_bytes(b"")
    assert recover(0) == 1
    work_all()
    held = FileOutcome.objects.get()
    assert held.code == "project-unknown"
    assert "not known any more" in held.sentence


def test_nobody_but_us_says_where_a_drop_came_from(two: Projects, tmp_path: Path) -> None:
    inbox = two.node.inbox
    (inbox / ".sendit-source.json").write_text(json.dumps({"project": "heart"}))
    real().save_as(inbox / "0.dcm")
    from main.pipeline.take import take

    assert take(sorted(inbox.iterdir()), inbox) is not None
    folder = inbox / "d"
    folder.mkdir()
    (folder / ".sendit-source.json").write_text(json.dumps({"project": "lung"}))
    real(SOPInstanceUID=generate_uid()).save_as(folder / "0.dcm")
    assert take([folder], inbox) is not None
    work_all()
    assert set(Series.objects.values_list("project", flat=True)) == {"default"}


def test_an_import_may_name_its_project(two: Projects, tmp_path: Path) -> None:
    real().save_as(tmp_path / "one.dcm")
    call_command("import_folder", str(tmp_path / "one.dcm"), project="lung")
    assert Batch.objects.get().project == "lung"
    work_all()
    assert Study.objects.get().project == "lung"
    with pytest.raises(CommandError, match="no such project; there are default, heart, lung"):
        call_command("import_folder", str(tmp_path / "one.dcm"), project="liver")
    batch = take_copy(tmp_path / "one.dcm", "liver")
    work_all()
    assert FileOutcome.objects.get(batch=batch).code == "project-unknown"


def test_a_project_may_have_its_own_key(two: Projects, tmp_path: Path) -> None:
    key = tmp_path / "lung.key"
    key.write_text("ab" * 32 + "\n")
    with_key = TWO.replace('folders = ["{folder}/lung"]', 'folders = ["{folder}/lung"]\nkey_file = "{folder}/lung.key"')
    two.write(with_key)
    two.drop(tmp_path / "lung", real())
    work_all()
    release = Release.objects.filter(image__series__project="lung").first()
    assert release is not None
    assert release.key_id == identity.fingerprint(bytes.fromhex("ab" * 32)) != identity.keyring().pseudonym_id
    assert certificates.recipes([Series.objects.get().pk]) == ["basic"]

    key.write_text("cd" * 32)
    two.write(with_key + "\n")
    with pytest.raises(ImproperlyConfigured, match="The key of project lung is not the one"):
        identity.pseudonyms("lung")
    two.drop(tmp_path / "lung", real(SOPInstanceUID=generate_uid()))
    work.drain(seconds=20)
    waiting = Series.objects.get()
    assert (waiting.n_processing, waiting.error_code) == (1, "settings"), "it waits, and goes on with the right key"
    key.write_text("ab" * 32)
    two.write(with_key)
    Series.objects.update(due_at=timezone.now())
    work_all()
    assert len({one.PatientID for one in out(tmp_path / "lung-outbox")}) == 1
    assert KeyRecord.objects.filter(name="project lung").count() == 1


def test_what_a_project_does_not_deliver_to_any_more_gets_nothing(two: Projects, tmp_path: Path) -> None:
    two.write(TWO.replace('destinations = ["lung"]', 'destinations = ["lung", "outbox"]'))
    two.drop(tmp_path / "lung", real())
    for stage in ("register", "identify", "deidentify"):
        work.work_one(stage)
    two.write(TWO.replace('destinations = ["lung"]', 'destinations = ["outbox"]'))
    work_all()
    assert (len(out(two.node.outbox)), len(out(tmp_path / "lung-outbox"))) == (1, 0)
    blocked = Delivery.objects.get(state="BLOCKED")
    assert (blocked.destination.name, blocked.error_code) == ("lung", "not-for-destination")
    replay.replay(Series.objects.get(), "deidentify", "nurse")
    work_all()
    assert Series.objects.get().status == "SENT"


def test_a_missing_destination_holds_the_project_and_no_other(two: Projects, tmp_path: Path) -> None:
    two.write(TWO.replace('destinations = ["heart"]', 'destinations = ["heart", "attic"]'))
    two.drop(tmp_path / "heart", real())
    two.drop(tmp_path / "lung", real())
    work.drain(seconds=60)
    found = {one.project: one for one in Series.objects.all()}
    assert (found["heart"].status, found["heart"].error_code) == ("PROCESSING", "no-destination")
    assert "Project heart delivers to attic" in found["heart"].error
    assert found["lung"].status == "SENT"
    with pytest.raises(ImproperlyConfigured, match="'heart' delivers to attic; there are heart, lung, outbox"):
        require_destinations(["outbox", "heart", "lung"])


def test_every_project_has_somewhere_to_deliver(two: Projects) -> None:
    require_destinations(["outbox", "heart", "lung"])
    with pytest.raises(
        ImproperlyConfigured, match="no destination is left for project 'default': others name heart, lung"
    ):
        require_destinations(["heart", "lung"])


def test_originals_go_on_only_where_the_destination_says_so(two: Projects, tmp_path: Path) -> None:
    from main.models import Destination

    archive = two.outbox("archive")
    Destination.objects.filter(name="archive").update(recipe="none", trusted=True)
    two.write(TWO.replace('destinations = ["heart"]', 'destinations = ["heart", "archive"]'))
    two.drop(tmp_path / "heart", real())
    work_all()
    [passed], [released] = out(archive), out(tmp_path / "heart-outbox")
    assert passed.PatientID == real().PatientID
    assert released.PatientID == "HEART-0001"


def test_a_provider_that_is_away_holds_its_project_and_no_other(two: Projects, tmp_path: Path) -> None:
    two.write(TWO.replace('identifiers = "sequential"\nsequence = "HEART-{number:04d}"', 'identifiers = "csv"'))
    for name in ("heart", "lung"):
        two.drop(tmp_path / name, real())
    work.drain(seconds=60)
    found = {one.project: one for one in Series.objects.all()}
    assert (found["heart"].status, found["heart"].error_code) == ("NEW", "identifiers-settings")
    assert found["lung"].status == "SENT"


def test_small_series_of_two_projects_are_never_claimed_together(two: Projects, tmp_path: Path) -> None:
    for name in ("heart", "lung"):
        for _ in range(3):
            uid = generate_uid()
            two.drop(tmp_path / name, real(SOPInstanceUID=uid, StudyInstanceUID=uid))
    while work.work_one("register"):
        pass
    while held := claims.claim(Series, "identify"):
        assert len({one.project for one in held.rows}) == 1
        assert len(held.rows) == 3


def test_statements_do_not_grow_with_the_images_of_two_projects(two: Projects) -> None:
    two.write('[mr]\nwhen.Modality = "MR"\n')
    said = []
    for count in (2, 2, 14):
        study, series = generate_uid(), generate_uid()
        files = [
            real(SOPInstanceUID=generate_uid(), StudyInstanceUID=study, SeriesInstanceUID=series, Modality=modality)
            for modality in ("CT", "MR")
            for _ in range(count)
        ]
        two.drop(two.node.inbox, *files)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            for stage in ("register", "identify", "identify", "deidentify", "deidentify"):
                assert work.work_one(stage), stage
        said.append(len(queries))
    assert said[1] == said[2]


def test_replay_cleanup_ledger_and_vault_follow_the_project(two: Projects, tmp_path: Path, settings: Any) -> None:
    for name in ("heart", "lung"):
        two.drop(tmp_path / name, real())
    work_all()
    names = {one.series.project: one.patient_id for one in SeriesIdentifiers.objects.select_related("series")}
    before = {name: (tmp_path / f"{name}-outbox").rglob("*.dcm").__next__().read_bytes() for name in names}
    for one in Series.objects.all():
        replay.replay(one, "identify", "nurse")
    work_all()
    assert {one.series.project: one.patient_id for one in SeriesIdentifiers.objects.select_related("series")} == names
    for name, content in before.items():
        assert (tmp_path / f"{name}-outbox").rglob("*.dcm").__next__().read_bytes() == content

    assert set(VaultEntry.objects.values_list("project", "patient_id")) == set(names.items())
    assert VaultEntry.objects.values("subject_index").distinct().count() == 1
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0
    Series.objects.update(due_at=timezone.now())
    work_all()
    assert Series.objects.count() == Study.objects.count() == Subject.objects.count() == 0
    assert set(LedgerEntry.objects.values_list("project", "patient_id")) == set(names.items())
    kept = [json.loads(path.read_text()) for path in settings.CERTIFICATES_DIR.rglob("*.json")]
    assert len(kept) == 2
    assert len({one["signature"]["public_key"] for one in kept}) == 2, "each is signed with the key of its project"


def test_cleanup_waits_for_a_project_that_vanished(two: Projects, tmp_path: Path, settings: Any) -> None:
    two.drop(tmp_path / "heart", real())
    work_all()
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0
    two.write(TWO.replace("[heart]", "[heart-2]"))
    Series.objects.update(due_at=timezone.now())
    work.drain(seconds=20)
    one = Series.objects.get()
    assert (one.stage, one.error_code, Image.objects.count()) == ("cleanup", "project-unknown", 1)
    assert one.due_at is not None
    two.write(TWO)
    Series.objects.update(due_at=timezone.now())
    work_all()
    assert Series.objects.count() == 0


def test_originals_come_back_from_each_project(two: Projects, tmp_path: Path, settings: Any) -> None:
    """Also where both keep the UIDs: then the pseudonym tells which original it is."""
    recipe = tmp_path / "keeps.yaml"
    recipe.write_text("name: keeps\nprofile: basic\noptions: [retain-uids]\n")
    two.write(TWO.replace('"research"', f'"{recipe}"').replace('/lung"]', f'/lung"]\nrecipe = "{recipe}"'))
    for name, number in (("heart", "1"), ("lung", "2")):
        two.drop(tmp_path / name, real(InstanceNumber=number, StudyID=name))
    work_all()
    settings.SENDIT_RESTORE = True
    for name in ("heart", "lung"):
        call_command("restore", str(tmp_path / f"{name}-outbox"), str(tmp_path / f"{name}-back"), reason="test")
        [back] = out(tmp_path / f"{name}-back")
        assert (back.StudyID, back.PatientID) == (name, real().PatientID)


def test_a_patient_is_forgotten_in_one_project_or_everywhere(two: Projects, tmp_path: Path) -> None:
    for name in ("heart", "lung"):
        two.drop(tmp_path / name, real())
    work_all()
    call_command("forget", "HEART-0001", reason="no consent any more")
    assert set(VaultEntry.objects.values_list("project", flat=True)) == {"lung"}
    assert set(Series.objects.values_list("project", flat=True)) == {"lung"}
    two.drop(tmp_path / "heart", real())
    work_all()
    assert SeriesIdentifiers.objects.filter(patient_id="HEART-0002").exists(), "nobody gets the number again"
    call_command("forget", "HEART-0002", reason="Article 17", everywhere=True)
    assert VaultEntry.objects.count() == Series.objects.count() == Subject.objects.count() == 0


def test_a_pseudonym_of_two_patients_is_not_forgotten_by_guess(two: Projects, tmp_path: Path) -> None:
    """Two projects may well use the same name for two patients, if somebody's service says so."""
    for name, patient in (("heart", "P1"), ("lung", "P2")):
        two.drop(tmp_path / name, real(PatientID=patient))
    work_all()
    VaultEntry.objects.update(patient_id="SAME")
    SeriesIdentifiers.objects.update(patient_id="SAME")
    with pytest.raises(CommandError, match="The projects heart and lung gave this pseudonym out"):
        call_command("forget", "SAME", reason="Article 17")
    assert VaultEntry.objects.count() == 2
    call_command("forget", "SAME", reason="Article 17", project="lung")
    assert set(vault.of_patient("SAME").values_list("project", flat=True)) == {"heart"}


@pytest.mark.django_db(transaction=True)
def test_two_workers_register_one_study_for_two_projects_at_once(two: Projects, tmp_path: Path) -> None:
    drops = [two.drop(tmp_path / name, real()) for name in ("heart", "lung") for _ in range(3)]
    go = threading.Barrier(2)

    def worker() -> None:
        try:
            go.wait(10)
            work.drain(seconds=60)
        finally:
            connection.close()

    threads = [threading.Thread(target=worker) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(90)
    work_all()
    assert sorted(Series.objects.values_list("project", "images", "status")) == [
        ("heart", 1, "SENT"),
        ("lung", 1, "SENT"),
    ]
    assert FileOutcome.objects.filter(outcome="duplicate").count() == len(drops) - 2


def test_without_a_file_there_is_one_project(node: Node, settings: Any) -> None:
    assert list(projects()) == ["default"]
    settings.SENDIT_PROJECT = "trial"
    assert list(projects()) == ["trial"]


def test_the_map_of_projects_goes_to_another_node_under_their_keys(two: Projects, tmp_path: Path) -> None:
    """Here the other node is this one, after it lost its map."""
    for name in ("heart", "lung"):
        two.drop(tmp_path / name, real())
    work_all()
    secret, file = b"a long passphrase", tmp_path / "map"
    map_export.export(file, secret, "nurse", lambda _: None)
    kept = set(Pseudonym.objects.values_list("project", "pseudonym"))
    for model in (Pseudonym, VaultEntry):
        model._default_manager.all().delete()
    KeyRecord.objects.filter(name="project heart").update(fingerprint="0123456789abcdef")
    with pytest.raises(map_import.Contradiction, match="another key of project heart"):
        map_import.take_in(file, secret, "nurse", lambda _: None)
    KeyRecord.objects.filter(name="project heart").delete()
    assert map_import.take_in(file, secret, "nurse", lambda _: None).added == 4, "the number is there"
    assert set(Pseudonym.objects.values_list("project", "pseudonym")) == kept
    assert KeyRecord.objects.filter(name="project heart").exists()
    assert {one.series_id for one in VaultEntry.objects.all()} == set(Series.objects.values_list("pk", flat=True))
    table = tmp_path / "map.csv"
    map_export.export_csv(table, "test", "nurse", lambda _: None)
    lines = [line.split(",") for line in table.read_text().splitlines()[1:]]
    assert sorted(line[0] for line in lines) == ['"heart"', '"lung"']
    assert len({line[5] for line in lines}) == 2, "each with the study that was given out there"
