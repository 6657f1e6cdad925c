"""Who may see original values is said, given and taken by a command, on the record."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.core.management.base import CommandError

from main.management.commands._base import system_user
from main.models import Event
from main.rights import ORIGINALS, RIGHTS


@pytest.fixture
def meier(db: None) -> User:
    return User.objects.create_user("meier")


def access(*arguments: str) -> tuple[int, Any]:
    """Exit code and facts."""
    out, code = io.StringIO(), 0
    try:
        call_command("access", *arguments, "--json", stdout=out)
    except SystemExit as ended:
        code = int(str(ended.code))
    return code, json.loads(out.getvalue())


def may(user: User) -> bool:
    """Whether the user has the right, asked anew."""
    return User.objects.get(pk=user.pk).has_perm(ORIGINALS.permission)


def test_a_right_is_given_and_taken_away(meier: User) -> None:
    assert access("list") == (0, {"users": {}})
    assert access("grant", "meier") == (0, {"user": "meier", "changed": True, "by": ["granted"]})
    assert may(meier)
    assert access("list") == (0, {"users": {"meier": ["granted"]}})
    assert access("revoke", "meier") == (0, {"user": "meier", "changed": True, "by": []})
    assert not may(meier)


def test_each_change_is_on_the_record_once(meier: User) -> None:
    for verb in ("grant", "grant", "revoke", "revoke"):
        access(verb, "meier")
    told = list(Event.objects.order_by("pk").values_list("kind", "sentence"))
    assert told == [
        ("access", "User meier may see original values from now on."),
        ("access", "User meier may no longer see original values."),
    ]


def test_a_right_by_another_way_is_not_passed_over(meier: User) -> None:
    group = Group.objects.create(name="radiology")
    group.permissions.add(Permission.objects.get(codename="view_originals"))
    meier.groups.add(group)
    User.objects.create_superuser("root")
    assert access("revoke", "meier") == (1, {"user": "meier", "changed": False, "by": ["group radiology"]})
    assert access("list")[1] == {"users": {"meier": ["group radiology"], "root": ["superuser"]}}


def test_who_may_not_sign_in_sees_nothing(meier: User) -> None:
    access("grant", "meier")
    User.objects.update(is_active=False)
    assert not may(meier)
    assert access("list")[1] == {"users": {}}


@pytest.mark.parametrize("right", ["originals", "nodes", "restore"])
def test_every_right_is_given_by_its_name(meier: User, right: str) -> None:
    assert access("grant", "meier", "--right", right)[1]["changed"]
    held = User.objects.get(pk=meier.pk)
    assert [name for name, one in RIGHTS.items() if one.has(held)] == [right]


def test_a_user_is_made_without_rights_and_signs_in(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a long password\n"))
    assert access("add", "huber") == (0, {"user": "huber"})
    user = User.objects.get(username="huber")
    assert user.check_password("a long password")
    assert not user.is_superuser
    assert not user.get_all_permissions()
    told = Event.objects.get(kind="access")
    assert (told.actor, told.sentence) == (system_user(), "User huber was made.")


@pytest.mark.parametrize(
    ("name", "typed"), [("meier", "a long password"), ("huber", "short"), ("h b/r", "a long password")]
)
def test_a_user_that_cannot_be_is_not_made(meier: User, monkeypatch: pytest.MonkeyPatch, name: str, typed: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{typed}\n"))
    with pytest.raises(CommandError) as refused:
        call_command("access", "add", name)
    assert refused.value.returncode == 2
    assert User.objects.count() == 1


@pytest.mark.parametrize("arguments", [("grant", "nobody"), ("grant",), ("add",), ("list", "meier")])
def test_a_wrong_use_is_said(meier: User, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("access", *arguments)
    assert refused.value.returncode == 2
