"""After real work with planted identities none of them is anywhere but in the originals: every byte of everything is searched."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.identifiers.gpas_standin import Gpas
from tests.peers import Postgres
from tests.peers.fixtures import running
from tests.peers.server import free_port
from tests.system.canaries import PATIENTS, VALUES, WORDS, canaries_in, found_below, plant
from tests.system.test_node import ROOT, TEST_FILES, running_node, through, wait_for, without_search

# What may hold originals: the folders they lie in.
ORIGINALS = ("data/work/drops",)
_LINK = re.compile(r'href="(/[^"#]*)"')
_MOST_PAGES = 80
_STARTS = (
    "/",
    "/series/",
    "/drops/",
    "/quarantine/",
    "/ledger/",
    "/receiver/",
    "/nodes/",
    "/api/status",
    "/api/metrics",
)

Command = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("word", WORDS)
def test_the_search_finds_every_word_in_every_form(word: str, tmp_path: Path) -> None:
    for number, before in enumerate(("", "a", "ab", "abc", "ä")):
        text = f"{before}{word} and more"
        forms = [text.encode(encoding) for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be")]
        forms += [text.upper().encode(), text.lower().encode()]
        forms += [text.encode().hex().encode(), text.encode().hex().upper().encode()]
        forms += [base64.b64encode(text.encode()), base64.b64encode(text.encode("utf-16-le"))]
        for form in forms:
            assert canaries_in(b"before " + form + b" after"), (number, form)
    (tmp_path / f"{word}.txt").touch()
    assert list(found_below(tmp_path))
    assert not canaries_in(b"nothing to see" * 100)


def fill(folder: Path, patient_ids: tuple[str, ...], every: int) -> None:
    """pydicom's files with identities, and with them what goes wrong."""
    paths = sorted(path for path in TEST_FILES.rglob("*") if path.is_file() and path.stat().st_size < 1_000_000)[
        ::every
    ]
    for number, path in enumerate(paths):
        plant(path, folder / f"{number}-Zimtkanari.dcm", patient_ids[number % len(patient_ids)])
    whole = next(
        path for path in folder.iterdir() if path.name.endswith("Zimtkanari.dcm") and canaries_in(path.read_bytes())
    )
    content = whole.read_bytes()
    wrong = {
        "ACCKANARI77-truncated.dcm": content[: len(content) // 2],
        "ACCKANARI77-duplicate.dcm": content,
        "ACCKANARI77-conflict.dcm": content.replace(b"Kanarienweg 4711", b"Kanarienweg 4712"),
        "Wilhelmina.txt": b"".join(f"{keyword}: {value}\n".encode() for keyword, value in VALUES.items()),
        "Wilhelmina.zip": b"PK\x03\x04" + content[:1000],
        "KANARI-4711": b"",
    }
    for name, data in wrong.items():
        (folder / name).write_bytes(data)
        os.utime(folder / name, (1, 1))


def hand_over(inbox: Path, name: str, patient_ids: tuple[str, ...], every: int) -> None:
    """A drop whose name is an identity too."""
    writing = inbox / f"{name}.tmp1"
    (writing / "Zimtkanari Wilhelmina 19370219").mkdir(parents=True)
    fill(writing / "Zimtkanari Wilhelmina 19370219", patient_ids, every)
    writing.rename(inbox / name)


def settled(command: Command, drops: int) -> bool:
    """Whether everything has come as far as it comes."""
    facts = command("status")
    return len(facts["drops"]) >= drops and through(facts)


def pages(address: str) -> Iterator[tuple[str, str]]:
    """Pages as somebody without any right gets them: the lists, series, and what they link to."""
    waiting = [*_STARTS, *(f"/series/{number}/" for number in range(1, 21))]
    seen = set(waiting)
    with requests.Session() as session:
        while waiting:
            path = waiting.pop(0)
            text = session.get(address + path, timeout=60).text
            yield path, text
            for link in map(unescape, _LINK.findall(text)):
                if link not in seen and len(seen) < _MOST_PAGES and "/static/" not in link:
                    seen.add(link)
                    waiting.append(link)


def said_by_commands(folder: Path, command: Command, environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """What commands say, also those that fail, and one that carries the map away."""
    (folder / "secret").write_text("a secret of the map that is long enough")
    yield "status", json.dumps(command("status"))
    wanted = [
        ["quarantine", "list"],
        ["show_config"],
        ["cleanup", "--dry-run"],
        ["check_node"],
        ["nodes", "list"],
        ["access", "list"],
        ["sweep"],
        ["certificate", "1", "--out", str(folder / "certificates")],
        ["restore", "data/outbox", "back", "--reason", "asked for"],
        ["export_map", "map", "--key-file", "secret"],
        ["import_map", "map", "--key-file", "secret"],
        ["replay", "1", "--from", "identify"],
        ["forget", PATIENTS[0], "--reason", "not a pseudonym"],
        ["restore", str(folder / "data" / "outbox" / "missing"), "nowhere", "--reason", "asked for"],
    ]
    for words in wanted:
        ended = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *words, "--json"],
            env={**environment, "SENDIT_RESTORE": "yes"},
            capture_output=True,
            text=True,
            timeout=120,
            cwd=folder,
        )
        said = ended.stdout + ended.stderr
        asked = [word for word in words if canaries_in(word.encode())]
        yield " ".join(words[:2]), said.replace(asked[0], "") if asked else said


