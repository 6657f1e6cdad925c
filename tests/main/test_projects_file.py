"""The file of the projects: every mistake is named with its project and what is accepted, before anything goes by it."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from main import work
from main.destinations.configured import sync
from main.models import Batch, Study
from main.projects import default, projects
from tests.main.conftest import Node
from tests.main.projects import Projects, real

BAD = [
    ("trial = 1", "'trial' is not a table: write [trial] and its lines below."),
    ("[trial", "SENDIT_PROJECTS is not TOML"),
    ('["a b"]', "a name is 1 to 40 letters, digits, - and _."),
    (f"[{'a' * 41}]", "a name is 1 to 40 letters"),
    ("[a]\nfolder = 1", "project 'a': folder is not known; accepted: called_ae_titles, calling_ae_titles, "),
    ("[a]\nrecipe = 1", "recipe is a text in quotes, not 1."),
    ('[a]\nrecipe = "nowhere.yaml"', "recipe 'nowhere.yaml': There is no recipe"),
    ('[a]\nrecipe = "none"', "recipe 'none' sends originals on. That is for a destination to have"),
    ('[a]\nrecipe = "{folder}/passes.yaml"', "sends originals on."),
    ('[a]\nidentifiers = "magic"', "identifiers is one of keyed, sequential, csv, dasher, gpas, not 'magic'."),
    ('[a]\nidentifiers = ["keyed"]', "identifiers is one of keyed"),
    ('[a]\ndestinations = "x"', "destinations is a list such as"),
    ("[a]\ndestinations = []", "with one entry at least"),
    ('[a]\ndestinations = ["x", "x"]', "destinations has an entry twice."),
    ('[a]\ndestinations = [""]', "an entry of destinations is a text in quotes"),
    ('[a]\nkey_file = "key"', "key_file is an absolute path"),
    ('[a]\nkey_file = "{folder}/no.key"', "the key file {folder}/no.key cannot be read (No such file or directory)."),
    ('[a]\nkey_file = "{folder}/short.key"', "the key file {folder}/short.key does not hold 64 hexadecimal digits."),
    ('[a]\nfolders = ["in"]', "an entry of folders is an absolute path"),
    ('[a]\nfolders = ["{folder}/unwatched"]', "{folder}/unwatched is not watched: add it to SENDIT_WATCH."),
    ('[a]\nfolders = ["{received}"]', "is the folder of the DICOM receiver: what comes by DICOM is told by AE titles."),
    ('[a]\ncalled_ae_titles = ["SEVENTEEN LETTERS"]', "is no AE title"),
    ('[a]\ncalling_ae_titles = ["A\\\\B"]', "is no AE title"),
    ("[a]\nwhen = {}", "when has lines KEYWORD ="),
    ('[a]\nwhen = "CT"', "when has lines KEYWORD ="),
    ('[a]\nwhen.Modalty = "CT"', "'Modalty' is no keyword of an attribute in PS3.6."),
    ('[a]\nwhen.PixelData = "CT"', "PixelData (OB or OW) is no text or whole number to compare."),
    ("[a]\nwhen.Modality = 1.5", "when.Modality is a text in quotes, a whole number, or a list of them."),
    ("[a]\nwhen.Modality = []", "when.Modality is a text in quotes"),
    ('[a]\ngpas_create = "perhaps"', "gpas_create is yes or no"),
    ("[a]\nsequence = 3", "sequence is a text in quotes"),
    ('[a]\nidentifiers_file = "table.csv"', "identifiers_file is an absolute path"),
    ('[a]\ndasher_custom_fields = ["x"]', "dasher_custom_fields has the tables entity and item"),
    ('[a]\ndasher_custom_fields.patient.x = "y"', "dasher_custom_fields has the tables entity and item"),
    ("[a]\ndasher_custom_fields.entity.x = 1", "dasher_custom_fields.entity.x is a text in quotes"),
    (
        '[a]\nfolders = ["{folder}/in"]\n[b]\nfolders = ["{folder}/in"]',
        "projects 'a' and 'b' both have the folder {folder}/in. Give it to one of them, or add a rule (when).",
    ),
    ('[a]\ncalled_ae_titles = ["X"]\n[b]\ncalled_ae_titles = ["Y", "X"]', "both have the called AE title X."),
    ('[a]\ncalling_ae_titles = ["X"]\n[b]\ncalling_ae_titles = ["X"]', "both have the calling AE title X."),
    ('[a]\nwhen.Modality = "CT"\n[b]\nwhen.Modality = ["CT"]', "projects 'a' and 'b' have the same rule."),
    ('[a]\nidentifiers = "sequential"\n[b]\nidentifiers = "sequential"', "two patients would have one name."),
    ('[a]\nidentifiers = "csv"\n[b]\nidentifiers = "csv"', "both have the same table of patients"),
    (
        '[a]\nidentifiers = "dasher"\n[b]\nidentifiers = "dasher"\ndasher_study = "TEST"',
        "ask DASHER for the same study",
    ),
    (
        '[a]\nidentifiers = "gpas"\ngpas_domain = "x"\n[b]\nidentifiers = "gpas"\ngpas_domain = "y"\n'
        'gpas_accession_domain = "x"',
        "both ask gPAS for the domain x",
    ),
]


@pytest.fixture
def file(node: Node, tmp_path: Path, settings: Any) -> Projects:
    """A node with a watched folder, and what bad lines refer to."""
    (tmp_path / "short.key").write_text("ab" * 31)
    (tmp_path / "passes.yaml").write_text("name: passes\nprofile: none\n")
    found = Projects(node, tmp_path, settings)
    found.watched("in")
    return found


@pytest.mark.parametrize(("text", "says"), BAD, ids=[says[:40] for _, says in BAD])
def test_every_mistake_is_named(file: Projects, tmp_path: Path, settings: Any, text: str, says: str) -> None:
    file.write(text.replace("{received}", str(settings.DICOM_FOLDER)))
    with pytest.raises(ImproperlyConfigured, match=re.escape(says.replace("{folder}", str(tmp_path)))):
        projects()


def test_a_file_that_is_not_there_is_named(settings: Any, tmp_path: Path) -> None:
    settings.SENDIT_PROJECTS = tmp_path / "none.toml"
    with pytest.raises(ImproperlyConfigured, match="SENDIT_PROJECTS names a file that cannot be read"):
        projects()


def test_a_key_is_in_no_complaint_and_no_description(file: Projects, tmp_path: Path) -> None:
    secret = "5e" * 32
    (tmp_path / "a.key").write_text(secret)
    file.write('[a]\nkey_file = "{folder}/a.key"\n')
    said = repr(projects()) + str(projects()["a"].described())
    assert "of its own" in said
    assert secret not in said
    assert str(bytes.fromhex(secret)) not in said


def test_the_default_project_may_be_in_the_file(file: Projects, settings: Any) -> None:
    file.write('[default]\nrecipe = "research"\n[a]\ncalled_ae_titles = ["A"]\n')
    assert default().recipe == "research"
    assert list(projects()) == ["default", "a"]


def test_a_rule_may_be_shared_with_a_source_and_a_source_with_rules(file: Projects) -> None:
    file.write(
        '[a]\nfolders = ["{folder}/in"]\n[b]\nfolders = ["{folder}/in"]\nwhen.Modality = "CT"\n'
        '[c]\nfolders = ["{folder}/in"]\nwhen.Rows = [512, 256]\n'
    )
    assert str(projects()["c"].when) == "Rows: 256 or 512"


def test_a_change_is_seen_at_once_and_while_the_file_is_wrong_drops_wait(file: Projects, tmp_path: Path) -> None:
    file.write('[a]\nfolders = ["{folder}/in"]\n')
    file.drop(tmp_path / "in", real())
    file.write("[a\n")
    work.drain(seconds=10)
    batch = Batch.objects.get()
    assert (batch.stage, batch.error_code) == ("register", "settings")
    assert "SENDIT_PROJECTS is not TOML" in batch.error
    file.write('[b]\nfolders = ["{folder}/in"]\n')
    Batch.objects.update(due_at=batch.received_at)
    work.drain(seconds=60)
    assert Study.objects.get().project == "b"


def test_the_node_does_not_start_with_a_wrong_file(file: Projects) -> None:
    file.write('[a]\ndestinations = ["attic"]\n')
    with pytest.raises(ImproperlyConfigured, match="'a' delivers to attic"):
        sync()


def test_check_node_and_show_config_say_what_there_is(
    file: Projects, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def facts(command: str) -> dict[str, Any]:
        with contextlib.suppress(SystemExit):
            call_command(command, as_json=True)
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    assert "projects" not in facts("show_config"), "nobody must know"
    assert "identifiers" in facts("check_node")
    assert "projects" not in facts("status")

    file.write('[a]\nfolders = ["{folder}/in"]\nidentifiers = "csv"\n')
    assert facts("show_config")["projects"]["a"] == {"identifiers": "csv", "folders": str(tmp_path / "in")}
    found = facts("check_node")
    assert found["projects"] == {"ok": True, "says": "a, default; what belongs to no other goes by default"}
    assert found["identifiers of project default"]["ok"]
    assert not found["identifiers of project a"]["ok"], "there is no table"

    file.write('[a]\nfolders = ["{folder}/in"]\n')
    file.drop(tmp_path / "in", real())
    work.drain(seconds=60)
    assert facts("status")["projects"]["a"]["SENT"] == 1
    file.write('[b]\nfolders = ["{folder}/in"]\n')
    assert "projects that are not configured any more: a." in facts("check_node")["projects"]["says"]
    file.write("[b\n")
    assert "SENDIT_PROJECTS is not TOML" in facts("check_node")["projects"]["says"]
    assert facts("show_config")["SENDIT_PROJECTS"]
