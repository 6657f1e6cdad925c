"""`dicom-restore`: `manage.py restore` under the name and with the options that users of DICOM Receiver know.

It restores from the node's vault, or with `--map-file` from the map that DICOM Receiver kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sendit import console


def main(arguments: Sequence[str] | None = None) -> None:
    """Restore, and end: 0 when every original is there, 1 when one is not, 2 when it is not allowed or used otherwise."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.log_level is not None:
        console.set_to("SENDIT_LOG_LEVEL", options.log_level)
    if options.show_config:
        command = ["show_config"]
    elif options.anon is None or options.out is None:
        parser.error("ANON and OUT are needed: released files, and where their originals go")
    else:
        command = ["restore", options.anon, options.out]
        command += [] if options.map_file is None else [f"--map-file={options.map_file}"]
        command += [] if options.reason is None else [f"--reason={options.reason}"]
    if options.log_file is not None:
        console.log_into(Path(options.log_file))
    console.run("dicom-restore", command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dicom-restore",
        description="Make the originals of released files again; off until SENDIT_RESTORE=yes. Run it where the node is "
        "configured. The same as `manage.py restore`.",
    )
    parser.add_argument("anon", nargs="?", metavar="ANON", help="a released file, or a folder of them")
    parser.add_argument("out", nargs="?", metavar="OUT", help="the original's name, or the folder for the originals")
    parser.add_argument(
        "--map-file", metavar="FILE", help="patient_info_map.json of DICOM Receiver, instead of the vault"
    )
    parser.add_argument("--reason", metavar="TEXT", help="why; it goes into the history. Asked for at a terminal")
    parser.add_argument("--log-level", **console.option("SENDIT_LOG_LEVEL"))
    parser.add_argument("--log-file", metavar="FILE", help="write what is said into this file instead of the console")
    parser.add_argument("--show-config", action="store_true", help="print every setting, secrets masked, and end")
    return parser


if __name__ == "__main__":
    main()
