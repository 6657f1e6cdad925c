"""`manage.py write_reference`: writes docs/settings.md and docs/states.md from the tables in the code.

Only pages that are wholly made from tables belong here; everything else in docs/ is written by people.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from main.models.arrival import FileOutcome
from main.models.delivery import Delivery, Proof
from main.models.imaging import Status
from main.states import FORWARD, REPLAY
from sendit.environment import Setting
from sendit.reference import PREFIXES, SETTINGS

_WRITTEN = "<!-- Written by `manage.py write_reference`. Change the tables in the code, not this page. -->"

_SETTINGS_INTRO = """\
Settings are environment variables. They can also stand in a file `.env` in the folder where sendit is started
(`SENDIT_ENV_FILE` names another file), one `NAME=value` a line.

- The environment counts before the file, the file before the default. An empty value counts as not given.
- A secret (marked below) can be read from a file: `NAME_FILE=/run/secrets/name` instead of `NAME`.
- Older names are accepted as well. The old and the new name with different values: sendit does not start.
- A value that is not understood stops the start, and so does an unknown name that begins with
  {prefixes}.
  All mistakes are listed at once, an unknown name with a guess at the one that was meant.
- `manage.py show_config` prints what is in effect and where each value comes from; secrets are masked.
"""

_STATES_INTRO = """\
Every image has one status. It only moves along the table below; each move is written together with its event in the
history, in one transaction. What waits, how often it was tried, when it is tried next and the last error stand beside
the status: on the series for the stages, on the delivery for sending.

A series shows the status of its least advanced image. Quarantined images count only when no other image of the series
is still on its way.
"""

_MEANINGS: dict[Status, str] = {
    Status.NEW: "Registered; its series waits for identifiers, and what comes by DICOM first for the rest of its study.",
    Status.PROCESSING: "Its series has identifiers; it is being de-identified. Nothing was sent.",
    Status.DONEPROCESSING: "De-identified, checked and released; not yet proven at every destination.",
    Status.SENT: "Every destination has proven its receipt, at the level of proof that is configured.",
    Status.DONE: "Cleanup has begun or is over. The rows go away; a line in the ledger remains.",
    Status.QUARANTINED: "A person must look. It carries a reason code and a sentence; its file is kept.",
    Status.EXCLUDED: "A person decided that it is not sent. It carries the reason.",
}


class Command(BaseCommand):
    """Write the reference pages, or check them."""

    help = "Write docs/settings.md and docs/states.md from the code. --check: exit 1 when they are out of date."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--check` and `--docs`."""
        parser.add_argument("--check", action="store_true", help="write nothing, exit 1 when a page is out of date")
        parser.add_argument("--docs", type=Path, default=settings.BASE_DIR / "docs", help="folder of the pages")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write or compare both pages."""
        stale = []
        for name, text in pages().items():
            path = options["docs"] / name
            found = path.read_text(encoding="utf-8") if path.exists() else ""
            if found == text:
                continue
            if options["check"]:
                stale.append(name)
                self.stderr.write("".join(difflib.unified_diff(_lines(found), _lines(text), name, f"{name} (new)")))
            else:
                path.write_text(text, encoding="utf-8")
                self.stdout.write(f"{path} is written.")
        if stale:
            raise CommandError(f"Out of date: {', '.join(stale)}. Run `make reference`.", returncode=1)


def pages() -> dict[str, str]:
    """Name and content of each page."""
    return {"settings.md": _settings(), "states.md": _states()}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _settings() -> str:
    prefixes = ", ".join(f"`{prefix}`" for prefix in PREFIXES)
    parts = ["# Settings", _WRITTEN, _SETTINGS_INTRO.format(prefixes=prefixes).strip()]
    in_order = sorted(SETTINGS, key=lambda setting: _first_of(setting.section))
    for section, members in groupby(in_order, key=lambda setting: setting.section):
        rows = [
            (_name(setting), setting.kind.name.replace("|", "\\|"), _default(setting), setting.help)
            for setting in members
        ]
        parts += [f"## {section}", _table(("setting", "value", "default", "what it does"), rows)]
    return "\n\n".join(parts) + "\n"


def _first_of(section: str) -> int:
    return next(number for number, setting in enumerate(SETTINGS) if setting.section == section)


def _name(setting: Setting) -> str:
    older = f"<br>also `{'`, `'.join(setting.aliases)}`" if setting.aliases else ""
    return f"`{setting.name}`{older}{'<br>secret' if setting.secret else ''}"


def _default(setting: Setting) -> str:
    default = setting.default
    if default is None or default == "" or default == []:
        return ""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, list):
        return f"`{','.join(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def _states() -> str:
    parts = ["# States", _WRITTEN, _STATES_INTRO.strip(), "## Images", _diagram()]
    rows = [
        (f"`{status}`", _MEANINGS[status], _names(FORWARD[status]), _names(REPLAY.get(status, ()))) for status in Status
    ]
    parts.append(_table(("status", "meaning", "goes to", "goes back to, by a replay or requeue"), rows))
    parts.append(
        "The only way back is an audited one: `manage.py replay` and `manage.py quarantine requeue`, or their buttons.\n"
        "It needs the original, so what is cleaned up does not come back."
    )
    parts += ["## Files of a drop that are no image", _choices("outcome", FileOutcome.Outcome)]
    parts.append(
        "The files of a drop add up: images by status, plus files by outcome, plus images that were cleaned up."
    )
    parts += ["## Deliveries", "There is one delivery for each released image and destination."]
    parts += [_choices("state", Delivery.State), "### Proof", "From weakest to strongest:", _choices("proof", Proof)]
    return "\n\n".join(parts) + "\n"


def _diagram() -> str:
    arrows = [f"    {source} --> {target}" for source in Status for target in Status if target in FORWARD[source]]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> NEW", *arrows, "    DONE --> [*]", "```"])


def _names(statuses: Any) -> str:
    return ", ".join(f"`{status}`" for status in Status if status in statuses)


def _choices(heading: str, choices: Any) -> str:
    names: Mapping[str, str] = dict(choices.choices)
    return _table(
        (heading, "meaning"), [(f"`{value}`" if value else "none", str(label)) for value, label in names.items()]
    )


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
