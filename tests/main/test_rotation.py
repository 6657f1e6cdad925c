"""A vault key is rotated while the node works: nothing becomes unreadable, an interrupted run goes on, old keys go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from main import identity, rotation
from main.demo import write_study
from main.models import Image, KeyRecord, Series, SeriesIdentifiers, Study, Subject
from sendit import keys
from tests.main.conftest import Node

pytestmark = [pytest.mark.django_db, pytest.mark.everydatabase]


@pytest.fixture
def own_keys(settings: Any, tmp_path: Path, db: None) -> Path:
    settings.KEYS_DIR = tmp_path / "keys"
    KeyRecord.objects.all().delete()
    return settings.KEYS_DIR


@pytest.fixture
def filled(own_keys: Path, node: Node) -> Path:
    """A node with a study in it."""
    node.drop("study", lambda folder: write_study(folder / "1", 3))
    assert Image.objects.exists()
    return own_keys


def under(key: str) -> tuple[int, int]:
    """How many sealed values open with `key`, and how many there are."""
    fernet, opened, total = Fernet(key), 0, 0
    for model, name in rotation.columns():
        for token in model._default_manager.exclude(**{name: ""}).values_list(name, flat=True):
            opened += rotation._opens(fernet, token)
            total += 1
    return opened, total


def test_every_sealed_column_is_known() -> None:
    models = {model for model, _ in rotation.columns()}
    assert {Subject, Study, Series, Image, SeriesIdentifiers} <= models


def test_the_key_is_rotated_and_the_old_one_let_go(filled: Path, node: Node) -> None:
    [old] = identity.vault_keys()
    before = [identity.unseal_values(token) for token in Image.objects.order_by("pk").values_list("sealed", flat=True)]

    call_command("rotate_keys", "--new-key", "--json")
    new, _ = identity.vault_keys()
    assert under(new) == (0, under(old)[1])
    call_command("rotate_keys", "--json")

    assert under(new)[0] == under(new)[1] > 5
    assert identity.vault_keys() == [new]
    assert keys.read(filled, "vault-old") == old
    after = [identity.unseal_values(token) for token in Image.objects.order_by("pk").values_list("sealed", flat=True)]
    assert after == before


def test_a_running_process_seals_under_the_new_key_at_once(filled: Path) -> None:
    identity.seal("before")
    call_command("rotate_keys", "--new-key", "--json")
    assert rotation._opens(Fernet(identity.vault_keys()[0]), identity.seal("after"))


def test_a_run_that_was_interrupted_goes_on(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "PIECE", 1)
    call_command("rotate_keys", "--new-key", "--json")
    new, old = identity.vault_keys()
    seen = 0

    def stop() -> None:
        nonlocal seen
        seen += 1
        if seen == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotation.reseal(stop)
    done, total = under(new)
    assert 0 < done < total
    assert rotation.let_go() is False
    assert identity.vault_keys() == [new, old]

    assert rotation.reseal(lambda: None) == total - done
    assert rotation.let_go() is True


def test_keys_of_the_settings_are_rotated_without_touching_files(filled: Path, settings: Any) -> None:
    [old] = identity.vault_keys()
    new = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEY = [new, old]
    with pytest.raises(CommandError, match="ENCRYPTION_KEY"):
        call_command("rotate_keys", "--new-key")
    identity._keyring.cache_clear()  # what a new process does
    call_command("rotate_keys", "--json")

    settings.ENCRYPTION_KEY = [new]
    identity._keyring.cache_clear()
    identity.keyring()
    assert under(new)[0] == under(new)[1]
    settings.ENCRYPTION_KEY = [old]
    identity._keyring.cache_clear()
    with pytest.raises(ImproperlyConfigured, match="not the one"):
        identity.keyring()
    identity._keyring.cache_clear()
    assert keys.read(filled, "vault") == old


def test_with_one_key_there_is_nothing_to_rotate(own_keys: Path) -> None:
    with pytest.raises(CommandError, match="--new-key"):
        call_command("rotate_keys")
    call_command("rotate_keys", "--new-key", "--json")
    with pytest.raises(CommandError, match="already"):
        call_command("rotate_keys", "--new-key")
