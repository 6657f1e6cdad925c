"""`manage.py forget PSEUDONYM --reason TEXT`: destroy what leads from a pseudonym to its patient."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from main.errors import Permanent, Transient
from main.forgetting import forget
from main.management.commands._base import LOOK, NodeCommand, system_user
from main.restoring import LONGEST_REASON


class Command(NodeCommand):
    """Forget a patient."""

    help = (
        "Destroy for good what leads from a pseudonym back to the patient; what was delivered stays, and so does proof."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add whom, and why."""
        super().add_arguments(parser)
        parser.add_argument("pseudonym", help="PatientID as it was released")
        parser.add_argument("--project", default="", help="whose pseudonym it is, where several projects gave it out")
        parser.add_argument(
            "--everywhere", action="store_true", help="destroy what other projects have of the patient as well"
        )
        parser.add_argument(
            "--reason", required=True, help="why; it goes into the history, so no patient's value in it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Forget. Exit 1: nothing is known under this pseudonym, or something of the patient is on its way."""
        reason = options["reason"].strip()
        if not 1 <= len(reason) <= LONGEST_REASON:
            raise CommandError(f"Give a reason of 1 to {LONGEST_REASON} characters.", returncode=2)
        self.prepare()
        try:
            done = forget(
                options["pseudonym"], reason, system_user(), options["project"], everywhere=options["everywhere"]
            )
        except (Permanent, Transient) as error:
            raise CommandError(error.sentence, returncode=LOOK) from None
        line = f"{done.entries} entries of the vault for {done.images} images, and {done.series} series are gone."
        if done.elsewhere:
            line += (
                f" Still known in {', '.join(done.elsewhere)}: --everywhere, or his pseudonym there, forgets that too."
            )
        self.show(options, asdict(done), [line])
        self.end(0 if done.entries or done.series or done.pseudonyms else LOOK)
