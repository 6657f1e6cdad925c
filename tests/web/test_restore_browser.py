"""The page *Who is it?* in a real browser, and the calls of programs at a real server."""

from __future__ import annotations

import pytest
import requests
from django.contrib.auth.models import User
from selenium import webdriver
from selenium.webdriver.common.by import By

from main import tokens
from main.models import Event
from tests.api.conftest import CANARY_ID, CANARY_NAME, Names, allowed, ct, node, released
from tests.web.conftest import PASSWORD
from tests.web.test_browser import address, browser, opened, wait

__all__ = ["address", "allowed", "browser", "ct", "node", "released"]  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_person_asks_and_sees(browser: webdriver.Chrome, address: str, allowed: None, released: Names) -> None:
    User.objects.create_superuser("doctor", password=PASSWORD)
    opened(browser, address, "/login/")
    browser.find_element(By.ID, "id_username").send_keys("doctor")
    browser.find_element(By.ID, "id_password").send_keys(PASSWORD)
    browser.find_element(By.CSS_SELECTOR, "form.signin button").click()
    wait(browser, lambda: browser.find_elements(By.LINK_TEXT, "Who is it?"))
    browser.find_element(By.LINK_TEXT, "Who is it?").click()
    browser.find_element(By.ID, "id_name").send_keys(released.patient)
    browser.find_element(By.ID, "id_reason").send_keys("Incidental finding")
    browser.find_element(By.CSS_SELECTOR, "form.narrow button").click()
    wait(browser, lambda: CANARY_NAME in browser.find_element(By.ID, "main").text)
    assert CANARY_ID not in browser.current_url
    for width in (400, 1280):
        browser.set_window_size(width, 1000)
        for theme in ("light", "dark"):
            browser.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
            assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth"), (width, theme)
    assert not [line for line in browser.get_log("browser") if "Content Security Policy" in line["message"]]
    browser.get(address + "/restore/")
    wait(browser, lambda: "Incidental finding" in browser.find_element(By.ID, "uses").text)
    assert CANARY_NAME not in browser.page_source


def test_a_program_asks_at_the_server(address: str, allowed: None, released: Names) -> None:
    user = User.objects.create_superuser("viewer", password=PASSWORD)
    token = tokens.add("ward", user, ["restore"], 1, "Viewer of ward 3", "tester")
    with requests.Session() as session:
        body = {"anonymous_patient_id": released.patient}
        path = f"{address}/api/phi-metadata/patient/"
        assert session.post(path, json=body).status_code == 401
        answer = session.post(path, json=body, headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["original_patient_name"] == CANARY_NAME
        assert not session.cookies
        assert session.get(f"{address}/api/status", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert Event.objects.get(kind="reveal").actor == "viewer"
