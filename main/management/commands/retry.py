"""`manage.py retry`: try now what waits for a retry or was refused."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import CommandParser

from main import bells
from main.management.commands._base import NodeCommand
from main.pipeline.replay import retry_blocked


class Command(NodeCommand):
    """Retry."""

    help = "Try now whatever waits for a retry or was refused by a destination."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what to retry."""
        super().add_arguments(parser)
        parser.add_argument("--destination", help="only this destination")
        parser.add_argument("--series", type=int, help="only this series")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it due and ring."""
        count = retry_blocked(getpass.getuser(), options["destination"], options["series"])
        bells.flush(2.0)
        self.show(options, {"deliveries": count}, [f"{count} deliveries are due now."])
