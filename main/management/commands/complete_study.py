"""`manage.py complete_study SERIES…`: the studies of these series are complete, and wait for no more images."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import CommandError, CommandParser

from main import bells
from main.management.commands._base import NodeCommand
from main.models import Study
from main.pipeline.completion import complete


class Command(NodeCommand):
    """Complete studies."""

    help = "Say that studies are complete: what came of them by DICOM goes on now instead of waiting for more images."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the series and `--all`."""
        super().add_arguments(parser)
        parser.add_argument("series", type=int, nargs="*", help="numbers of series, as the pages show them")
        parser.add_argument("--all", action="store_true", help="every study that waits now")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what waits due and ring."""
        numbers = set(options["series"])
        if bool(numbers) == options["all"]:
            raise CommandError("Name series, or give --all.", returncode=2)
        studies = Study.objects.filter(complete_at__isnull=False)
        if numbers:
            known = Study.objects.filter(series__in=numbers)
            if missing := numbers.difference(known.values_list("series", flat=True)):
                named = ", ".join(map(str, sorted(missing)))
                raise CommandError(f"There is no series {named} (it may be cleaned up: see the ledger).", returncode=2)
            studies = Study.objects.filter(pk__in=known.values("pk"))
        waiting = studies.filter(complete_at__isnull=False).count()
        series = complete(studies, getpass.getuser())
        bells.flush(2.0)
        self.show(
            options,
            {"studies": waiting, "series": series},
            [f"{waiting} studies wait for no more images; {series} of their series go on now."],
        )
