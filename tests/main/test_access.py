"""Closed until opened: a caller is let in only by a node that recognises it, whatever the database does meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from main import host_names, refusals
from main.access import LOOPBACK_ONLY, Access, Admitted, notes
from main.models import Node, Refusal
from main.refusals import Refusals
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Caller:
    """Who asks."""

    address: str = "10.0.0.7"
    calling_ae_title: str = "CT1"
    tls_subject: str = ""


@contextmanager
def reading() -> Iterator[Access]:
    """The access of a receiver process, which reads the nodes quickly."""
    with Access(every=0.02) as access:
        yield access
    connections.close_all()


def who(access: Access, **facts: str) -> str | None:
    found = access.admitted(Caller(**facts))
    return found and found.name


def test_without_nodes_nobody_gets_in() -> None:
    with reading() as access:
        assert access.admitted(Caller()) is None


def test_a_node_is_recognised_by_title_and_address() -> None:
    one = Node.objects.create(name="CT", calling_ae_titles=["CT1", "CT2"], addresses=["10.0.0.7"], quiet=90)
    with reading() as access:
        assert access.admitted(Caller()) == Admitted("CT", one.pk, 90)
        assert who(access, calling_ae_title="CT2") == "CT"
        assert who(access, calling_ae_title="ct1") is None
        assert who(access, calling_ae_title="CT3") is None
        assert who(access, address="10.0.0.8") is None
        assert who(access, address="not an address") is None


@pytest.mark.parametrize(
    ("registered", "caller", "gets_in"),
    [
        ("10.0.0.0/8", "10.255.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("2001:db8::/32", "2001:db8:1::5", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("2001:db8::1", "2001:0db8:0:0:0:0:0:1", True),
        ("fe80::/10", "fe80::1%eth0", True),
        ("localhost", "127.0.0.1", True),
        ("localhost", "10.0.0.7", False),
        ("no-such-host.invalid", "10.0.0.7", False),
    ],
)
def test_addresses_are_single_ones_networks_and_names(registered: str, caller: str, gets_in: bool) -> None:
    Node.objects.create(name="CT", calling_ae_titles=["CT1"], addresses=[registered])
    with reading() as access:
        assert (who(access, address=caller) == "CT") is gets_in


def test_a_node_with_a_certificate_is_recognised_by_tls_only() -> None:
    Node.objects.create(name="CT", calling_ae_titles=["CT1"], tls_subject="CN=ct1,O=Hospital")
    with reading() as access:
        assert who(access) is None
        assert who(access, tls_subject="CN=ct2,O=Hospital") is None
        assert who(access, tls_subject="CN=ct1,O=Hospital") == "CT"


def test_of_several_nodes_the_one_that_asks_for_the_most_decides() -> None:
    Node.objects.create(name="A ward", addresses=["10.0.0.0/8"])
    Node.objects.create(name="B scanner", calling_ae_titles=["CT1"], addresses=["10.0.0.7"])
    Node.objects.create(name="C closed", calling_ae_titles=["CT9"], addresses=["10.0.0.9"], may_store=False)
    with reading() as access:
        assert who(access) == "B scanner"
        assert who(access, calling_ae_title="CT2") == "A ward"
        assert who(access, calling_ae_title="CT9", address="10.0.0.9") is None, "the ward's right is not its right"


def test_public_lets_everybody_in_but_those_who_are_shut_out(settings: Any) -> None:
    settings.DICOM_PUBLIC = True
    Node.objects.create(name="closed", calling_ae_titles=["CT9"], may_store=False)
    with reading() as access:
        assert access.admitted(Caller()) == Admitted("public", None, None)
        assert who(access, calling_ae_title="CT9") is None


def test_a_change_counts_from_the_next_reading_on() -> None:
    with reading() as access:
        Node.objects.create(name="CT", calling_ae_titles=["CT1"])
        eventually(lambda: who(access) == "CT")
        Node.objects.all().delete()
        eventually(lambda: who(access) is None)


def test_while_the_database_is_away_the_last_known_nodes_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    Node.objects.create(name="CT", calling_ae_titles=["CT1"])
    tried = threading.Semaphore(0)

    def away(*args: object) -> None:
        tried.release()
        raise OperationalError("the server closed the connection")

    with reading() as access:
        assert who(access) == "CT"
        monkeypatch.setattr(Node.objects, "defer", away)
        access.refused("10.0.0.9", "X", "US", "unknown")
        assert tried.acquire(timeout=30)
        assert tried.acquire(timeout=30)
        assert who(access) == "CT"
        assert not Refusal.objects.exists()
        monkeypatch.undo()
        eventually(Refusal.objects.exists, what="the refusal of meanwhile")


def test_nodes_that_were_never_read_let_nobody_in(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.DICOM_PUBLIC = True
    Node.objects.create(name="CT", calling_ae_titles=["CT1"])

    def away(*args: object) -> None:
        raise OperationalError("no")

    monkeypatch.setattr(Node.objects, "defer", away)
    access = Access(every=0.02).start(within=0.2)
    try:
        assert access.admitted(Caller()) is None
        monkeypatch.undo()
        eventually(lambda: who(access) == "CT")
    finally:
        access.stop()


def test_a_name_server_that_hangs_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    Node.objects.create(name="by name", calling_ae_titles=["CT1"], addresses=["ct1.example.org"])
    Node.objects.create(name="by address", calling_ae_titles=["CT2"], addresses=["10.0.0.7"])
    answers = threading.Event()

    def hangs(*args: object, **more: object) -> list[object]:
        answers.wait(30)
        return [(0, 0, 0, "", ("10.0.0.7", 0))]

    monkeypatch.setattr(host_names.socket, "getaddrinfo", hangs)
    access = Access(every=0.02).start(within=0.2)
    try:
        assert who(access, calling_ae_title="CT2") == "by address"
        assert who(access) is None
        answers.set()
        eventually(lambda: who(access) == "by name")
    finally:
        access.stop()


def test_only_allowed_networks_may_connect(settings: Any) -> None:
    assert Access().may_connect("203.0.113.1")
    settings.DICOM_ALLOWED_NETWORKS = ["10.0.0.0/8", "2001:db8::/32"]
    access = Access()
    assert access.may_connect("10.1.2.3")
    assert access.may_connect("::ffff:10.1.2.3")
    assert access.may_connect("2001:db8::1")
    assert not access.may_connect("203.0.113.1")
    assert not access.may_connect("nonsense")


def test_what_a_person_should_know_is_said(settings: Any) -> None:
    assert notes() == [LOOPBACK_ONLY, "No node may send yet, so everybody is refused: add one."]
    settings.DICOM_BIND_ADDRESS, settings.DICOM_PUBLIC = "0.0.0.0", True
    assert [note[:19] for note in notes()] == ["DICOM_PUBLIC is yes"]
    Node.objects.create(name="CT", tls_subject="CN=ct1")
    assert "CT cannot be recognised: set DICOM_TLS_PORT and DICOM_TLS_CA." in notes()[1]
    settings.DICOM_TLS_PORT, settings.DICOM_TLS_CA = 2762, "ca.pem"
    assert len(notes()) == 1


def test_refusals_are_counted_by_day_caller_and_reason() -> None:
    with reading() as access:
        for _ in range(3):
            access.refused("10.0.0.7", "STORESCU", "DICOMRCV", "unknown")
        access.refused("10.0.0.8", "STORESCU", "DICOMRCV", "unknown")
    assert sorted((one.address, one.count) for one in refusals.today()) == [("10.0.0.7", 3), ("10.0.0.8", 1)]


@given(text=st.text(max_size=40))
def test_whatever_a_caller_calls_itself_can_be_written(text: str) -> None:
    one = Refusals()
    one.add(text, text, text, "unknown")
    one.write()
    row = Refusal.objects.latest("pk")
    assert row.calling_ae_title.isprintable()
    assert row.calling_ae_title.isascii()


def test_many_names_fill_a_bounded_number_of_rows() -> None:
    for round_ in range(8):
        one = Refusals()
        for number in range(100):
            one.add("10.0.0.7", f"X{round_}-{number}", "", "unknown")
        one.write()
    assert Refusal.objects.count() <= refusals.MOST_A_DAY + 1
    assert sum(one.count for one in refusals.today()) == 800


def test_several_processes_count_in_the_same_row() -> None:
    def count() -> None:
        one = Refusals()
        one.add("10.0.0.7", "X", "", "unknown")
        one.write()
        connections.close_all()

    threads = [threading.Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [one.count for one in refusals.today()] == [6]


def test_what_could_not_be_written_is_counted_later(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Refusals()
    one.add("10.0.0.7", "X", "", "unknown")

    def away(*args: object, **more: object) -> None:
        raise OperationalError("no")

    monkeypatch.setattr(Refusal.objects, "bulk_create", away)
    with pytest.raises(OperationalError):
        one.write()
    monkeypatch.undo()
    one.add("10.0.0.7", "X", "", "unknown")
    one.write()
    assert [listed.count for listed in refusals.today()] == [2]


def test_old_refusals_go() -> None:
    day, now = timezone.localdate() - timedelta(days=refusals.KEPT_DAYS + 1), timezone.now()
    Refusal.objects.create(day=day, reason="unknown", count=1, first_at=now, last_at=now)
    one = Refusals()
    one.add("10.0.0.7", "X", "", "unknown")
    one.write()
    assert Refusal.objects.get().day == timezone.localdate()


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ({"calling_ae_titles": ["X"], "addresses": ["10.0.0.9"]}, "CT has this AE title, and another address."),
        ({"calling_ae_titles": ["CT1"], "addresses": ["10.0.0.0/8"]}, "CT has this address, and another AE title."),
        ({"calling_ae_titles": ["X"], "may_store": False}, "CT may not store."),
        ({"calling_ae_titles": ["X"], "tls_subject": "CN=ct"}, "CT has to come by TLS, with its certificate."),
        ({"calling_ae_titles": ["CT1"], "addresses": ["10.0.0.9"]}, "Not one of the nodes."),
        ({"calling_ae_titles": ["X"], "addresses": ["10.0.0.0/8"]}, "CT was registered since."),
        ({"calling_ae_titles": ["X"]}, "CT was registered since."),
        ({"addresses": ["10.0.0.7"]}, "CT was registered since."),
    ],
)
def test_a_refusal_says_which_node_was_nearly_it(node: dict[str, Any], says: str) -> None:
    Node.objects.create(name="CT", **node)
    one = Refusals()
    one.add("10.0.0.7", "X", "", "unknown")
    one.write()
    assert [(listed.why, listed.is_settled) for listed in refusals.today()] == [(says, "registered since" in says)]
