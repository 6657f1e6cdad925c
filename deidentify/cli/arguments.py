"""The arguments of the command: the plain form `IN OUT`, and subcommands, which are known by their first word.

Nothing is done here. A folder that is called like a subcommand is written with its path: `./preview`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from deidentify.cli import inspect, keys, run
from deidentify.uids import UUIDS

_EPILOG = """
other forms:
  python -m deidentify preview FILE --recipe R     every element before and after, with the rule that acts
  python -m deidentify check-recipe R              is the recipe right, and what does it say
  python -m deidentify convert ctp|deid FILE       a recipe from a CTP anonymizer script or a deid recipe
  python -m deidentify key K                       make a key file, or name the key in one
  python -m deidentify verify CERTIFICATE OUT...   are the outputs those that were certified

exit codes: 0 all released, 1 a check or the disk failed, 2 arguments, recipe or key cannot be used, 3 some are
quarantined, 130 interrupted (the same command goes on)
"""


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments, with the function that carries them out as `run`. Exits with 2 on a mistake."""
    if argv and argv[0] in _SUBCOMMANDS:
        parser = argparse.ArgumentParser(prog=f"python -m deidentify {argv[0]}", allow_abbrev=False)
        _SUBCOMMANDS[argv[0]](parser)
        return parser.parse_args(argv[1:])
    parser = argparse.ArgumentParser(
        prog="python -m deidentify",
        description="De-identify a DICOM file, or every file of a folder (PS3.15 Annex E).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _run(parser)
    return parser.parse_args(argv)


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN", type=Path, help="a file or a folder")
    parser.add_argument("target", metavar="OUT", type=Path, help="a new file, or a folder; names come from new UIDs")
    _recipe(parser)
    _key(parser, required=True)
    parser.add_argument("--mapping", type=Path, metavar="CSV", help="write id_old,id_new of patients and UIDs: secret")
    parser.add_argument("--report", type=Path, metavar="JSON", help="write what became of each file: names input files")
    parser.add_argument(
        "--validity", action="store_true", help="put into certificates which errors dciodvfy finds in outputs only"
    )
    parser.add_argument("--workers", type=_count, default=os.cpu_count() or 1, metavar="N", help="processes")
    parser.add_argument(
        "--without-id",
        choices=("quarantine", "study"),
        default="quarantine",
        help="patients without PatientID: quarantined, or each study taken for a patient (default: quarantine)",
    )
    parser.add_argument(
        "--by-issuer", action="store_true", help="one PatientID of two issuers (IssuerOfPatientID) is two patients"
    )
    parser.add_argument(
        "--memory-limit", type=_count, default=2048, metavar="MIB", help="of a process, for one file (default: 2048)"
    )
    parser.add_argument("--time-limit", type=_count, default=600, metavar="SECONDS", help="for one file (default: 600)")
    parser.set_defaults(run=run.run)


def _preview(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show every element of a file before and after, with the rule that acts. Holds original values."
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    _recipe(parser)
    _key(parser, required=False)
    parser.set_defaults(run=inspect.preview)


def _check_recipe(parser: argparse.ArgumentParser) -> None:
    parser.description = "Say whether a recipe is right, and what it says."
    parser.add_argument("recipe", metavar="RECIPE", help="a file, or the name of a shipped recipe")
    parser.set_defaults(run=inspect.check_recipe)


def _convert(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print a recipe made from another tool's; what could not be carried over goes to stderr."
    parser.add_argument("kind", choices=("ctp", "deid"))
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.set_defaults(run=inspect.convert)


def _make_key(parser: argparse.ArgumentParser) -> None:
    parser.description = "Make a key file with mode 0600, and print what may be known of the key."
    parser.add_argument("file", metavar="K", type=Path)
    parser.add_argument("--show", action="store_true", help="of a key file that is there already")
    _project(parser)
    parser.set_defaults(run=keys.key)


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.description = "Check the signature of a certificate and the hash of every output."
    parser.add_argument("certificate", metavar="CERTIFICATE", type=Path)
    parser.add_argument("outputs", metavar="OUT", type=Path, nargs="+", help="files, or folders with them")
    parser.add_argument("--public-key", default="", metavar="HEX", help="the sender's, as `key K --show` prints it")
    parser.set_defaults(run=inspect.verify)


def _recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", required=True, metavar="R", help="a file, or the name of a shipped recipe")
    parser.add_argument(
        "--uid-root",
        default=UUIDS,
        metavar="ROOT",
        help="new UIDs start with it, if the recipe names none (default: 2.25)",
    )


def _key(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--key-file", required=required, type=Path, metavar="K", help="made by: key K")
    _project(parser)


def _project(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--project", default="default", help="another name gives unlinked pseudonyms and UIDs")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 20):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return int(text)


_SUBCOMMANDS = {
    "preview": _preview,
    "check-recipe": _check_recipe,
    "convert": _convert,
    "key": _make_key,
    "verify": _verify,
}
