"""`python -m deidentify`: every file has one outcome, names tell nothing, and a run that stopped goes on."""

import csv
import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from pydicom import dcmread

from deidentify import Deidentifier, Recipe
from deidentify.cli import main
from deidentify.cli.keys import read_key
from deidentify.cli.ledger import NAME, Ledger
from deidentify.dictionary import TAGS
from deidentify.pseudonyms import Pseudonyms
from tests.deidentify.command import ROOT, finished, key_file, outputs, started, write_image, write_studies
from tests.deidentify.objects import FOLDER, MINIMAL, Elements, encoded, part10
from tests.waiting import eventually

SECRETS = ("quinby", "adalberta", "bartholomew", "im0001")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return key_file(tmp_path)


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    return write_studies(tmp_path / "in")


def count(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.dcm"))


def pairs(path: Path) -> dict[str, str]:
    with path.open(newline="") as file:
        rows = csv.reader(file)
        assert next(rows) == ["id_old", "id_new"]
        return dict(row for row in rows)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_tree_comes_out_whole_under_new_names(studies: Path, key: Path, tmp_path: Path) -> None:
    out, mapping, report = tmp_path / "out", tmp_path / "map.csv", tmp_path / "report.json"

    said = finished(
        studies,
        out,
        "--recipe",
        "research",
        "--key-file",
        key,
        "--mapping",
        mapping,
        "--report",
        report,
        "--workers",
        2,
    )

    assert "9 files: 9 released." in said
    made = outputs(out)
    assert len(made) == 9
    names = "\n".join(str(path) for path in out.rglob("*"))
    assert [secret for secret in SECRETS if secret in (names + said).lower()] == []
    patients = {name.split("/")[0] for name in made}
    assert len(patients) == 2
    for name in made:
        ds = dcmread(out / name)
        assert name == f"{ds.PatientID}/{ds.StudyInstanceUID}/{ds.SeriesInstanceUID}/{ds.SOPInstanceUID}.dcm"
    new = pairs(mapping)
    assert {new["ADALBERTA"], new["BARTHOLOMEW"]} == patients
    assert {new[f"1.2.3.{study}.1.{number}"] for study in (1, 2, 3) for number in (1, 2, 3)} == {
        name.split("/")[-1].removesuffix(".dcm") for name in made
    }
    assert mode(mapping) == mode(report) == 0o600
    rows = json.loads(report.read_text())
    assert rows["complete"] is True
    assert rows["counts"] == {"released": 9}
    assert {row["output"] for row in rows["files"]} == set(made)
    assert {row["path"] for row in rows["files"]} == {str(path.relative_to(studies)) for path in studies.rglob("*.dcm")}


def test_the_number_of_workers_changes_no_byte(studies: Path, key: Path, tmp_path: Path) -> None:
    for workers in (1, 3):
        finished(studies, tmp_path / f"{workers}", "--recipe", "basic", "--key-file", key, "--workers", workers)

    assert outputs(tmp_path / "1") == outputs(tmp_path / "3")


def test_what_is_not_released_is_counted_with_its_reason_and_named_in_the_report_only(
    studies: Path, key: Path, tmp_path: Path
) -> None:
    whole = next(studies.rglob("IM0001.dcm"))
    (studies / "Quinby cut.dcm").write_bytes(whole.read_bytes()[:-500])
    (studies / "Quinby.txt").write_text("Adalberta Quinby")
    (studies / "Quinby link").symlink_to(whole)
    (studies / "DICOMDIR").write_bytes((FOLDER / "dicomdirtests" / "DICOMDIR").read_bytes())
    (studies / "copy.dcm").write_bytes(whole.read_bytes())
    report = tmp_path / "report.json"

    said = finished(studies, tmp_path / "out", "--recipe", "basic", "--key-file", key, "--report", report, code=3)

    assert "14 files: 9 released, 1 duplicate, 1 excluded, 3 quarantined." in said
    for code in ("truncated", "not-dicom", "unreadable"):
        assert f"1 × {code}:" in said
    assert [secret for secret in SECRETS if secret in said.lower()] == []
    codes = {row["path"]: row.get("code") for row in json.loads(report.read_text())["files"]}
    assert codes["Quinby cut.dcm"] == "truncated"
    assert codes["Quinby link"] == "unreadable"
    assert codes["DICOMDIR"] == "dicomdir"
    numbers = re.findall(r"not-dicom: .* \(file (\d+)\)", said)
    (row,) = (row for row in json.loads(report.read_text())["files"] if row["path"] == "Quinby.txt")
    assert [str(row["number"])] == numbers


def test_of_two_files_with_one_uid_the_first_by_path_is_kept(key: Path, tmp_path: Path) -> None:
    for name, description in (("a", "CT HEAD"), ("b", "CT THORAX")):
        write_image(tmp_path / "in" / name, "P1", 1, 1, StudyDescription=description)

    said = finished(tmp_path / "in", tmp_path / "out", "--recipe", "research", "--key-file", key, code=3)

    assert "1 × conflict:" in said
    (path,) = (tmp_path / "out").rglob("*.dcm")
    assert dcmread(path).StudyDescription == "CT HEAD"


def test_what_one_image_tells_of_a_patient_is_removed_from_all_of_them(key: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "z", "P1", 1, 1, PatientName="Brown^Chest")
    write_image(tmp_path / "in" / "a", "P1", 2, 1, PatientName="", StudyDescription="CT CHEST AND LIVER")
    write_image(tmp_path / "in" / "b", "P2", 3, 1, PatientName="", StudyDescription="CT CHEST AND LIVER")

    finished(tmp_path / "in", tmp_path / "out", "--recipe", "research", "--key-file", key)

    descriptions = sorted(str(dcmread(path).get("StudyDescription", "")) for path in (tmp_path / "out").rglob("*.dcm"))
    assert descriptions[-1] == "CT CHEST AND LIVER"
    assert sum("CHEST" in description for description in descriptions) == 1
    assert sum("LIVER" in description for description in descriptions) >= 2


def test_patients_without_id_are_quarantined_unless_their_study_may_stand_for_them(key: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "a", "", 1, 1)
    write_image(tmp_path / "in" / "b", " ", 2, 1)

    assert "2 × no-identifiers" in finished(
        tmp_path / "in", tmp_path / "out", "--recipe", "basic", "--key-file", key, code=3
    )
    finished(tmp_path / "in", tmp_path / "out", "--recipe", "basic", "--key-file", key, "--without-id", "study")

    assert len({name.split("/")[0] for name in outputs(tmp_path / "out")}) == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_was_stopped_leaves_whole_outputs_and_goes_on(
    how: signal.Signals, key: Path, tmp_path: Path
) -> None:
    source = write_studies(tmp_path / "in", images=100)
    arguments = ["--recipe", "basic", "--key-file", key, "--workers", 2]
    out, mapping = tmp_path / "out", tmp_path / "map.csv"

    process = started(source, out, *arguments, "--mapping", mapping)
    eventually(lambda: count(out) > 20 or process.poll() is not None, 30)
    process.send_signal(how)
    process.communicate(timeout=60)

    assert process.returncode == (-9 if how == signal.SIGKILL else 130)
    stopped = outputs(out)
    assert 20 < len(stopped) < 300
    if how != signal.SIGKILL:
        instances = {name.split("/")[-1].removesuffix(".dcm") for name in stopped}
        assert instances <= set(pairs(mapping).values())
        assert [path for path in out.iterdir() if path.name.startswith(".unfinished")] == []
    said = finished(source, out, *arguments, "--mapping", mapping)
    assert "300 released" in said
    if how != signal.SIGKILL:
        assert f"({len(stopped):,} of them before)" in said
    finished(source, tmp_path / "at once", *arguments, "--mapping", tmp_path / "other.csv")
    assert outputs(out) == outputs(tmp_path / "at once")
    assert stopped.items() <= outputs(out).items()
    assert mapping.read_bytes() == (tmp_path / "other.csv").read_bytes()


def test_an_output_that_was_changed_is_made_again_and_a_new_file_is_added(
    studies: Path, key: Path, tmp_path: Path
) -> None:
    arguments = [studies, tmp_path / "out", "--recipe", "basic", "--key-file", key]
    finished(*arguments)
    before = outputs(tmp_path / "out")
    (tmp_path / "out" / next(iter(before))).write_bytes(b"changed")
    write_image(studies / "new", "CORNELIUS", 4, 1)

    assert "10 released (8 of them before)" in finished(*arguments)

    after = outputs(tmp_path / "out")
    assert len(after) == 10
    assert before.items() <= after.items()


def test_a_mapping_is_complete_also_when_outputs_were_there_before_it(studies: Path, key: Path, tmp_path: Path) -> None:
    arguments = [studies, tmp_path / "out", "--recipe", "basic", "--key-file", key]
    finished(*arguments)
    finished(*arguments, "--mapping", tmp_path / "map.csv")

    new = pairs(tmp_path / "map.csv")
    assert {f"1.2.3.{study}.1.{number}" for study in (1, 2, 3) for number in (1, 2, 3)} <= new.keys()
    assert "9 released (9 of them before)" in finished(*arguments, "--mapping", tmp_path / "map.csv")
    (tmp_path / "map.csv").unlink()
    finished(*arguments, "--mapping", tmp_path / "map.csv")
    assert pairs(tmp_path / "map.csv") == new


def test_a_file_that_needs_too_much_memory_costs_its_worker_and_not_the_run(
    studies: Path, key: Path, tmp_path: Path
) -> None:
    reference: Elements = {TAGS["ReferencedSOPInstanceUID"]: ("UI", "1.2.3.4.5.6.7.8")}
    many: Elements = {**MINIMAL, TAGS["ReferencedImageSequence"]: ("SQ", [reference] * 400_000)}
    (studies / "a poison").write_bytes(part10(encoded(many)))

    said = finished(
        studies, tmp_path / "out", "--recipe", "basic", "--key-file", key, "--memory-limit", 20, "--workers", 2, code=3
    )

    assert "10 files: 9 released, 1 quarantined." in said
    assert "1 × killed-worker: The work on this file needs more than 20 MiB of memory." in said


@pytest.mark.parametrize(("how", "why"), [(signal.SIGKILL, "ended its process"), (signal.SIGSTOP, "more than 5 sec")])
def test_a_worker_that_dies_or_hangs_costs_its_file_and_not_the_run(
    how: signal.Signals, why: str, key: Path, tmp_path: Path
) -> None:
    source = write_studies(tmp_path / "in", images=100)
    process = started(
        source, tmp_path / "out", "--recipe", "basic", "--key-file", key, "--workers", 2, "--time-limit", 5
    )
    eventually(lambda: count(tmp_path / "out") > 20, 30)
    os.kill(workers(process)[0], how)
    out, err = process.communicate(timeout=120)

    assert process.returncode == 3, out + err
    assert "300 files: 299 released, 1 quarantined." in out
    assert "killed-worker" in out
    assert why in out


def workers(process: subprocess.Popen[str]) -> list[int]:
    """Return the process ids of the workers of a run."""
    children = psutil.Process(process.pid).children()
    return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_two_runs_do_not_write_into_one_folder(studies: Path, key: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    secret = Pseudonyms(read_key(key)).engine_key
    other = Ledger(tmp_path / "out", Deidentifier(Recipe.load("basic"), secret), secret)

    assert "Another run" in finished(studies, tmp_path / "out", "--recipe", "basic", "--key-file", key, code=2)
    other.close()
    finished(studies, tmp_path / "out", "--recipe", "basic", "--key-file", key)


def test_a_terminal_gets_a_bar(studies: Path, key: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    arguments = [studies, tmp_path / "out", "--recipe", "basic", "--key-file", key]
    command = [sys.executable, "-m", "deidentify", *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the other side is closed
        while block := os.read(ours, 4096):
            shown += block

    assert process.communicate(timeout=60)[0] == b"9 files: 9 released.\n"
    assert b"9/9" in shown
    assert [secret for secret in SECRETS if secret.encode() in shown.lower()] == []


def test_one_file_becomes_one_file(key: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "a.dcm", "P1", 1, 1)
    write_image(tmp_path / "b.dcm", "P1", 1, 2)
    one = [tmp_path / "a.dcm", tmp_path / "out.dcm", "--recipe", "basic", "--key-file", key]

    assert "1 file: 1 released." in finished(*one)
    before = (tmp_path / "out.dcm").read_bytes()
    finished(*one)
    assert "holds something else" in finished(tmp_path / "b.dcm", *one[1:], code=2)

    assert (tmp_path / "out.dcm").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dcm", "b.dcm", "out.dcm", "project.key"]


def test_a_file_that_cannot_be_written_stops_the_run_in_a_sentence(key: Path, tmp_path: Path) -> None:
    source = write_studies(tmp_path / "in")
    finished(source, tmp_path / "out", "--recipe", "basic", "--key-file", key)
    name = next(iter(outputs(tmp_path / "out")))
    (tmp_path / "out" / name).unlink()
    (tmp_path / "out" / name / "folder").mkdir(parents=True)

    said = finished(source, tmp_path / "out", "--recipe", "basic", "--key-file", key, code=1)

    assert "Is a directory" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["{in}", "{out}", "--recipe", "none", "--key-file", "{key}"], "changes nothing"),
        (["{in}", "{out}", "--recipe", "no-such", "--key-file", "{key}"], "There is no recipe"),
        (["{in}", "{out}", "--recipe", "basic", "--key-file", "{tmp}/none"], "cannot be read"),
        (["{in}", "{out}", "--recipe", "basic", "--key-file", "{bad}"], "is no key file"),
        (["{in}", "{out}", "--recipe", "basic"], "--key-file"),
        (["{in}", "{out}"], "--recipe"),
        (["{tmp}/none", "{out}", "--recipe", "basic", "--key-file", "{key}"], "There is no"),
        (["{empty}", "{out}", "--recipe", "basic", "--key-file", "{key}"], "There is no file in"),
        (["{in}", "{in}/out", "--recipe", "basic", "--key-file", "{key}"], "inside each other"),
        (["{in}", "{full}", "--recipe", "basic", "--key-file", "{key}"], "not empty"),
        (
            ["{in}", "{out}", "--recipe", "basic", "--key-file", "{key}", "--mapping", "{out}/map.csv"],
            "--mapping|secret|written",
        ),
        (["{in}", "{out}", "--recipe", "basic", "--key-file", "{key}", "--mapping", "{bad}"], "no mapping"),
        (["{in}", "{out}", "--recipe", "basic", "--key-file", "{key}", "--report", "{tmp}/no/r"], "cannot be written"),
        (["{in}", "{out}", "--recipe", "basic", "--key-file", "{key}", "--workers", "0"], "whole number"),
        (["{in}", "{out}", "--rec", "basic", "--key-file", "{key}"], "--recipe"),
        (["check-recipe", "no-such"], "There is no recipe"),
        (["check-recipe", "{bad}"], "line 1"),
        (["key", "{key}"], "never overwritten"),
        (["verify", "{bad}", "{in}"], "no certificate"),
        (["preview", "{in}", "--recipe", "no-such"], "There is no recipe"),
        (["convert", "ctp", "{tmp}/none"], "cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence_and_nothing_is_written(
    arguments: list[str], why: str, tmp_path: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {name: tmp_path / name for name in ("in", "out", "bad", "empty", "full")} | {"tmp": tmp_path, "key": key}
    write_image(places["in"] / "a", "P1", 1, 1)
    places["empty"].mkdir()
    places["full"].mkdir()
    (places["full"] / "other").write_text("of somebody else")
    places["bad"].write_text("nothing: of use\n")
    secret = key.read_bytes()

    try:
        code = main([argument.format(**places) for argument in arguments])
    except SystemExit as stopped:  # by argparse
        code = stopped.code
    said = "".join(capsys.readouterr())

    assert code == 2
    assert re.search(why, said)
    assert "Traceback" not in said
    assert outputs(places["out"]) == {}
    assert key.read_bytes() == secret
    assert places["bad"].read_text() == "nothing: of use\n"


def test_another_recipe_key_or_project_needs_another_folder(studies: Path, key: Path, tmp_path: Path) -> None:
    finished(studies, tmp_path / "out", "--recipe", "basic", "--key-file", key)
    for other in (["--recipe", "minimal"], ["--recipe", "basic", "--project", "other"]):
        said = finished(studies, tmp_path / "out", *other, "--key-file", key, code=2)
        assert "was made with another" in said


def test_what_stays_in_the_folder_to_go_on_names_nobody(studies: Path, key: Path, tmp_path: Path) -> None:
    finished(studies, tmp_path / "out", "--recipe", "basic", "--key-file", key)

    content = (tmp_path / "out" / NAME).read_bytes().lower()
    assert [secret for secret in (*SECRETS, "1.2.3.1") if secret.encode() in content] == []


def test_a_key_is_made_for_its_owner_only_and_named_without_telling_it(tmp_path: Path) -> None:
    path = tmp_path / "k"
    made = finished("key", path)

    assert mode(path) == 0o600
    assert re.fullmatch(r"[0-9a-f]{64}\n", path.read_text())
    assert path.read_text().strip() not in made
    assert finished("key", path, "--show") == made
    assert finished("key", path, "--show", "--project", "other") != made
    path.chmod(0o644)
    assert "Others may read the key file" in finished("key", path, "--show")


def test_a_recipe_is_checked(tmp_path: Path) -> None:
    assert "this recipe is right" in finished("check-recipe", "research")
    (tmp_path / "r.yaml").write_text("name: mine\nprofile: basic\noverrides:\n  NoSuchKeyword: keep\n")
    assert "line 4" in finished("check-recipe", tmp_path / "r.yaml", code=2)
