"""What the pages name is there: commands, settings, files, links; and what people have to know is in the pages."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands

from deidentify.errors import CODES
from deidentify.marks import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from deidentify.recipe import IMPLEMENTED_OPTIONS
from deidentify.tables import table_e1_1
from dimse import CommitmentListener
from dimse.association import RELEASE_WITHIN
from dimse.commitment import SHORT_WAIT
from dimse.find import ASKED_AT_ONCE
from dimse.negotiation import LARGEST_SENT_PDU, MAX_CONTEXTS
from dimse.peer import Peer
from dimse.server import Limits
from dimse.server.listening import HANDSHAKE_WITHIN
from dimse.server.stream import LARGEST_PDU
from main.failpoints import NAMES
from main.models.arrival import FileOutcome
from main.pipeline.load import CHUNK
from sendit.reference import PREFIXES, RETIRED, SETTINGS
from web.reasons import REASONS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
DOCS = ROOT / "docs"

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        if anchor:
            assert anchor in _anchors(linked), target


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_every_command_that_is_named_is_there(page: Path) -> None:
    known = set(get_commands())
    for name in re.findall(r"manage\.py ([a-z_]+)", page.read_text("utf-8")):
        assert name in known, name


@each_page
def test_every_setting_that_is_named_is_there(page: Path) -> None:
    known = {name for setting in SETTINGS for name in (setting.name, *setting.aliases)} | {
        "SENDIT_ENV_FILE",
        *PREFIXES,
        *RETIRED,
    }
    known |= {f"{setting.name}_FILE" for setting in SETTINGS if setting.secret}
    found = re.findall(rf"\b(?:{'|'.join(PREFIXES)})[A-Z_]+\b", page.read_text("utf-8"))
    assert {name for name in found if name not in known} == set()


@each_page
def test_every_file_of_the_code_that_is_named_is_there(page: Path) -> None:
    named = re.findall(
        r"`((?:main|web|watcher|deidentify|dimse|sendit|tests|docs)/[\w/.]+\.\w+)`", page.read_text("utf-8")
    )
    for name in named:
        assert (ROOT / name).exists(), name


@each_page
def test_every_make_target_that_is_named_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for name in re.findall(r"(?:`|^|\b)make ([a-z]+)(?:`|$| [A-Z]+=)", page.read_text("utf-8"), re.MULTILINE):
        assert name in targets, name


def test_every_command_of_ours_is_in_the_operations_page() -> None:
    operations = (DOCS / "operations.md").read_text("utf-8")
    ours = [name for name, app in get_commands().items() if app in {"main", "watcher", "api", "web"}]
    assert [name for name in ours if f"`{name}" not in operations] == []


def test_every_failpoint_is_in_the_reliability_page() -> None:
    reliability = (DOCS / "reliability.md").read_text("utf-8")
    assert [name for name in NAMES if f"`{name}`" not in reliability] == []


def test_every_code_that_the_code_gives_is_in_the_quarantine_page() -> None:
    page = (DOCS / "quarantine.md").read_text("utf-8")
    codes = {*CODES, *(str(outcome) for outcome in (FileOutcome.Outcome.DUPLICATE, FileOutcome.Outcome.CONFLICT))}
    codes |= set(_codes())
    patterns = re.findall(r"`([a-z-]+)…`", page)
    assert sorted(code for code in codes if f"`{code}`" not in page and not code.startswith(tuple(patterns))) == []


def _codes() -> Iterator[str]:
    """Codes as they stand in the code: first arguments of our errors, and `code=` of receipts and moves."""
    for path in sorted((ROOT / "main").rglob("*.py")):
        text = path.read_text("utf-8")
        yield from re.findall(r"\b(?:Transient|Permanent|Quarantine|Refused)\(\s*\"([a-z-]+)\"", text)
        yield from re.findall(r"\bcode=\"([a-z-]+)\"", text)


def test_every_reason_of_the_quarantine_page_of_the_node_is_in_that_of_the_docs() -> None:
    page = (DOCS / "quarantine.md").read_text("utf-8")
    assert [code for code in REASONS if f"`{code}`" not in page] == []


def test_options_are_not_called_missing_once_they_are_there() -> None:
    page = (DOCS / "deidentification.md").read_text("utf-8")
    assert ("None of the options" in page) == (IMPLEMENTED_OPTIONS == ())


@pytest.mark.parametrize(
    "figure",
    [
        f"implementation class UID {IMPLEMENTATION_CLASS_UID}, version name `{IMPLEMENTATION_VERSION}`",
        f"Presentation contexts | up to {MAX_CONTEXTS} an association",
        f"the peer's, at most {LARGEST_SENT_PDU:,} bytes",
        f"Maximum PDU received | {inspect.signature(Peer).parameters['max_pdu'].default:,} bytes",
        f"reads up to {LARGEST_PDU >> 20} MiB",
        f"the handshake alone {HANDSHAKE_WITHIN:g} s",
        f"slower than {Limits().slowest_rate >> 10} kB/s",
        f"TCP connection | {inspect.signature(Peer).parameters['connect_timeout'].default:g} s",
        f"up to {ASKED_AT_ONCE} SOP Instance UIDs",
        f"is taken for {SHORT_WAIT:g} s",
        f"silent for {inspect.signature(CommitmentListener).parameters['silence_timeout'].default:g} s is aborted",
        f"release | {RELEASE_WITHIN:g} s",
        f"Up to {CHUNK} images of one series",
        f"PS3.15 Annex E, edition {table_e1_1().edition}",
    ],
)
def test_the_conformance_statement_has_the_figures_of_the_code(figure: str) -> None:
    assert figure in " ".join((DOCS / "conformance.md").read_text("utf-8").split())
