"""No identity outside the vault: keys are never changed silently, values never in the clear."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from pydicom import Dataset, dcmread

from main import identity
from main.demo import SECRETS, find_secrets, write_study
from main.models import Event, FileOutcome, Image, KeyRecord
from tests.main.conftest import Node, statuses


@pytest.fixture
def fresh_keys(settings: Any, tmp_path: Path, db: None) -> Any:
    settings.KEYS_DIR = tmp_path / "keys"
    KeyRecord.objects.all().delete()
    return settings.KEYS_DIR


def test_keys_are_made_once_and_only_for_their_owner(fresh_keys: Path) -> None:
    first = identity.keyring()
    assert identity.keyring().pseudonym == first.pseudonym
    assert {path.stat().st_mode & 0o777 for path in fresh_keys.iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["vault", "index", "pseudonym"])
def test_a_key_that_is_missing_or_another_one_refuses_the_start(fresh_keys: Path, name: str) -> None:
    identity.keyring()
    identity._keyring.cache_clear()  # what a new process does
    (fresh_keys / f"{name}.key").unlink()
    with pytest.raises(ImproperlyConfigured, match="existed before"):
        identity.keyring()
    new = Fernet.generate_key().decode() if name == "vault" else "ab" * 32
    (fresh_keys / f"{name}.key").write_text(new)
    with pytest.raises(ImproperlyConfigured, match="not the one"):
        identity.keyring()


def test_patients_without_an_id_are_never_put_together() -> None:
    assert identity.patient_key("", "", "1.2.3") != identity.patient_key("", " ", "1.2.4")
    assert identity.patient_key("A", "7", "1") != identity.patient_key("B", "7", "1")
    assert identity.patient_key("A", " 7 ", "1") == identity.patient_key("A", "7", "2")


def test_equal_values_of_different_kinds_have_unrelated_indexes(db: None) -> None:
    assert identity.blind_index("study", "1.2") != identity.blind_index("series", "1.2")


@pytest.mark.parametrize("text", ["", "Doe^Jane", "山田", "\udcff odd"])
def test_what_is_sealed_opens_again_and_is_not_readable(db: None, text: str) -> None:
    token = identity.seal(text)
    assert identity.unseal(token) == text
    assert text == "" or text.encode("utf-8", "replace") not in token.encode()


def test_another_project_gives_unlinked_pseudonyms(node: Node, settings: Any) -> None:
    from main.identifiers import Request, keyed

    request = Request("patient", "4711", "A1", "", "")
    first = keyed.Provider().identify(request).values["PatientID"]
    assert keyed.Provider().identify(request).values["PatientID"] == first
    settings.SENDIT_PROJECT = "another"
    assert keyed.Provider().identify(request).values["PatientID"] != first


def test_nothing_of_the_patient_is_in_an_output_a_log_a_row_or_a_command(
    node: Node, caplog: pytest.LogCaptureFixture, ct: Dataset
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets: set[str] = set()

    def fill(folder: Path) -> None:
        secrets.update(write_study(folder / "QUINBY ADALBERTA", 3))
        broken = folder / "ADALBERTA.dcm"
        broken.write_bytes((folder / "QUINBY ADALBERTA" / "IM0001.dcm").read_bytes()[:-500])
        import os

        os.utime(broken, (1, 1))
        ct.PatientName, ct.PatientID = SECRETS["PatientName"], ""
        ct.StudyInstanceUID = ""
        ct.save_as(folder / "QUINBY.dcm")

    batch = node.drop("ADALBERTA QUINBY 1937", fill)
    assert statuses(batch) == {"SENT": 3}
    assert FileOutcome.objects.filter(held=True).count() == 2
    assert not list(find_secrets(node.out(), secrets))
    assert len(list(find_secrets(batch.folder.rglob("*.dcm"), secrets))) == 5, "the search finds what is there"

    words = {*secrets, "ADALBERTA", "QUINBY"}
    texts = [caplog.text]
    for model in (Image, FileOutcome, Event, type(batch)):
        texts += [str(row) for row in model.objects.values()]
    for command in (["status"], ["quarantine", "list"], ["show_config"], ["cleanup", "--dry-run"]):
        for form in ([], ["--json"]):
            out = io.StringIO()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("main.management.commands._base.sys.exit", lambda code: None)
                call_command(*command, *form, stdout=out)
            texts.append(out.getvalue())
    assert not [word for word in words for text in texts if word in text]


def test_the_output_names_the_pseudonym_and_the_profile(node: Node) -> None:
    node.drop("d", lambda folder: write_study(folder / "x", 1))
    out = dcmread(node.out()[0])
    assert str(out.PatientID).startswith("ANON-")
    assert out.PatientIdentityRemoved == "YES"
    assert out.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
