"""Who may send is changed by those with the right only, in words that cannot be misread, and on the record."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from main.associations import Reporter
from main.models import Event, Node
from tests.peers import StoreSCP
from tests.web.conftest import PASSWORD, post, signed_in
from tests.web.rows import Live, node, refusal
from tests.web.test_pages import statements

pytestmark = pytest.mark.everydatabase

CT = {"name": "CT", "calling_ae_titles": "CT1\nCT2", "addresses": "10.0.0.7, ct1.example.org", "may_store": "on"}
HOSTILE = "<script>\"'&{{1}}"


@pytest.fixture
def keeper(db: None) -> Client:
    """Return somebody who may change nodes, and see no original values."""
    user = User.objects.create_user("keeper", password=PASSWORD)
    user.user_permissions.add(Permission.objects.get(codename="change_node"))
    return signed_in(user)


def test_a_node_is_added_changed_and_removed(keeper: Client) -> None:
    answer = post(keeper, "/nodes/add/", **CT)
    one = Node.objects.get()
    assert answer.headers["Location"] == f"/nodes/{one.pk}/"
    assert (one.calling_ae_titles, one.addresses, one.may_store) == (
        ["CT1", "CT2"],
        ["10.0.0.7", "ct1.example.org"],
        True,
    )
    post(keeper, f"/nodes/{one.pk}/change/", **{**CT, "addresses": "any", "quiet": "90"})
    one.refresh_from_db()
    assert (one.addresses, one.quiet) == ([], 90)
    page = keeper.get(f"/nodes/{one.pk}/remove/").content
    assert b"Remove CT?" in page
    assert Node.objects.exists()
    post(keeper, f"/nodes/{one.pk}/remove/")
    assert not Node.objects.exists()
    events = Event.objects.filter(node_id=one.pk).order_by("pk").values_list("kind", "actor")
    assert list(events) == [("node-added", "keeper"), ("node-changed", "keeper"), ("node-removed", "keeper")]
    assert b"Node CT was removed." in keeper.get("/nodes/").content


@pytest.mark.parametrize("who", ["opened", "nurse"])
def test_without_the_right_nothing_is_changed(who: str, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(who)
    one, refused = node(), refusal()
    for path in ("/nodes/add/", f"/nodes/{one.pk}/change/", f"/nodes/{one.pk}/remove/"):
        for answer in (client.get(path), post(client, path, **{**CT, "name": "MR"})):
            assert answer.status_code == 403
            assert b"access grant USER --right nodes" in answer.content
    assert list(Node.objects.values_list("name", flat=True)) == ["CT"]
    for path in ("/nodes/", f"/nodes/{one.pk}/", "/receiver/"):
        page = client.get(path).content.decode()
        for hidden in ("/nodes/add/", "/change/", "/remove/", f"refusal={refused.pk}"):
            assert hidden not in page


def test_nothing_is_shown_behind_the_lock(locked: Client) -> None:
    one = node()
    for path in ("/nodes/", f"/nodes/{one.pk}/", "/nodes/add/", "/receiver/"):
        answer = locked.get(path)
        assert answer.status_code == 403
        assert b"CT1" not in answer.content


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"calling_ae_titles": ""}, "Say which AE titles, or write any."),
        ({"calling_ae_titles": "any", "addresses": "any"}, "DICOM_PUBLIC=yes"),
        ({"addresses": "10.0.0.7/24"}, "10.0.0.7/24 is no network: write 10.0.0.0/24 or 10.0.0.7."),
        ({"calling_ae_titles": "A" * 17}, "is no AE title"),
        ({"host": "10.0.0.7"}, "its host, port and AE title are needed"),
        ({"host": "10.0.0.7", "port": "x", "ae_title": "X"}, "Enter a whole number."),
        ({"name": ""}, "This field is required."),
        ({"name": "MR"}, "already exists"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(keeper: Client, changes: dict[str, str], says: str) -> None:
    node(name="MR")
    answer = post(keeper, "/nodes/add/", **{**CT, **changes})
    assert answer.status_code == 400
    assert says in answer.content.decode()
    assert Node.objects.count() == 1


def test_a_refused_caller_is_registered_with_a_filled_in_form(keeper: Client) -> None:
    one = refusal()
    page = keeper.get("/receiver/").content.decode()
    assert f'href="/nodes/add/?refusal={one.pk}"' in page
    form = keeper.get(f"/nodes/add/?refusal={one.pk}").content.decode()
    assert 'value="STORESCU"' in form
    assert "10.0.0.7</textarea>" in form
    post(keeper, "/nodes/add/", name="STORESCU", calling_ae_titles="STORESCU", addresses="10.0.0.7", may_store="on")
    assert Node.objects.get().addresses == ["10.0.0.7"]


def test_a_refused_caller_can_be_added_to_the_node_that_it_nearly_is(keeper: Client) -> None:
    one, refused = node(), refusal("CT1", "10.0.0.8")
    page = keeper.get("/receiver/").content.decode()
    assert "CT has this AE title, and another address." in page
    assert f'href="/nodes/{one.pk}/change/?refusal={refused.pk}"' in page
    form = keeper.get(f"/nodes/{one.pk}/change/?refusal={refused.pk}").content.decode()
    assert "10.0.0.7\n10.0.0.8</textarea>" in form
    assert "CT1</textarea>" in form


@pytest.mark.parametrize("number", ["0", "x", "9" * 40, "1%00"])
def test_a_refusal_that_is_not_there_fills_in_nothing(keeper: Client, number: str) -> None:
    assert keeper.get(f"/nodes/add/?refusal={number}").status_code == 200


def test_foreign_text_stays_text(keeper: Client) -> None:
    title = HOSTILE[:16]
    refused = refusal(title)
    Reporter("p1").report([Live(calling_ae_title=title, since=time.time())])
    for path in ("/receiver/", f"/nodes/add/?refusal={refused.pk}"):
        page = keeper.get(path).content.decode()
        assert "<script>&quot;" not in page
        assert '<script>"' not in page
        assert "&lt;script&gt;" in page


def test_a_test_is_kept_and_shown_layer_by_layer(opened: Client, storescp: StoreSCP) -> None:
    one = node(host="127.0.0.1", port=storescp.dicom_port, ae_title="STORESCP")
    answer = post(opened, f"/nodes/{one.pk}/test/")
    assert answer.headers["Location"] == f"/nodes/{one.pk}/"
    page = opened.get(f"/nodes/{one.pk}/").content.decode()
    for layer in ("Name", "TCP", "Association", "C-ECHO", "SOP classes"):
        assert f"<strong>{layer}</strong>" in page
    assert "works" in opened.get("/nodes/").content.decode()
    Node.objects.update(port=1)
    post(opened, f"/nodes/{one.pk}/test/")
    page = opened.get(f"/nodes/{one.pk}/").content.decode()
    assert "nothing listens on port 1" in page
    assert "Correct the port here" in page
    assert "fails at TCP" in opened.get("/nodes/").content.decode()


def test_a_test_is_by_post_with_a_token_only(opened: Client) -> None:
    one = node()
    assert opened.get(f"/nodes/{one.pk}/test/").status_code == 405
    for path in (f"/nodes/{one.pk}/test/", "/nodes/add/", f"/nodes/{one.pk}/change/", f"/nodes/{one.pk}/remove/"):
        assert opened.post(path, CT).status_code == 403
    assert Node.objects.get().tested_at is None


def test_open_associations_are_shown_while_they_are_reported(opened: Client) -> None:
    reporter = Reporter("host-1", ["DICOM on 0.0.0.0:11112"])
    now = time.time()
    reporter.report([Live(since=now - 10)])
    reporter.report([Live(since=now - 10, instances=300, size=159_000_000, refused=2, last=now)])
    page = opened.get("/receiver/").content.decode()
    assert "DICOM on 0.0.0.0:11112" in page
    assert "CT1 · 10.0.0.7" in page
    assert ">300<" in page
    assert "159 MB" in page
    reporter.gone()
    page = opened.get("/receiver/").content.decode()
    assert "CT1 · 10.0.0.7" not in page
    assert "No receiver process has reported" in page


def test_the_pages_cost_the_same_number_of_statements_with_more_rows(keeper: Client) -> None:
    def add(first: int, last: int) -> None:
        for number in range(first, last):
            node(name=f"CT{number}")
            refusal(f"X{number}")
            Reporter(f"p{number}").report([Live(association=str(number), since=time.time())])

    add(0, 2)
    before = {path: statements(keeper, path) for path in ("/nodes/", "/receiver/")}
    add(2, 20)
    assert {path: statements(keeper, path) for path in before} == before
