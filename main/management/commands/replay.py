"""`manage.py replay SERIES --from STAGE`: a series goes its way again from a stage on, on the record."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import CommandError, CommandParser

from main import bells
from main.errors import Permanent
from main.management.commands._base import NodeCommand
from main.models import Series
from main.pipeline.replay import replay


class Command(NodeCommand):
    """Replay a series."""

    help = "Send a series through again from a stage on. Same input, recipe and key give the same bytes."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the series and the stage."""
        super().add_arguments(parser)
        parser.add_argument("series", type=int, help="number of the series, as the pages show it")
        parser.add_argument("--from", dest="start", choices=["identify", "deidentify", "deliver"], required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Replay it."""
        series = Series.objects.filter(pk=options["series"]).first()
        if series is None:
            raise CommandError("There is no such series (it may be cleaned up: see the ledger).", returncode=2)
        try:
            count = replay(series, options["start"], getpass.getuser())
        except Permanent as error:
            raise CommandError(error.sentence, returncode=3) from None
        bells.flush(2.0)
        self.show(
            options, {"images": count}, [f"{count} images of series {series.pk} go again from {options['start']}."]
        )
