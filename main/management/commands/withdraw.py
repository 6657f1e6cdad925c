"""`manage.py withdraw DESTINATION`: forget what was not delivered to a destination that is no longer configured."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import CommandError, CommandParser

from main import bells
from main.management.commands._base import NodeCommand
from main.models import Destination
from main.pipeline.deliver import withdraw


class Command(NodeCommand):
    """Withdraw deliveries."""

    help = "Forget what was not delivered to a destination that is no longer configured, so that its series can finish."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the destination."""
        super().add_arguments(parser)
        parser.add_argument("destination", help="its name, as `status` shows it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Withdraw, on record."""
        destination = Destination.objects.filter(name=options["destination"]).first()
        if destination is None:
            raise CommandError("There is no such destination.", returncode=2)
        if destination.enabled:
            raise CommandError(
                "It is configured: take it out of the settings and restart the node first.", returncode=2
            )
        count = withdraw(destination, getpass.getuser())
        bells.flush(2.0)
        self.show(options, {"deliveries": count}, [f"{count} deliveries to {destination.name} are withdrawn."])
