"""`dicom-receiver`: the receiver under the name and with the options that users of DICOM Receiver know.

Options become settings for this one run and go before the environment; options for what is done in another way here are
accepted and answered with what to use instead.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sendit import console
from sendit.reference import RETIRED

# Options that set something, and the setting.
WORKING = {
    "--data-dir": "SENDIT_DATA_DIR",
    "--port": "DICOM_PORT",
    "--ae-title": "DICOM_AE_TITLE",
    "--storage": "DICOM_FOLDER",
    "--timeout": "DICOM_STUDY_TIMEOUT",
    "--log-level": "DICOM_LOG_LEVEL",
    "--max-connections": "DICOM_MAX_ASSOCIATIONS",
}
# Options whose work is done in another way, and whether they take a value. What to use is said by `RETIRED`.
ELSEWHERE = {
    "--api-url": True,
    "--api-username": True,
    "--api-password": True,
    "--api-token": True,
    "--auto-upload": False,
    "--zip-dir": True,
    "--max-retries": True,
    "--retry-delay": True,
}
CLEANUP = "what is proven to have arrived is removed by the node when SENDIT_CLEANUP is yes."
MIGRATED = "There is nothing to migrate: received images go on as they come, and none are kept in folders of patients."


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the receiver in this terminal until SIGTERM or Ctrl-C."""
    options = vars(_parser().parse_args(arguments))
    if options["migrate"]:
        print(MIGRATED)
        return
    for option, name in WORKING.items():
        if options[_key(option)] is not None:
            console.set_to(name, options[_key(option)])
    for option in ELSEWHERE:
        if options[_key(option)]:
            print(f"{option} does nothing here: {_instead(option)}", file=sys.stderr)
    if options["cleanup_after_upload"]:
        print(f"--cleanup-after-upload does nothing here: {CLEANUP}", file=sys.stderr)
    if options["log_file"]:
        console.log_into(Path(options["log_file"]))
    console.run("dicom-receiver", ["show_config"] if options["show_config"] else ["receiver_start", "--foreground"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dicom-receiver",
        description="Receive DICOM images. The same as `manage.py receiver_start --foreground`; an option goes before "
        "the environment. Images go on from the folder when the node runs: `manage.py node`.",
    )
    for option, name in WORKING.items():
        parser.add_argument(option, **console.option(name))
    parser.add_argument("--log-file", metavar="FILE", help="write the log into this file instead of the console")
    parser.add_argument("--show-config", action="store_true", help="print every setting, secrets masked, and end")
    parser.add_argument("--migrate", action="store_true", help="does nothing here: " + MIGRATED)
    for option, has_value in ELSEWHERE.items():
        how: dict[str, Any] = {"metavar": "VALUE"} if has_value else {"action": "store_true"}
        parser.add_argument(option, help="does nothing here: " + _instead(option), **how)
    parser.add_argument("--cleanup-after-upload", action="store_true", help="does nothing here: " + CLEANUP)
    return parser


def _instead(option: str) -> str:
    return RETIRED["DICOM_RECEIVER_" + _key(option).upper()]


def _key(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")
