"""The pages: what they show, what they cost, and that they work without JavaScript."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from main.associations import Reporter
from main.heartbeat import beat
from main.history import record
from main.models import Batch, Event, LedgerEntry, Refusal, Series
from main.pipeline.sweep import NOBODY_WORKS, STALLED_SECONDS
from tests.web import rows
from tests.web.rows import Live, refusal

pytestmark = pytest.mark.everydatabase


def statements(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as found:
        assert client.get(path).status_code == 200
    return len(found)


def test_pages_cost_the_same_number_of_statements_with_more_series(opened: Client) -> None:
    to = [rows.destination("archive"), rows.destination("orthanc")]
    batch = rows.drop(files=0)

    def add(count: int) -> None:
        for number in range(count):
            one = rows.series(rows.drop(files=3), 3, ["SENT", "DONEPROCESSING", "QUARANTINED"][number % 3])
            rows.identified(one)
            rows.held_file(batch)
            for destination in to:
                rows.delivered(one, destination)

    add(10)
    first = Series.objects.order_by("pk").first()
    paths = ["/", "/series/", "/series/?problem=1", "/series/?destination=archive", "/drops/", "/drops/?state=held"]
    paths += [f"/series/{first.pk}/", f"/drops/{batch.pk}/", "/quarantine/", "/quarantine/leak/", "/ledger/"]
    paths += ["/api/metrics", "/api/status"]
    before = {path: statements(opened, path) for path in paths}
    add(190)
    assert {path: statements(opened, path) for path in paths} == before


def test_the_strip_counts_what_waits(opened: Client) -> None:
    batch = rows.drop(files=8)
    rows.series(batch, 5, "NEW", stage="identify")
    rows.series(batch, 3, "DONEPROCESSING", stage="deliver", changed_at=timezone.now() - timedelta(hours=2))
    page = opened.get("/").content.decode()
    boxes = re.findall(r'class="box (\w+)" href="([^"]+)"', page)
    assert boxes == [
        ("idle", "/drops/?state=register"),
        ("busy", "/series/?stage=identify"),
        ("idle", "/series/?stage=deidentify"),
        ("warn", "/series/?stage=deliver"),
        ("idle", "/series/?stage=cleanup"),
    ]
    assert "Waiting: 1 in Identify, 1 in Deliver" in page
    assert "5 images" in page


def test_a_problem_is_said_with_its_cause_and_one_button(opened: Client) -> None:
    vna = rows.destination("vna", failures=3, error_code="refused", error="vna refused the association.")
    batch = rows.drop(files=3)
    rows.series(batch, 2, "QUARANTINED")
    one = rows.series(batch, 1, "DONEPROCESSING", stage="deliver")
    rows.delivered(one, vna, "BLOCKED", error_code="0xA900", error="No.")
    rows.drop(stage="register", error_code="disk-full", error="The disk is full.")
    beat("watcher", "inbox", error="The watched folder is gone: is the share mounted?", waiting=4)
    page = opened.get("/").content.decode()
    for said in (
        "vna is failing; 0 images wait.",
        "vna refused the association.",
        "vna refused 1 image.",
        "2 images in quarantine: a patient&#x27;s value was left in the output.",
        "1 drop not registered.",
        "The disk is full.",
        "The watched folder is gone: is the share mounted?",
    ):
        assert said in page, said
    assert page.count('formaction="/destinations/') >= 3


def test_with_nothing_to_do_the_page_says_so(opened: Client) -> None:
    assert "Nothing needs you." in opened.get("/").content.decode()


def test_a_processs_silence_is_said(opened: Client) -> None:
    from main.models import Heartbeat

    beat("sweeper", "node1")
    assert "No sign of life" not in opened.get("/").content.decode()
    Heartbeat.objects.update(at=timezone.now() - timedelta(minutes=10))
    assert "No sign of life from sweeper node1." in opened.get("/").content.decode()


def test_work_that_nobody_takes_is_said(opened: Client) -> None:
    rows.drop(stage="register", due_at=timezone.now())
    assert "no worker takes it" not in opened.get("/").content.decode()
    Batch.objects.update(due_at=timezone.now() - timedelta(seconds=STALLED_SECONDS + 1))
    assert NOBODY_WORKS in opened.get("/").content.decode()


def test_the_balance_of_a_drop_adds_up_on_its_page_or_the_page_says_that_it_does_not(opened: Client) -> None:
    batch = rows.drop(files=5)
    rows.series(batch, 3, "SENT")
    rows.held_file(batch)
    short = opened.get(f"/drops/{batch.pk}/").content.decode()
    assert "Accounted for" in short
    rows.held_file(batch, "truncated", "unreadable")
    page = opened.get(f"/drops/{batch.pk}/").content.decode()
    assert "Adds up to" in page
    assert "adds up" in opened.get("/drops/").content.decode()
    counts = [int(number) for number in re.findall(r'</th><td class="num">(\d+)', page)]
    assert counts == [3, 1, 1, 5, 5]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=QUARANTINED", {"held"}),
        ("status=SENT", {"sent", "blocked"}),
        ("stage=identify", {"new"}),
        ("modality=mr", {"new"}),
        ("destination=archive", {"blocked"}),
        ("problem=1", {"held", "blocked", "late"}),
        ("from=2020-01-01&to=2020-12-31", {"late"}),
        ("from=not-a-day&status=nothing&after=x", {"held", "sent", "new", "blocked", "late"}),
        ("status=SENT&problem=1", {"blocked"}),
    ],
)
def test_the_list_is_filtered(opened: Client, query: str, found: set[str]) -> None:
    archive, batch = rows.destination("archive"), rows.drop(files=5)
    old = timezone.now().replace(year=2020, month=6)
    made = {
        "held": rows.series(batch, 1, "QUARANTINED"),
        "sent": rows.series(batch, 1, "SENT", stage="cleanup"),
        "new": rows.series(batch, 1, "NEW", "MR", stage="identify"),
        "blocked": rows.series(batch, 1, "SENT"),
        "late": rows.series(batch, 1, "PROCESSING", added_at=old, error_code="no-destination", error="None."),
    }
    rows.delivered(made["sent"], archive)
    rows.delivered(made["blocked"], archive, "BLOCKED", error_code="0xA900", error="No.")
    page = opened.get(f"/series/?{query}").content.decode()
    assert {name for name, one in made.items() if f'href="/series/{one.pk}/"' in page} == found


def test_projects_are_shown_where_there_are_several(opened: Client, settings: Any, tmp_path: Path) -> None:
    one, other = rows.series(rows.drop()), rows.series(rows.drop(), project="trial")
    page = opened.get("/series/").content.decode()
    assert "Project" not in page, "nobody must know"
    assert "Project" not in opened.get(f"/series/{one.pk}/").content.decode()

    settings.SENDIT_PROJECTS = tmp_path / "projects.toml"
    settings.SENDIT_PROJECTS.write_text('[trial]\ncalled_ae_titles = ["TRIAL"]\n')
    page = opened.get("/series/").content.decode()
    assert "<option>trial</option>" in page
    assert f"/series/{one.pk}/" in page
    page = opened.get("/series/?project=trial").content.decode()
    assert "<option selected>trial</option>" in page
    assert f"/series/{one.pk}/" not in page
    assert f"/series/{other.pk}/" in page
    assert "Project trial" in opened.get(f"/series/{other.pk}/").content.decode()

    settings.SENDIT_PROJECTS.write_text("[trial")
    for path in ("/", "/series/", f"/series/{other.pk}/", f"/series/{other.pk}/images/{other.image_set.get().pk}/"):
        assert opened.get(path).status_code == 200, path
    assert opened.get("/receiver/").status_code == 200
    assert opened.get(f"/series/{other.pk}/certificate/1.json").status_code == 404


def test_the_list_is_paged_without_gaps_or_repeats(opened: Client) -> None:
    batch = rows.drop(files=1)
    same = timezone.now()
    for number in range(120):
        rows.series(batch, 0, changed_at=same - timedelta(minutes=number // 40))
    seen: list[str] = []
    path = "/series/?modality=CT"
    while path:
        page = opened.get(path).content.decode()
        seen += re.findall(r'<th scope="row"><a href="/series/(\d+)/"', page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        path = "/series/" + following.group(1).replace("&amp;", "&") if following else ""
    assert len(seen) == 120
    assert len(set(seen)) == 120


def test_a_series_is_told_in_a_sentence(opened: Client) -> None:
    one = rows.series(rows.drop(files=40), 40, "DONEPROCESSING", stage="deliver")
    rows.identified(one)
    rows.delivered(one, rows.destination("orthanc"))
    sentence = "vna refused with 0xA900: data set does not match SOP class."
    rows.delivered(one, rows.destination("vna"), "BLOCKED", 12, error_code="0xA900", error=sentence)
    page = opened.get(f"/series/{one.pk}/").content.decode()
    assert f"Proven at 1 of 2 destinations. 12 of 12 images refused: {sentence}" in page
    assert f"SD{one.pk:08d}" in page
    assert "content read back" in page


def test_after_cleanup_a_series_is_its_entry_in_the_ledger(opened: Client) -> None:
    now = timezone.now()
    LedgerEntry.objects.create(
        series_id=77,
        study_instance_uid="2.25.1",
        series_instance_uid="2.25.2",
        patient_id="SD77",
        images=12,
        bytes=9,
        recipes=["basic"],
        destinations={"orthanc": "content"},
        received_at=now,
        proven_at=now,
        cleaned_at=now,
    )
    record("cleaned", series_id=77, count=12)
    page = opened.get("/series/77/").content.decode()
    assert "SD77" in page
    assert "2.25.2" in page
    assert "Cleaned up" in page
    assert "/series/77/" in opened.get("/ledger/").content.decode()


def test_what_is_not_there_is_404(opened: Client) -> None:
    for path in ("/series/4711/", "/drops/4711/", "/series/1/images/1/", "/nothing/", "/series/99999999999999999999/"):
        answer = opened.get(path)
        assert answer.status_code == 404
        assert b"There is no such page" in answer.content


def test_the_time_is_relative_with_the_whole_time_as_title(opened: Client) -> None:
    rows.drop(files=0, received_at=timezone.now() - timedelta(hours=3, minutes=5))
    page = opened.get("/drops/").content.decode()
    assert re.search(
        r'<time datetime="[^"]+" title="\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC" data-form="ago">3 h ago</time>', page
    )


def test_a_page_on_which_nothing_changed_is_not_sent_again(opened: Client) -> None:
    rows.series(rows.drop(files=1), 1, "SENT")
    for path in ("/", "/series/", "/drops/", "/quarantine/", "/ledger/"):
        first = opened.get(path, headers={"X-Sendit-Live": "1"})
        assert b"<html" not in first.content, "the blocks only"
        assert b"csrfmiddlewaretoken" not in first.content, "a token would be another one each time"
        for _ in range(20):  # "3 s ago" changes each second
            again = opened.get(path, headers={"X-Sendit-Live": "1", "If-None-Match": first.headers["ETag"]})
            if again.status_code == 304:
                break
            first = again
        assert (again.status_code, again.content) == (304, b""), path
        assert "X-Sendit-Live" in again.headers["Vary"]
    rows.series(rows.drop(files=1), 1, "NEW", stage="identify")
    changed = opened.get("/series/", headers={"X-Sendit-Live": "1", "If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200


class _Page(HTMLParser):
    """The controls of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.forms: dict[str, dict[str, str]] = {}
        self.ids: list[str] = []
        self.buttons: list[dict[str, str]] = []
        self.tables = self.heads = self.scripts = self.styles = 0
        self.blocks: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids += [found["id"]] if "id" in found else []
        self.styles += "style" in found or tag == "style" or any(name.startswith("on") for name in found)
        if tag == "form":
            self.forms[found.get("id", f"form {len(self.forms)}")] = found
        if tag == "button":
            self.buttons.append(found)
        if tag == "script":
            self.scripts += "src" not in found
        self.tables += tag == "table"
        self.heads += tag == "thead"
        self.blocks += [found.get("id", "")] if "data-live" in found else []