@pytest.fixture
def gpas() -> Iterator[Gpas]:
    service = Gpas().start()
    yield service
    service.stop()


@pytest.fixture
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server that nobody else has written to: all of its files are searched."""
    server = running(Postgres(tmp_path_factory.mktemp("postgres")))
    yield server
    server.stop()


@pytest.mark.parametrize("kind", ["csv", "gpas"])
def test_no_planted_identity_is_anywhere_but_in_the_originals(
    tmp_path: Path, kind: str, gpas: Gpas, request: pytest.FixtureRequest
) -> None:
    port = free_port()
    settings = {
        "SENDIT_IDENTIFIERS": kind,
        "SENDIT_RECIPE": without_search(tmp_path),
        "SENDIT_LOG_LEVEL": "debug",
        "SENDIT_RETRY_MAX_SECONDS": "2",
        "SENDIT_WEB_BIND": f"127.0.0.1:{port}",
        "LOCKDOWN_ENABLED": "no",
    }
    postgres: Postgres | None = None
    if kind == "gpas":
        postgres = request.getfixturevalue("own_postgres")
        settings |= {
            "GPAS_URL": gpas.url,
            "GPAS_DOMAIN": "Patients",
            "GPAS_TIMEOUT": "5",
            "DATABASE_ENGINE": "postgresql",
            "POSTGRES_HOST": postgres.host,
            "POSTGRES_PORT": str(postgres.port),
            "POSTGRES_USER": postgres.user,
            "POSTGRES_DB": postgres.database,
        }
        gpas.fault = "500"
    if kind == "csv":  # the second patient is not in it, the third gets the pseudonym of the first one later
        table = tmp_path.parent / f"{tmp_path.name}-patients.csv"
        table.write_text(f"patient_id,issuer,pseudonym\n{PATIENTS[0]},{VALUES['IssuerOfPatientID']},SUB-1\n")
        settings["SENDIT_IDENTIFIERS_FILE"] = str(table)
    problems: list[str] = []
    with running_node(tmp_path, without=("receiver",), **settings) as command:
        inbox = tmp_path / "data" / "inbox"
        hand_over(inbox, "Zimtkanari one", PATIENTS[:2], 3)
        if kind == "gpas":
            wait_for(lambda: gpas.failures > 0, 90, tmp_path / "node.log")
            gpas.fault = "400"
        wait_for(lambda: settled(command, 1), 150, tmp_path / "node.log")
        gpas.fault = ""
        if kind == "gpas":
            gpas.known["Patients", PATIENTS[2]] = "psn_same"
        if kind == "csv":
            table.write_text(f"patient_id,issuer,pseudonym\n{PATIENTS[2]},{VALUES['IssuerOfPatientID']},SUB-1\n")
        hand_over(inbox, "KANARI-4711 two", (PATIENTS[2],), 6)
        wait_for(lambda: settled(command, 2), 150, tmp_path / "node.log")
        held = {row["code"] for row in command("quarantine", "list")["held"]}
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SENDIT_")},
            "SENDIT_DATA_DIR": str(tmp_path / "data"),
            "SENDIT_ENV_FILE": str(tmp_path / "none"),
            **settings,
        }
        shown = list(pages(f"http://127.0.0.1:{port}"))
        for what, text in [*shown, *said_by_commands(tmp_path, command, environment)]:
            problems += [f"{found}: {what}" for found in canaries_in(text.encode())]
        shutil.rmtree(tmp_path / "back", ignore_errors=True)  # originals, as they were asked for
        problems += found_below(tmp_path, without=ORIGINALS)  # while it runs, with the journals of the database
    problems += found_below(tmp_path, without=ORIGINALS)
    if postgres is not None:
        dump = subprocess.run(
            ["pg_dump", "-h", postgres.host, "-p", str(postgres.port), "-U", postgres.user, postgres.database],
            capture_output=True,
            check=True,
            timeout=120,
        ).stdout
        assert b"main_pseudonym" in dump
        problems += [f"{found}: pg_dump" for found in canaries_in(dump)]
        problems += found_below(postgres.folder)

    assert not problems, "\n".join(sorted(set(problems))[:40])
    assert len(shown) > 20
    assert {"truncated", "conflict", "not-dicom"} <= held
    assert {"csv": {"identifiers-unknown", "identifiers-taken"}, "gpas": {"identifiers-refused"}}.get(
        kind, set()
    ) <= held
    outputs = [path for path in (tmp_path / "data" / "outbox").rglob("*") if path.is_file()]
    assert len(outputs) > 5
    assert len(list(found_below(tmp_path / "data" / "work" / "drops"))) > 1000, "the search finds what is there"
