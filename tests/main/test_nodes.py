"""Nodes are registered in words that cannot be misread, and every change of them is on the record."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import CommandError

from main import nodes
from main.models import Event, Node
from main.refusals import Refusals
from tests.peers import StoreSCP, free_port

pytestmark = pytest.mark.django_db

CT = ("add", "CT", "--calling", "CT1", "--from", "10.0.0.7")


def ran(*arguments: str) -> tuple[int, Any]:
    """Exit code and facts."""
    out, code = io.StringIO(), 0
    try:
        call_command("nodes", *arguments, "--json", stdout=out)
    except SystemExit as ended:
        code = int(str(ended.code))
    return code, json.loads(out.getvalue())


def refused(*arguments: str) -> str:
    """What is said of a wrong use, which changes nothing."""
    before = list(Node.objects.values())
    with pytest.raises(CommandError) as caught:
        call_command("nodes", *arguments)
    assert caught.value.returncode == 2
    assert list(Node.objects.values()) == before
    return str(caught.value)


def told() -> list[str]:
    return list(Event.objects.filter(kind__startswith="node-").order_by("pk").values_list("sentence", flat=True))


def test_a_node_is_added_listed_and_removed() -> None:
    code, facts = ran(*CT, "--from", "10.1.0.0/16", "--quiet", "90")
    assert (code, facts["changed"], facts["addresses"]) == (0, True, ["10.0.0.7", "10.1.0.0/16"])
    assert "listens on this machine only" in " ".join(facts["notes"])
    code, facts = ran("list")
    assert (code, [one["name"] for one in facts["nodes"]]) == (0, ["CT"])
    assert ran("remove", "CT") == (0, {"name": "CT", "removed": True})
    assert not Node.objects.exists()
    assert told() == [
        "Node CT was added: calls itself CT1, from 10.0.0.7 or 10.1.0.0/16, may store.",
        "Node CT was removed.",
    ]


def test_a_change_is_on_the_record_once() -> None:
    ran(*CT)
    for _ in range(2):
        ran(*CT, "--replace", "--no-store")
    assert told()[1:] == [
        "Node CT was changed (right to store). Now CT: calls itself CT1, from 10.0.0.7, may not store."
    ]


def test_every_one_has_to_be_said_with_a_word() -> None:
    assert "Say which AE titles" in refused("add", "CT", "--from", "10.0.0.7")
    assert "Say which addresses" in refused("add", "CT", "--calling", "CT1")
    assert "Either any or a list" in refused("add", "CT", "--calling", "any", "--calling", "CT1", "--from", "any")
    ran("add", "CT", "--calling", "CT1", "--from", "any")
    ran("add", "ward", "--calling", "any", "--from", "10.0.0.0/8")
    assert list(Node.objects.order_by("name").values_list("calling_ae_titles", "addresses")) == [
        (["CT1"], []),
        ([], ["10.0.0.0/8"]),
    ]


@pytest.mark.parametrize("everywhere", ["any", "0.0.0.0/0", "::/0"])
def test_no_node_lets_everybody_in(everywhere: str) -> None:
    assert "DICOM_PUBLIC=yes" in refused("add", "all", "--calling", "any", "--from", everywhere)
    ran("add", "by certificate", "--calling", "any", "--from", everywhere, "--tls-subject", "CN=ct1")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--from", "10.0.0.7/24"], "write 10.0.0.0/24 or 10.0.0.7"),
        (["--from", "300.0.0.1"], "neither a host name nor an IP address"),
        (["--from", "x y"], "neither a host name nor an IP address"),
        (["--calling", "A" * 17], "is no AE title"),
        (["--calling", "A\\B"], "is no AE title"),
        (["--host", "10.0.0.7"], "its host, port and AE title are needed"),
        (["--host", "10.0.0.7", "--port", "70000", "--called", "X"], "less than or equal to 65535"),
        (["--host", "no host", "--port", "104", "--called", "X"], "neither a host name"),
        (["--ask-count"], "say where it is called"),
        (["--quiet", "0"], "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_said(more: list[str], says: str) -> None:
    assert says in refused(*CT, *more)


def test_wrong_uses_are_said() -> None:
    ran(*CT)
    assert "There is a node CT" in refused(*CT)
    assert "There is no node MR" in refused("remove", "MR")
    assert "There is no node MR" in refused("test", "MR")
    assert "Say which" in refused("remove")
    assert "Say which" in refused("test")
    assert "Say which" in refused("test", "CT", "--all")


def test_a_name_is_one_line() -> None:
    with pytest.raises(ValidationError):
        nodes.save(Node(name="CT\nMR", calling_ae_titles=["CT1"]), "test")


def test_who_was_refused_today_is_listed() -> None:
    one = Refusals()
    one.add("10.0.0.7", "STORESCU", "DICOMRCV", "unknown")
    one.write()
    out = io.StringIO()
    call_command("nodes", "list", stdout=out)
    assert "STORESCU from 10.0.0.7, 1 times: Not one of the nodes." in out.getvalue()
    assert ran("list")[1]["refused"][0]["calling_ae_title"] == "STORESCU"


def test_a_test_ends_with_1_when_a_layer_fails(storescp: StoreSCP) -> None:
    called = ("--called", "STORESCP", "--host", "127.0.0.1", "--port")
    ran(*CT, *called, str(storescp.dicom_port))
    code, facts = ran("test", "CT")
    assert (code, [layer["outcome"] for layer in facts["CT"]]) == (0, ["ok"] * 5)
    ran("add", "down", "--calling", "X", "--from", "any", *called, str(free_port()))
    ran("add", "silent partner", "--calling", "Y", "--from", "any")
    code, facts = ran("test", "--all")
    assert code == 1
    assert [(name, layers[-1]["outcome"]) for name, layers in facts.items()] == [("CT", "ok"), ("down", "failed")]
