"""The pages in a real browser: they keep themselves up to date, nothing jumps, and keys work."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.utils import timezone
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from main.associations import Reporter
from main.models import Node
from main.node_test import Layer
from tests.web import rows
from tests.web.conftest import PASSWORD
from tests.web.rows import Live, node, refusal

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1280,1200"
)

pytestmark = pytest.mark.django_db(transaction=True)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(transactional_db: None) -> Iterator[str]:
    """Serve the pages, lock and files included, on a free port of this machine."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), _Quiet)
    server.set_app(get_wsgi_application())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)
    server.server_close()
    connections.close_all()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """Start Chromium with a profile of its own."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if not all(programs):
        missing = "Chromium is not installed: apt-get install chromium chromium-driver"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()


def opened(browser: webdriver.Chrome, address: str, path: str = "/") -> None:
    browser.get(address + path)
    browser.find_element(By.ID, "password").send_keys(PASSWORD + Keys.ENTER)
    wait(browser, lambda: browser.find_elements(By.ID, "main"))


def wait(browser: webdriver.Chrome, condition: object, seconds: float = 15) -> None:
    WebDriverWait(browser, seconds, poll_frequency=0.1).until(lambda _: condition())


def count_in(browser: webdriver.Chrome, stage: str) -> str:
    # One call: the block may be replaced between two.
    return browser.execute_script(
        "return document.querySelector(`[data-part='${arguments[0]}'] .box-count`).textContent", stage
    )


def test_the_strip_follows_without_a_reload(browser: webdriver.Chrome, address: str) -> None:
    opened(browser, address)
    assert count_in(browser, "identify") == "0 series"
    browser.execute_script("window.sameDocument = true")
    before = browser.execute_script("return document.querySelector('#strip').getBoundingClientRect().height")
    browser.find_element(By.CSS_SELECTOR, "[data-part='deliver'] a").send_keys(Keys.NULL)
    browser.execute_script("document.querySelector(\"[data-part='identify'] a\").focus()")

    one = rows.series(rows.drop(files=3), 3, "NEW", stage="identify")
    wait(browser, lambda: count_in(browser, "identify") == "1 series")
    assert "3 images" in browser.find_element(By.CSS_SELECTOR, "[data-part='identify'] .box-more").text
    assert (
        browser.find_element(By.CSS_SELECTOR, "#strip [aria-live]").get_attribute("textContent")
        == "Waiting: 1 in Identify"
    )
    assert browser.execute_script("return window.sameDocument") is True, "the page was reloaded"
    after = browser.execute_script("return document.querySelector('#strip').getBoundingClientRect().height")
    assert after == before, "the strip jumped"
    focused = browser.execute_script("return document.activeElement.closest('[data-part]')?.dataset.part")
    assert focused == "identify", "the focus was lost"

    type(one).objects.filter(pk=one.pk).update(status="SENT", stage="cleanup")
    wait(browser, lambda: count_in(browser, "identify") == "0 series")
    complaints = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not [text for text in complaints if "403" not in text], "a script failed, or the policy forbids something"


def test_a_page_that_gets_locked_says_so_by_itself(browser: webdriver.Chrome, address: str, settings: object) -> None:
    opened(browser, address)
    settings.LOCKDOWN_PASSWORDS = ("another-password",)
    wait(browser, lambda: "This node is locked" in browser.page_source)


def test_keys_move_through_the_list(browser: webdriver.Chrome, address: str) -> None:
    batch = rows.drop(files=3)
    made = [rows.series(batch, 1, "SENT") for _ in range(3)]
    opened(browser, address, "/series/")
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "[data-rows]"))
    keys = webdriver.ActionChains(browser)
    keys.send_keys("j").send_keys("j").send_keys("k").send_keys("j").perform()
    assert browser.switch_to.active_element.text == str(made[1].pk)
    webdriver.ActionChains(browser).send_keys("/").perform()
    assert browser.switch_to.active_element.get_attribute("id") == "q"
    browser.switch_to.active_element.send_keys("j" + Keys.ESCAPE)
    webdriver.ActionChains(browser).send_keys("?").perform()
    assert browser.find_element(By.ID, "help").is_displayed()
    browser.find_element(By.CSS_SELECTOR, "#help button").click()
    webdriver.ActionChains(browser).send_keys("j").perform()
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    wait(browser, lambda: browser.current_url.endswith(f"/series/{made[2].pk}/"))


def test_what_comes_in_is_shown_without_a_reload(browser: webdriver.Chrome, address: str) -> None:
    reporter = Reporter("host-1", ["DICOM on 0.0.0.0:11112"])
    one = Live(since=time.time())

    def shows(block: str, text: str, *live: Live) -> bool:
        reporter.report(live)  # as its process does all the time
        return text in browser.execute_script("return document.getElementById(arguments[0]).textContent", block)

    opened(browser, address, "/receiver/")
    wait(browser, lambda: shows("associations", "CT1 · 10.0.0.7", one))
    browser.execute_script("window.sameDocument = true")
    one.instances, one.size, one.last = 412, 218_360_000, time.time()
    wait(browser, lambda: shows("associations", "412", one))
    refusal("STORESCU", "10.0.0.9")
    wait(browser, lambda: shows("refused", "STORESCU", one))
    wait(browser, lambda: shows("associations", "Nobody is sending"))
    assert browser.execute_script("return window.sameDocument") is True, "the page was reloaded"


@pytest.mark.parametrize("width", [400, 640, 1280])
def test_no_page_is_wider_than_the_screen(browser: webdriver.Chrome, address: str, width: int) -> None:
    batch = rows.drop(files=3)
    one = rows.series(batch, 2, "QUARANTINED")
    rows.identified(one)
    image, _ = rows.real_image(batch)
    vna = rows.destination("vna", failures=1, error="vna refused the association.")
    rows.delivered(one, vna, "BLOCKED", error_code="x" * 40, error="y" * 500)
    rows.held_file(batch)
    known = node(name="N" * 64, tls_subject="CN=" + "x" * 200, addresses=["10.0.0.7", "a" * 60 + ".example.org"])
    Node.objects.update(last_test=[asdict(Layer("TCP", "failed", "y" * 200, "z" * 200))], tested_at=timezone.now())
    refusal("W" * 16, "2001:db8:1111:2222:3333:4444:5555:6666")
    Reporter("h" * 80, ["DICOM on 0.0.0.0:11112"]).report([Live(name="N" * 64, since=time.time())])
    browser.set_window_size(max(width, 500), 1200)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    opened(browser, address)
    paths = ["/", "/series/", f"/series/{one.pk}/", f"/series/{image.series_id}/images/{image.pk}/", "/drops/"]
    about_nodes = ["/receiver/", "/nodes/", f"/nodes/{known.pk}/"]
    for path in [
        *paths,
        f"/drops/{batch.pk}/",
        "/quarantine/",
        "/quarantine/leak/",
        "/ledger/",
        "/login/",
        *about_nodes,
    ]:
        browser.get(address + path)
        overflow = browser.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, f"{path} at {width} px: {overflow} px too wide"
