"""The operators' commands: exit codes that mean something, `--json` everywhere, secrets masked."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from pydicom.data import get_testdata_file

from main.bells import BROKER_AWAY
from main.destinations.configured import sync
from main.models import Batch, Destination, FileOutcome, Image, Series
from main.pipeline.sweep import STALLED_SECONDS
from tests.main.conftest import Node, copy_of, one


@pytest.fixture(autouse=True)
def configured(node: Node, settings: Any) -> None:
    settings.SENDIT_OUTBOX = node.outbox
    settings.DATA_DIR = node.outbox.parent / "data"


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and facts of a command with `--json`."""
    out, code = io.StringIO(), 0
    try:
        call_command(*arguments, "--json", stdout=out)
    except SystemExit as ended:
        code = int(str(ended.code))
    return code, json.loads(out.getvalue())


def folder(tmp_path: Path, *names: str) -> Path:
    made = tmp_path / "source"
    made.mkdir(exist_ok=True)
    for name in names:
        shutil.copyfile(str(get_testdata_file(name)), made / name)
    return made


def test_import_folder_waits_until_everything_has_its_outcome(node: Node, tmp_path: Path) -> None:
    code, facts = run("import_folder", str(folder(tmp_path, "CT_small.dcm", "MR_small.dcm")), "--wait")
    assert (code, facts["files"], facts["SENT"], facts["finished"]) == (0, 2, 2, True)
    assert len(node.out()) == 2


def test_import_folder_says_that_something_is_held(node: Node, tmp_path: Path) -> None:
    source = folder(tmp_path, "CT_small.dcm")
    (source / "letter.txt").write_text("not an image " * 50)
    code, facts = run("import_folder", str(source), "--wait", "--timeout", "60")
    assert (code, facts["not-dicom"]) == (1, 1)


def test_import_folder_that_cannot_finish_says_so(node: Node, tmp_path: Path) -> None:
    Destination.objects.update(held=True)
    code, facts = run("import_folder", str(folder(tmp_path, "CT_small.dcm")), "--wait", "--timeout", "1")
    assert (code, facts["finished"]) == (3, False)


def test_a_path_that_is_not_there_is_an_error(node: Node, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="does not exist"):
        call_command("import_folder", str(tmp_path / "none"))


def test_status_needs_a_person_when_something_is_held(node: Node) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    code, facts = run("status")
    assert code == 0
    assert facts["images"]["SENT"] == 1
    assert [stage["stage"] for stage in facts["pipeline"]] == [
        "register",
        "identify",
        "deidentify",
        "deliver",
        "cleanup",
    ]
    node.drop("e", lambda path: (path / "x").write_bytes(b"y" * 5000) and None)
    FileOutcome.objects.update(held=True)
    assert run("status")[0] == 1


def test_status_needs_a_person_when_nobody_takes_the_work(node: Node) -> None:
    node.hand_over("d", copy_of("CT_small.dcm"))
    assert run("status")[0] == 0
    Batch.objects.update(due_at=timezone.now() - timedelta(seconds=STALLED_SECONDS + 1))
    code, facts = run("status")
    assert (code, facts["stalled"]) == (1, True)


def test_quarantine_list_requeue_and_discard(node: Node) -> None:
    def fill(path: Path) -> None:
        (path / "letter.txt").write_bytes(b"not an image" * 50)
        os.utime(path / "letter.txt", (1, 1))

    batch = node.drop("d", fill)
    code, facts = run("quarantine", "list")
    assert (code, facts["groups"][0]["code"], len(facts["held"])) == (0, "not-dicom", 1)
    with pytest.raises(CommandError, match="Say which"):
        call_command("quarantine", "requeue")
    with pytest.raises(CommandError, match="reason"):
        call_command("quarantine", "discard", "--all")
    assert run("quarantine", "requeue", "--code", "not-dicom")[1] == {"count": 1}
    from main import work

    work.drain(seconds=10)
    assert run("quarantine", "discard", "--file", str(one(batch).pk), "--why", "a letter")[1] == {"count": 1}
    assert run("quarantine", "list")[1]["groups"] == []


def test_replay_and_retry(node: Node) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    series = Series.objects.get()
    assert run("replay", str(series.pk), "--from", "deidentify")[1] == {"images": 1}
    assert run("retry")[1] == {"deliveries": 0}
    with pytest.raises(CommandError, match="no such series"):
        call_command("replay", "999999", "--from", "deliver")


def test_cleanup_says_what_would_go_and_refuses_while_it_is_off(node: Node, settings: Any) -> None:
    node.drop("d", copy_of("CT_small.dcm"))
    assert run("cleanup", "--dry-run")[1]["images"] == 1
    assert Image.objects.count() == 1
    with pytest.raises(CommandError, match="SENDIT_CLEANUP is off"):
        call_command("cleanup")
    settings.SENDIT_CLEANUP, settings.SENDIT_RETENTION_HOURS = True, 0.0
    from django.utils import timezone

    Series.objects.update(due_at=timezone.now())
    assert run("cleanup")[1] == {"series": 1}
    assert Image.objects.count() == 0