def test_pages_work_without_javascript(opened: Client) -> None:
    to, batch = rows.destination("archive"), rows.drop(files=4)
    one = rows.series(batch, 2, "QUARANTINED")
    rows.delivered(one, to, "BLOCKED", error_code="0xA900", error="No.")
    rows.held_file(batch)
    paths = [
        "/",
        "/series/",
        f"/series/{one.pk}/",
        "/drops/",
        f"/drops/{batch.pk}/",
        "/quarantine/",
        "/quarantine/leak/",
    ]
    for path in [*paths, "/quarantine/leak/discard/", "/ledger/", "/login/"]:
        page = _Page(opened.get(path).content.decode())
        assert not page.scripts, "no inline script"
        assert not page.styles, "nothing inline that the policy forbids"
        assert len(page.ids) == len(set(page.ids)), path
        assert page.tables == page.heads, "every table has its header"
        assert all(page.blocks), "every live block has an id"
        for button in page.buttons:
            if "formaction" in button:
                assert page.forms[button["form"]]["method"] == "post"
                assert opened.get(button["formaction"]).status_code == 405, f"{button['formaction']} by POST only"
        assert b"noscript" in opened.get("/").content


def test_the_theme_is_switched_without_javascript(opened: Client) -> None:
    from tests.web.conftest import post

    for theme in ("light", "dark", "system"):
        answer = post(opened, "/theme/", next="/ledger/")
        assert answer.headers["Location"] == "/ledger/"
        assert f'data-theme="{theme}"' in opened.get("/").content.decode()


