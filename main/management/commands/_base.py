"""What the commands share: `--json`, a start that checks keys and destinations, exit codes."""

from __future__ import annotations

import json
import os
import pwd
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from main import identity
from main.destinations.configured import sync
from main.models import Destination
from main.projects import projects

# 0 all well; 1 something a person must look at; 2 settings or usage; 3 not finished in time.
LOOK, UNFINISHED = 1, 3


def system_user() -> str:
    """The operating system's user behind this process, whatever its environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


class NodeCommand(BaseCommand):
    """A command on the node's data; prints text, or one JSON object with `--json`."""

    requires_migrations_checks = True

    def add_arguments(self, parser: CommandParser) -> None:
        """Add `--json`, which every command of the node has."""
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def prepare(self) -> None:
        """Check the keys, and that the node knows its destinations.

        Only the node's own processes bring a changed configuration into the database (`sync`): a command that is run by
        hand without the node's environment must not switch destinations off.
        """
        identity.keyring()
        for name in projects():
            identity.pseudonyms(name)
        if not Destination.objects.exists():
            sync()

    def show(self, options: dict[str, Any], facts: dict[str, Any], lines: list[str]) -> None:
        """Print `facts` as JSON, or `lines`."""
        self.stdout.write(json.dumps(facts, default=str) if options["as_json"] else "\n".join(lines))

    def end(self, code: int) -> None:
        """End with `code` if it is not 0."""
        if code:
            sys.exit(code)
