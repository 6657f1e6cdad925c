"""Writes `e1_1.json` from a parsed Table E.1-1: tags, keywords, VRs and action letters only.

Run it as ``python -m deidentify.tables.generate TABLE.json`` when a new edition is out; it carries no text of the
standard over.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

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


def compact(source: dict[str, object], source_sha256: str) -> str:
    """Return the text of `e1_1.json`, one row a line, sorted by tag so that editions can be compared."""
    rows: list[list[str]] = []
    for row in source["rows"]:  # type: ignore[attr-defined]  # checked by the KeyErrors and the action set below
        tag = "private" if row["tag"] == "gggg,eeee" else row["tag"].replace(",", "").lower()
        cells = [row["basic"], *(row[column] or "" for column in COLUMNS)]
        if unknown := {cell for cell in cells if cell} - ACTIONS:
            raise SystemExit(f"Row {row['tag']} has actions that are not in Table E.1-1a: {sorted(unknown)}.")
        rows.append([tag, row["keyword"] or "", row["vr"] or "", *cells])
    rows.sort()
    lines = ",\n".join(json.dumps(row) for row in rows)
    head = f'"edition": {json.dumps(source["edition"])},\n"source_sha256": {json.dumps(source_sha256)}'
    return f'{{\n{head},\n"rows": [\n{lines}\n]\n}}\n'


def main() -> None:
    """Read the table named on the command line and write `e1_1.json` beside this module."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("table", type=Path, help="Table E.1-1 as parsed from the DocBook of PS3.15 (JSON)")
    path = parser.parse_args().table
    source = json.loads(path.read_text("utf-8"))
    digest = re.search(r"SHA-256 ([0-9a-f]{64})", source["provenance"]["primary"])
    if digest is None:
        raise SystemExit("The table does not name the SHA-256 of the document that it was read from.")
    target = Path(__file__).with_name("e1_1.json")
    target.write_text(compact(source, digest.group(1)), "utf-8")
    print(f"{target}: {len(source['rows'])} rows of edition {source['edition']}")


if __name__ == "__main__":
    main()
