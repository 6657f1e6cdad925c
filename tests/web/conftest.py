"""Browsers of the pages: locked, opened, signed in, signed in with the right to see original values."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

PASSWORD = "a-password-for-tests"


@pytest.fixture(autouse=True)
def password(settings: object) -> str:
    """Set the password that opens the pages."""
    settings.LOCKDOWN_PASSWORDS = (PASSWORD,)  # type: ignore[attr-defined]
    return PASSWORD


def token_in(page: bytes) -> str:
    """The CSRF token of the first form of a page."""
    found = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found, "the page has no form with a CSRF token"
    return found.group(1).decode()


def unlock(client: Client, password: str = PASSWORD, **more: str) -> object:
    """Fill in the lock's form as a person does."""
    page = client.get("/unlock/")
    data = {"password": password, "csrfmiddlewaretoken": token_in(page.content), **more}
    return client.post("/unlock/", data)


def post(client: Client, path: str, **data: object) -> object:
    """Press a button: the token comes from a page, as with every form."""
    token = token_in(client.get("/login/").content)
    return client.post(path, {"csrfmiddlewaretoken": token, **data})


@pytest.fixture
def locked(db: None) -> Client:
    """Return a browser that has never been here; forms are checked as in production."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def opened(db: None) -> Client:
    """Return a browser that has opened the lock."""
    client = Client(enforce_csrf_checks=True)
    unlock(client)
    assert settings.SESSION_COOKIE_NAME in client.cookies
    return client


def signed_in(user: User) -> Client:
    """Return a browser that has opened the lock and signed in."""
    client = Client(enforce_csrf_checks=True)
    unlock(client)
    page = client.get("/login/")
    data = {"username": user.username, "password": PASSWORD, "csrfmiddlewaretoken": token_in(page.content)}
    assert client.post("/login/", data).status_code == 302
    return client


@pytest.fixture
def nurse(db: None) -> Client:
    """Return somebody who is signed in and may not see original values."""
    return signed_in(User.objects.create_user("nurse", password=PASSWORD))


@pytest.fixture
def doctor(db: None) -> Client:
    """Return somebody who is signed in and may see original values."""
    return signed_in(User.objects.create_superuser("doctor", password=PASSWORD))