def test_the_label_is_on_every_page(opened: Client, settings: object) -> None:
    settings.SENDIT_LABEL = "ward test"
    for path in ("/", "/series/", "/nothing/"):
        assert '<span class="label">ward test</span>' in opened.get(path).content.decode()


def test_metrics_have_the_seeds_shape(opened: Client) -> None:
    sent, empty, mixed = rows.drop(files=1), rows.drop(files=1), rows.drop(files=2)
    rows.drop(stage="register")
    rows.series(sent, 1, "SENT")
    rows.series(mixed, 1, "SENT")
    rows.series(mixed, 1, "PROCESSING")
    rows.held_file(empty)
    Batch.objects.create(sealed_name="x", source="x", received_at=timezone.now(), cleaned=4)
    beat("watcher", "inbox", waiting=3)
    found = opened.get("/api/metrics").json()
    assert list(found) == ["timestamp", "data_root", "data_total", "batches"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d\d:\d\d:\d\d", found["timestamp"])
    assert found["data_root"] == "inbox"
    assert found["data_total"] == 8
    assert found["batches"] == {"SEEN": 5, "SENT": 2, "EMPTY": 1, "QUEUE": 2}


def test_the_status_has_a_version_that_only_changes_when_something_does(opened: Client) -> None:
    rows.destination("archive")
    first = opened.get("/api/status")
    assert first.json()["version"] in first.headers["ETag"]
    assert opened.get("/api/status", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    rows.series(rows.drop(files=1), 1, "NEW", stage="identify")
    second = opened.get("/api/status", headers={"If-None-Match": first.headers["ETag"]})
    assert second.status_code == 200
    assert second.json()["pipeline"][1]["waiting"] == 1


def test_health_is_a_word(opened: Client) -> None:
    assert opened.get("/healthz").json() == {"ok": True}


def test_history_is_only_read(opened: Client) -> None:
    before = Event.objects.count()
    for path in ("/", "/series/", "/drops/", "/quarantine/", "/ledger/", "/api/status"):
        opened.get(path)
    assert Event.objects.count() == before


def test_a_refused_sender_needs_attention_for_an_hour(opened: Client) -> None:
    refused = [refusal("STORESCU", "10.0.0.7"), refusal("MR1", "10.0.0.8")]
    page = opened.get("/").content.decode()
    assert "MR1 from 10.0.0.8 and 1 other caller tried to send by DICOM and were refused." in page
    Refusal.objects.filter(pk=refused[1].pk).update(last_at=timezone.now() - timedelta(hours=2))
    assert "STORESCU from 10.0.0.7 tried to send by DICOM and was refused." in opened.get("/").content.decode()
    refusal("X", "10.0.0.9", "too-many")
    Refusal.objects.filter(pk=refused[0].pk).delete()
    assert "tried to send" not in opened.get("/").content.decode()


def test_the_receiver_is_among_the_inputs(opened: Client) -> None:
    assert "DICOM receiver" not in opened.get("/").content.decode()
    Reporter("host-1", ["DICOM on 0.0.0.0:11112"]).report([Live()])
    page = opened.get("/").content.decode()
    assert "DICOM on 0.0.0.0:11112" in page
    assert "1 open" in page
    assert opened.get("/api/status").json()["receiver"]["associations"] == 1
