"""DASHER away, slow, refusing, lying: what the series does, and that no value of a patient gets into an error or a log."""

from __future__ import annotations

import logging
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from main.errors import PipelineError, Quarantine, Transient
from main.identifiers.dasher import Provider
from main.identifiers.http import TRIES, Bearer, Service, call
from main.projects import Project
from tests.identifiers.conftest import CANARIES, asking
from tests.identifiers.dasher_standin import FAULTS, Dasher


def code_of(provider: Provider, kind: type[PipelineError]) -> str:
    with pytest.raises(kind) as caught:
        provider.identify(asking())
    return caught.value.code


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("500", "identifiers-away"),
        ("hang-up", "identifiers-away"),
        ("408", "identifiers-slow"),
        ("429", "identifiers-busy"),
        ("hang", "identifiers-slow"),
        ("drip-header", "identifiers-slow"),
        ("drip-body", "identifiers-slow"),
        ("redirect", "identifiers-settings"),
        ("html", "identifiers-garbled"),
        ("nested", "identifiers-garbled"),
        ("huge", "identifiers-garbled"),
    ],
)
def test_what_goes_away_by_itself_lets_the_series_wait(
    provider: Provider, dasher: Dasher, fault: str, code: str
) -> None:
    dasher.fault = fault

    assert code_of(provider, Transient) == code
    dasher.fault = ""
    assert provider.identify(asking()).values


@pytest.mark.parametrize("fault", ["400", "404"])
def test_a_refusal_is_for_a_person(provider: Provider, dasher: Dasher, fault: str) -> None:
    dasher.fault = fault

    assert code_of(provider, Quarantine) == "identifiers-refused"


def test_a_service_that_is_down_lets_the_series_wait(provider: Provider, dasher: Dasher) -> None:
    dasher.stop()

    assert code_of(provider, Transient) == "identifiers-away"


def test_a_short_hiccup_is_not_noticed(provider: Provider, dasher: Dasher) -> None:
    dasher.fault = "500-once"

    assert provider.identify(asking()).values
    assert TRIES > 1


@pytest.mark.parametrize("fault", ["hang", "drip-header", "drip-body"])
def test_a_call_ends_in_time_however_slowly_bytes_come(provider: Provider, dasher: Dasher, fault: str) -> None:
    dasher.fault = fault
    started = time.monotonic()

    with pytest.raises(Transient):
        provider.identify(asking())

    assert time.monotonic() - started < 5


def test_a_redirect_is_not_followed(provider: Provider, dasher: Dasher) -> None:
    dasher.fault = "redirect"

    with pytest.raises(Transient, match="redirect"):
        provider.identify(asking())

    assert dasher.asked == []
    assert dasher.complaints == []


def test_values_and_tokens_go_over_tls_only(settings: Any, token_file: Path) -> None:
    settings.DASHER_URL = "http://dasher.example.org/api"
    settings.STANFORD_CLIENT_SECRETS = token_file

    with pytest.raises(Transient, match="https:// only"):
        Provider().identify(asking())


def test_a_proxy_gets_nothing_that_is_not_encrypted(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert provider.identify(asking()).values


def test_a_certificate_that_is_not_trusted_gets_nothing(dasher: Dasher, tmp_path: Path) -> None:
    import ssl
    import subprocess

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", key, "-out", certificate,
         "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = dasher.listener
    listener.socket = context.wrap_socket(listener.socket, server_side=True)

    service = Service("DASHER", "DASHER_URL", "STANFORD_CLIENT_SECRETS", "DASHER_TIMEOUT", 5)
    with pytest.raises(Transient, match="certificate") as caught:
        call(service, "POST", f"https://localhost:{dasher.port}/api/v1/uid/test", auth=Bearer("access-0"))

    assert caught.value.code == "identifiers-settings"
    assert dasher.asked == []


@pytest.mark.parametrize("fault", ["down", *FAULTS])
def test_no_value_and_no_token_in_any_error_or_log(
    provider: Provider, dasher: Dasher, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    if fault == "down":
        dasher.stop()
    dasher.fault = fault
    if fault.startswith("refresh"):
        dasher.expire_access_token()

    sentence, said = "", ""
    try:
        provider.identify(asking())
    except PipelineError as error:
        sentence = error.sentence
        said = "".join(traceback.format_exception(error)) + repr(error) + error.code + sentence

    assert len(sentence) <= 500
    assert sentence.endswith(".") or not said
    for value in (*CANARIES, "access-0", "refresh-0", "access-1", "refresh-1"):
        assert value not in said
        assert value not in caplog.text


def test_a_request_shows_no_value_when_it_is_printed() -> None:
    from main.identifiers.dasher_wire import Asked

    shown = repr(Asked.of(asking(), "PatientID", "AccessionNumber", Project("default")))

    assert not [value for value in CANARIES if value in shown]


def test_the_check_says_that_the_service_answers_and_asks_about_nobody(provider: Provider, dasher: Dasher) -> None:
    assert "answers" in provider.check()
    assert dasher.asked == []
    dasher.stop()
    with pytest.raises(Transient):
        provider.check()
