"""The token file: refreshed once by whoever comes first, never half-written, never more open than 0600."""

from __future__ import annotations

import json
import multiprocessing
import stat
from pathlib import Path
from typing import Any

import pytest

from main.errors import Transient
from main.identifiers.dasher import Provider
from main.identifiers.dasher_token import TokenFile
from main.identifiers.http import Service
from tests.identifiers.conftest import asking
from tests.identifiers.dasher_standin import Dasher

SERVICE = Service("DASHER", "DASHER_URL", "STANFORD_CLIENT_SECRETS", "DASHER_TIMEOUT", 20)


def test_an_expired_token_is_refreshed_and_the_request_is_sent_again(
    provider: Provider, dasher: Dasher, token_file: Path
) -> None:
    dasher.expire_access_token()

    assert provider.identify(asking()).values
    assert dasher.refreshes == 1
    assert json.loads(token_file.read_text()) == {
        "accessToken": "access-1",
        "refreshToken": "refresh-1",
        "client_id": "sendit-tests",
        "token_uri": f"http://127.0.0.1:{dasher.port}/token/api/v1/refresh",
    }


def test_the_refreshed_file_is_for_its_owner_only(provider: Provider, dasher: Dasher, token_file: Path) -> None:
    token_file.chmod(0o644)
    dasher.expire_access_token()

    provider.identify(asking())

    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
    assert sorted(path.name for path in token_file.parent.iterdir()) == [token_file.name, f"{token_file.name}.lock"]


def test_a_link_to_the_file_stays_a_link(dasher: Dasher, token_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "mounted"
    link.symlink_to(token_file)

    TokenFile(link, SERVICE).refresh("access-0")

    assert link.is_symlink()
    assert json.loads(token_file.read_text())["accessToken"] == "access-1"


def test_a_token_that_is_refused_again_is_said_once_and_the_series_waits(provider: Provider, dasher: Dasher) -> None:
    dasher.fault = "401-always"

    with pytest.raises(Transient, match="new token file") as caught:
        provider.identify(asking())

    assert caught.value.code == "identifiers-unauthorised"
    assert dasher.refreshes == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("refresh-401", "identifiers-unauthorised"),
        ("refresh-500", "identifiers-away"),
        ("refresh-garbled", "identifiers-garbled"),
    ],
)
def test_a_refresh_that_fails_leaves_the_file_as_it_was(
    provider: Provider, dasher: Dasher, token_file: Path, fault: str, code: str
) -> None:
    dasher.expire_access_token()
    dasher.fault = fault
    before = token_file.read_bytes()

    with pytest.raises(Transient) as caught:
        provider.identify(asking())

    assert caught.value.code == code
    assert token_file.read_bytes() == before
    assert sorted(path.name for path in token_file.parent.iterdir()) == [token_file.name, f"{token_file.name}.lock"]


@pytest.mark.parametrize(
    "content", [None, "{", "[]", '{"accessToken": "access-0\\n"}', '{"accessToken": ["access-0"]}', "{}"]
)
def test_a_token_file_that_cannot_be_used_is_named(provider: Provider, token_file: Path, content: str | None) -> None:
    if content is None:
        token_file.unlink()
    else:
        token_file.write_text(content)

    with pytest.raises(Transient, match="STANFORD_CLIENT_SECRETS") as caught:
        provider.identify(asking())

    assert caught.value.code == "identifiers-settings"


def test_without_a_token_file_the_setting_is_named(settings: Any) -> None:
    settings.STANFORD_CLIENT_SECRETS = None

    with pytest.raises(Transient, match="STANFORD_CLIENT_SECRETS is not set"):
        Provider()


def _refresh(path: Path, ready: Any, answers: Any) -> None:
    ready.wait(30)
    try:
        answers.put(TokenFile(path, SERVICE).refresh("access-0"))
    except Transient as error:
        answers.put(error.code)


def test_workers_that_refresh_at_once_use_the_refresh_token_once(dasher: Dasher, token_file: Path) -> None:
    fork = multiprocessing.get_context("fork")
    ready, answers = fork.Barrier(8), fork.Queue()
    workers = [fork.Process(target=_refresh, args=(token_file, ready, answers)) for _ in range(8)]
    for worker in workers:
        worker.start()
    got = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(30)

    assert got == ["access-1"] * 8
    assert dasher.refreshes == 1
