"""`manage.py rotate_keys`: seal every value of the vault anew under its newest key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from main import identity, rotation
from main.management.commands._base import UNFINISHED, NodeCommand


class Command(NodeCommand):
    """Rotate the vault's key."""

    help = "Seal every original value anew under the newest key; --new-key makes one first. Interrupted, it goes on."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add whether to make a key."""
        super().add_arguments(parser)
        parser.add_argument("--new-key", action="store_true", help="put a new key in front of the old one, no more")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make a key, or seal anew. Exit 3: something was sealed under the old key meanwhile."""
        self.prepare()
        if options["new_key"]:
            try:
                rotation.new_key()
            except ValueError as error:
                raise CommandError(str(error), returncode=2) from None
            lines = ["A new key is in keys/vault.key, in front of the old one; what is sealed from now on is under it."]
            self.show(options, {"new_key": True}, [*lines, "Back up the folder of the keys, then run rotate_keys."])
            return
        if len(identity.vault_keys()) < 2:
            raise CommandError(
                "The vault has one key only. Make a new one with --new-key, or put one in front: ENCRYPTION_KEY=NEW,OLD.",
                returncode=2,
            )
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        with Progress(*columns, TimeElapsedColumn(), disable=options["as_json"]) as progress:
            bar = progress.add_task("sealing anew", total=rotation.count())
            sealed = rotation.reseal(lambda: progress.advance(bar))
        done = rotation.let_go()
        said = "The old key is not needed any more, but for backups that were made before."
        if not done:
            said = "Something was sealed under the old key meanwhile: restart the node and run it again."
        self.show(options, {"sealed": sealed, "finished": done}, [f"{sealed:,} values are sealed anew. {said}"])
        self.end(0 if done else UNFINISHED)
