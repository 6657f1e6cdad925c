"""Tokens are made, listed and revoked by a command; the node keeps a keyed hash, and each change is in the history."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.core.management import CommandError, call_command

from main import tokens
from main.models import ApiToken, Event


def command(*words: str) -> dict[str, Any]:
    """What the command says."""
    said = io.StringIO()
    call_command("tokens", *words, "--json", stdout=said)
    facts: dict[str, Any] = json.loads(said.getvalue())
    return facts


def test_a_token_is_shown_once_and_kept_as_a_keyed_hash(meier: User) -> None:
    made = command("add", "viewer", "--user", "meier", "--days", "30", "--reason", "Ward 3")
    token = made["token"]
    assert len(token) > 45
    assert made["lacking"] == []
    found = tokens.recognised(token)
    assert found is not None
    assert (found.user, found.rights, found.reason) == (meier, ["restore"], "Ward 3")
    kept = serializers.serialize("json", [*ApiToken.objects.all(), *Event.objects.all()])
    assert token not in kept
    assert hashlib.sha256(token.encode()).hexdigest() not in kept
    listed = json.dumps(command("list"))
    assert "viewer" in listed
    assert token not in listed


def test_each_change_is_in_the_history(meier: User) -> None:
    command("add", "viewer", "--user", "meier")
    assert command("revoke", "viewer") == {"name": "viewer"}
    sentences = list(Event.objects.filter(kind="token").order_by("pk").values_list("sentence", flat=True))
    assert sentences == ["Token viewer acts for meier for 365 days: restore.", "Token viewer was revoked."]
    assert command("list") == {"tokens": []}


def test_a_user_without_the_right_is_said(db: None) -> None:
    User.objects.create_user("nurse")
    assert command("add", "viewer", "--user", "nurse")["lacking"] == ["restore"]


def test_when_it_was_used_is_listed(meier: User) -> None:
    token = command("add", "viewer", "--user", "meier")["token"]
    assert command("list")["tokens"][0]["last_used_at"] is None
    assert tokens.recognised(token)
    assert command("list")["tokens"][0]["last_used_at"]
    assert tokens.recognised(token + "x") is None
    assert tokens.recognised("") is None


@pytest.mark.parametrize(
    "words",
    [
        ["add"],
        ["list", "viewer"],
        ["add", "viewer"],
        ["add", "viewer", "--user", "nobody"],
        ["add", "viewer", "--user", "meier", "--days", "0"],
        ["add", "x" * 41, "--user", "meier"],
        ["add", "there", "--user", "meier"],
        ["revoke", "viewer"],
    ],
)
def test_a_wrong_use_is_said(meier: User, words: list[str]) -> None:
    command("add", "there", "--user", "meier")
    with pytest.raises(CommandError) as refused:
        call_command("tokens", *words)
    assert refused.value.returncode == 2
    assert ApiToken.objects.count() == 1
