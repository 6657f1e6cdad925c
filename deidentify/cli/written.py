"""The files beside the outputs: mapping, report, certificates. Each is whole or not there at all.

Mapping and report name originals, so that only their owner may read them.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from deidentify.cli.errors import Unusable

_HEADER = ["id_old", "id_new"]


@contextmanager
def whole(path: Path, mode: int) -> Iterator[TextIO]:
    """Give a text file that takes the place of `path` when it is finished."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-")
    try:
        with open(fd, "w", encoding="utf-8", newline="") as file:
            os.fchmod(fd, mode)
            yield file
            file.flush()
            os.fsync(fd)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_mapping(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the pairs of a mapping file; none when there is no such file.

    Raises
    ------
    Unusable
        When the file is something else.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            if next(rows, None) != _HEADER:
                raise Unusable(f"{path} is there already and is no mapping of this command.")
            yield from ((old, new) for old, new in rows)
    except FileNotFoundError:
        return
    except (ValueError, csv.Error):
        raise Unusable(f"{path} is there already and is no mapping of this command.") from None


def write_mapping(path: Path, pairs: Iterable[tuple[str, str]]) -> None:
    """Write pairs of old and new identifiers, mode 0600."""
    with whole(path, 0o600) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(_HEADER)
        rows.writerows(pairs)


def write_report(path: Path, head: dict[str, object], files: Iterable[dict[str, object]]) -> None:
    """Write what became of each file, mode 0600, one file a line."""
    with whole(path, 0o600) as file:
        file.write(json.dumps(head, indent=1)[:-2] + ',\n "files": [')
        between = "\n  "
        for row in files:
            file.write(between + json.dumps(row))
            between = ",\n  "
        file.write("\n ]\n}\n")
