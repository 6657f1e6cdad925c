"""The subcommands that only look: preview, check-recipe, convert, verify.

They print; what they print of a preview holds original values and says so first.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deidentify.certificate import Certificate
from deidentify.certificate import verify as verified
from deidentify.cli.errors import Unusable
from deidentify.cli.jobs import Look
from deidentify.cli.keys import read_key
from deidentify.compare import Change
from deidentify.convert import from_ctp, from_deid
from deidentify.engine import Deidentifier
from deidentify.errors import Refused
from deidentify.identifiers import Identifiers
from deidentify.pseudonyms import Pseudonyms, patient_key
from deidentify.recipe import Recipe

_SHOWN = 20


def preview(arguments: argparse.Namespace) -> int:
    """Print every element of a file before and after, with the rule that acted; 3 when the file is not released."""
    key = read_key(arguments.key_file) if arguments.key_file else secrets.token_bytes(32)
    pseudonyms = Pseudonyms(key, arguments.project)
    engine = Deidentifier(Recipe.load(arguments.recipe).below(arguments.uid_root), pseudonyms.engine_key)
    try:
        changes = _changes(engine, arguments.file, pseudonyms)
    except Refused as refused:
        print(f"Not released: {refused}")
        return 3
    print("This holds ORIGINAL VALUES of the patient. Show it to nobody who may not see them.")
    if not arguments.key_file:
        print("Without --key-file, pseudonyms and UIDs are those of a key that was made for this preview.")
    if sys.stdout.isatty():
        table = Table("element", "before", "after", "rule")
        for change in changes:
            style = "dim" if change.kind == "kept" else ""
            table.add_row(*(Text(cell, style=style) for cell in _cells(change)))
        Console().print(table)
    else:
        print("element | before | after | rule")
        for change in changes:
            print(" | ".join(_cells(change)))
    return 0


def _changes(engine: Deidentifier, file: Path, pseudonyms: Pseudonyms) -> list[Change]:
    seen = Look(1, str(file)).do(engine)
    patient = patient_key("", seen.patient_id, seen.study)
    pseudonym = pseudonyms.patient(patient)
    values = {"PatientID": pseudonym, "PatientName": pseudonym}
    if seen.accession_number:
        values["AccessionNumber"] = pseudonyms.accession(patient, seen.accession_number)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "after"
        engine.file(file, target, Identifiers(values))
        return engine.compare(file, target)


def _cells(change: Change) -> tuple[str, str, str, str]:
    before, after = (
        "".join(char if char.isprintable() else "·" for char in text) for text in (change.before, change.after)
    )
    if change.kind in ("removed", "emptied"):
        after = f"({change.kind})"
    elif change.kind == "added":
        before = "(absent)"
    return change.path, before, after, change.rule


def check_recipe(arguments: argparse.Namespace) -> int:
    """Print what a recipe says in short; a mistake in it is refused with its line."""
    recipe = Recipe.load(arguments.recipe)
    print(f"{recipe.name}: this recipe is right.")
    print(f"  profile    {recipe.profile} (PS3.15 Annex E, edition {recipe.edition})")
    print(f"  options    {', '.join(recipe.options) or 'none'}")
    print(f"  dates      {recipe.dates.mode}")
    print(f"  pixels     {recipe.pixels.mode}, rectangles for {len(recipe.pixels.rectangles)} devices")
    print(f"  documents  {recipe.documents.mode}")
    print(f"  overrides  {len(recipe.overrides)} for every object, {len(recipe.when)} under conditions")
    print(f"  filters    {len(recipe.filters)}")
    print(f"  UIDs       {recipe.uid_root}")
    print(f"  SHA-256    {recipe.hash}")
    return 0


def convert(arguments: argparse.Namespace) -> int:
    """Print a recipe made from another tool's; 3 when something of it could not be carried over."""
    try:
        script = arguments.file.read_text("utf-8", "replace")
    except OSError as error:
        raise Unusable(f"{arguments.file} cannot be read: {error.strerror}.") from None
    converted = {"ctp": from_ctp, "deid": from_deid}[arguments.kind](script)
    print(converted.recipe, end="")
    for left in converted.left:
        print(f"not carried over, line {left.line}: {left.rule}: {left.why}", file=sys.stderr)
    return 3 if converted.left else 0


def verify(arguments: argparse.Namespace) -> int:
    """Say whether outputs are those of a certificate; 0 when they are, 1 when not."""
    try:
        certificate = Certificate.load(arguments.certificate)
    except ValueError as error:
        raise Unusable(str(error)) from None
    found = verified(certificate, _files(arguments.outputs), arguments.public_key.strip().lower())
    count = sum(1 for _ in certificate.outputs())
    if found.is_signed:
        print(f"Signed at {certificate.signed_at} by {certificate.public_key}.")
        if not arguments.public_key:
            print("Anybody can sign: compare this key with the sender's, or give it as --public-key.")
    else:
        print("NOT SIGNED by the key that is expected, or changed after it was signed.")
    print(f"{found.unchanged} of {count} outputs are there, byte for byte.")
    for uid in found.missing[:_SHOWN]:
        print(f"  missing or changed: {uid}")
    if len(found.missing) > _SHOWN:
        print(f"  … and {len(found.missing) - _SHOWN} more")
    if found.others:
        print(f"{len(found.others)} other files are there, of which the certificate does not speak.")
    return 0 if found.holds else 1


def _files(places: list[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_dir():
            yield from (path for path in sorted(place.rglob("*.dcm")) if path.is_file())
        elif place.is_file():
            yield place
        else:
            raise Unusable(f"There is no {place}.")
