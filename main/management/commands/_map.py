"""What the commands that carry an identity map share: the secret of the file, and the bar."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getpass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from main.map_file import SHORTEST_SECRET


def add_secret(parser: CommandParser) -> None:
    """Add where the secret of the file comes from."""
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="file with the secret of the map; without it you are asked for one",
    )


def secret(options: dict[str, Any], *, again: bool) -> bytes:
    """The secret of the file, from `--key-file` or typed; `again` for one that is new."""
    if options["key_file"] is not None:
        try:
            found = options["key_file"].read_bytes().strip()
        except OSError as error:
            raise CommandError(f"The key file cannot be read: {error.strerror}.", returncode=2) from None
    elif not sys.stdin.isatty():
        raise CommandError("There is nobody to type a passphrase: give --key-file.", returncode=2)
    else:
        found = getpass("Passphrase of the map: ").encode("utf-8")
        if again and getpass("Again: ").encode("utf-8") != found:
            raise CommandError("The two are not the same.", returncode=2)
    if len(found) < SHORTEST_SECRET:
        raise CommandError(
            f"The secret has fewer than {SHORTEST_SECRET} characters; `openssl rand -hex 32` makes a good one.",
            returncode=2,
        )
    return found


@contextmanager
def counting(what: str, total: int, *, hidden: bool) -> Iterator[Any]:
    """Give what is called with how many more rows are done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), disable=hidden) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda rows: progress.advance(bar, rows)