def test_show_config_masks_secrets(node: Node, settings: Any) -> None:
    settings.ENVIRONMENT.values["POSTGRES_PASSWORD"] = "canary-secret"
    try:
        out = io.StringIO()
        call_command("show_config", stdout=out)
    finally:
        settings.ENVIRONMENT.values["POSTGRES_PASSWORD"] = ""
    assert "canary-secret" not in out.getvalue()
    assert "POSTGRES_PASSWORD = (set)" in out.getvalue()


def test_check_node_tries_everything_and_explains_what_fails(node: Node, settings: Any) -> None:
    code, facts = run("check_node")
    assert code == 0, facts
    assert {"database", "keys", "broker", "identifiers", "destination outbox"} <= set(facts)
    blocked = node.outbox.parent / "file"
    blocked.write_text("")
    settings.SENDIT_OUTBOX = blocked / "below"
    code, facts = run("check_node")
    assert code == 1
    assert not facts["destination outbox"]["ok"]


def test_check_node_says_that_the_broker_is_away(node: Node, settings: Any) -> None:
    settings.CELERY_BROKER_URL, settings.CELERY_BROKER_TRANSPORT_OPTIONS = "redis://127.0.0.1:1/0", {}
    code, facts = run("check_node")
    assert (code, facts["broker"]) == (1, {"ok": False, "says": BROKER_AWAY})


@pytest.mark.parametrize(
    ("database", "says"),
    [
        ({"DATABASE_ENGINE": "sqlite"}, "run `manage.py migrate`"),
        (
            {"DATABASE_ENGINE": "postgresql", "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "1"},
            "postgresql does not answer: connection failed",
        ),
    ],
)
def test_check_node_explains_a_database_that_is_away_or_was_never_migrated(
    tmp_path: Path, database: dict[str, str], says: str
) -> None:
    facts = json.loads(manage(tmp_path, database, "check_node", "--json").stdout)
    assert says in facts["database"]["says"]
    assert "fault of sendit" not in str(facts)


def test_a_database_that_is_away_is_a_sentence_and_never_a_traceback(tmp_path: Path) -> None:
    away = {"DATABASE_ENGINE": "postgresql", "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": "1"}
    ended = manage(tmp_path, away, "status")
    assert ended.returncode == 1
    assert ended.stderr.startswith("The database does not answer, or refuses: connection failed")
    assert len(ended.stderr.splitlines()) == 1


def manage(folder: Path, settings: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, with its own data folder and settings."""
    environment = {**os.environ, "SENDIT_DATA_DIR": str(folder), **settings}
    command = [sys.executable, str(Path(__file__).parents[2] / "manage.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('[a]\nkind = "fax"\n', "kind is one of"),
        ('[a]\nkind = "dicom"\nhost = "x"\n', "needs port"),
        ('[a]\nkind = "folder"\npath = "/x"\ncolour = "red"\n', "colour"),
        ('[a]\nkind = "folder"\npath = "/x"\nrecipe = "none"\n', "trusted"),
        ('[a]\nkind = "folder"\npath = "/x"\nrecipe = "nonsense"\n', "recipe"),
        ('[a]\nkind = "folder"\npath = "/x"\nproof = "hope"\n', "proof is one of"),
        ("[a\n", "not TOML"),
    ],
)
def test_a_destination_that_is_configured_wrong_is_named(node: Node, settings: Any, toml: str, says: str) -> None:
    settings.SENDIT_DESTINATIONS = node.inbox / "destinations.toml"
    settings.SENDIT_DESTINATIONS.write_text(toml)
    code, facts = run("check_node")
    assert code == 1
    assert says in facts["destinations"]["says"]


def test_a_destination_that_is_no_longer_configured_is_disabled_not_deleted(node: Node, settings: Any) -> None:
    settings.SENDIT_DESTINATIONS = node.inbox / "destinations.toml"
    settings.SENDIT_DESTINATIONS.write_text(f'[archive]\nkind = "folder"\npath = "{node.outbox}"\n')
    sync()
    assert set(Destination.objects.filter(enabled=True).values_list("name", flat=True)) == {"archive", "outbox"}
    settings.SENDIT_DESTINATIONS.write_text("")
    sync()
    assert Destination.objects.get(name="archive").enabled is False


def test_a_command_without_the_nodes_environment_switches_no_destination_off(node: Node, tmp_path: Path) -> None:
    Destination.objects.create(name="pacs", kind="folder", recipe="basic", settings={"path": str(tmp_path / "pacs")})
    for command in (["check_node"], ["import_folder", str(folder(tmp_path, "CT_small.dcm"))], ["sweep"]):
        run(*command)
    assert Destination.objects.filter(enabled=True).count() == 2
