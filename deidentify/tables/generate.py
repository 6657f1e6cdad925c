"""Writes the tables of PS3.15 Annex E as JSON from their parsed DocBook: tags, codes, VRs and action letters only.

Run it as ``python -m deidentify.tables.generate E1_1.json E3_4_1.json E3_10_1.json`` when a new edition is out; it
carries no text of the standard over.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

COLUMNS = (
    "rtn_safe_priv",
    "rtn_uids",
    "rtn_dev_id",
    "rtn_inst_id",
    "rtn_pat_chars",
    "rtn_long_full_dates",
    "rtn_long_modif_dates",
    "clean_desc",
    "clean_struct_cont",
    "clean_graph",
)
ACTIONS = {"D", "Z", "X", "K", "C", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*"}


def attribute(row: dict[str, Any]) -> list[str]:
    """Return a row of Table E.1-1: tag, keyword, VR, actions."""
    tag = "private" if row["tag"] == "gggg,eeee" else row["tag"].replace(",", "").lower()
    return [tag, row["keyword"] or "", row["vr"] or "", *_actions(row, COLUMNS)]


def concept(row: dict[str, Any]) -> list[str]:
    """Return a row of Table E.3.4-1: scheme, code value, value type, actions."""
    return [row["scheme"], row["code_value"], row["value_type"], *_actions(row, COLUMNS[1:8])]


def private(row: dict[str, Any]) -> list[str]:
    """Return a row of Table E.3.10-1: tag, Private Creator, VR."""
    vr = "OB" if "/" in row["vr"] else row["vr"]
    return [row["tag"].replace(",", "").lower(), row["private_creator"], vr]


def _actions(row: dict[str, Any], columns: tuple[str, ...]) -> list[str]:
    cells = [row["basic"], *(row[column] or "" for column in columns)]
    if unknown := {cell for cell in cells if cell} - ACTIONS:
        raise SystemExit(f"A row has actions that are not in Table E.1-1a: {sorted(unknown)}.")
    return cells


def compact(source: dict[str, Any], source_sha256: str, shape: Callable[[dict[str, Any]], list[str]]) -> str:
    """Return the text of a table, one row a line, sorted so that editions can be compared."""
    lines = ",\n".join(json.dumps(row) for row in sorted(shape(row) for row in source["rows"]))
    head = f'"edition": {json.dumps(source["edition"])},\n"source_sha256": {json.dumps(source_sha256)}'
    return f'{{\n{head},\n"rows": [\n{lines}\n]\n}}\n'


def main() -> None:
    """Read the tables named on the command line and write theirs beside this module."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name in ("e1_1", "e3_4_1", "e3_10_1"):
        parser.add_argument(name, type=Path, help="the table as parsed from the DocBook of PS3.15 (JSON)")
    arguments = parser.parse_args()
    for name, shape in (("e1_1", attribute), ("e3_4_1", concept), ("e3_10_1", private)):
        source = json.loads(getattr(arguments, name).read_text("utf-8"))
        digest = re.search(r"SHA-256 ([0-9a-f]{64})", source["provenance"]["primary"])
        if digest is None:
            raise SystemExit(f"{name} does not name the SHA-256 of the document that it was read from.")
        target = Path(__file__).with_name(f"{name}.json")
        target.write_text(compact(source, digest.group(1), shape), "utf-8")
        print(f"{target}: {len(source['rows'])} rows of edition {source['edition']}")


if __name__ == "__main__":
    main()
