"""`manage.py certificate SERIES`: the signed certificate of a study, by the number of one of its series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from main import certificates
from main.management.commands._base import NodeCommand
from main.models import Series


class Command(NodeCommand):
    """Write certificates."""

    help = "Write the signed certificates of the study of a series (JSON and HTML), one for each recipe."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the series and where to."""
        super().add_arguments(parser)
        parser.add_argument("series", type=int, help="number of the series, as the pages show it")
        parser.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="where to (default: here)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write them."""
        self.prepare()
        series = Series.objects.filter(pk=options["series"]).first()
        if series is None:
            raise CommandError(
                "There is no such series. The certificates of cleaned up ones are in certificates/ in the data folder.",
                returncode=2,
            )
        found = certificates.of_study(series)
        if not found:
            raise CommandError("Nothing of this study is released and de-identified yet.", returncode=3)
        options["out"].mkdir(parents=True, exist_ok=True)
        written = []
        for certificate in found:
            name = f"certificate-{series.pk}-{certificate.content['recipe']['name'].replace(' ', '-')}"
            for suffix, text in (("json", certificate.json()), ("html", certificate.html())):
                path = options["out"] / f"{name}.{suffix}"
                path.write_text(text, "utf-8")
                written.append(str(path))
        self.show(options, {"written": written}, written)
