"""One judgement: prepare, de-identify in two processes one after the other, and look at what came out.

`Deidentify` is anything that writes an output, so a copying machine can be judged as well.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path as File

from deidentify import Deidentifier, Identifiers, Recipe, Refused
from tests.deidentify.judge import command, validity
from tests.deidentify.judge.encode import DEFLATED
from tests.deidentify.judge.integrity import Integrity
from tests.deidentify.judge.prepare import prepare
from tests.deidentify.judge.promise import Promise
from tests.deidentify.judge.retention import kept
from tests.deidentify.judge.scan import Output
from tests.deidentify.judge.score import Judgement
from tests.deidentify.judge.truth import Plant, Truth

KEY = bytes(range(7, 39))
# Writes the output of a file for a pseudonym, or raises Refused.
Deidentify = Callable[[File, File, str], object]


class Engine:
    """The library under a recipe, as the judge uses it."""

    def __init__(self, recipe: str, key: bytes = KEY) -> None:
        self._engine = Deidentifier(Recipe.load(recipe), key)

    def __call__(self, source: File, target: File, pseudonym: str) -> object:
        """De-identify one file."""
        values = {"PatientID": pseudonym, "PatientName": pseudonym, "AccessionNumber": pseudonym.replace("ANON", "ACC")}
        return self._engine.file(source, target, Identifiers(values))


def judge(
    recipe: str,
    seed: int,
    files: int,
    folder: File,
    deidentify: Deidentify | None = None,
    *,
    valid: bool = True,
    by_command: bool = False,
) -> Judgement:
    """Return what is to be said of the library, of the command, or of `deidentify`, under a recipe."""
    loaded = Recipe.load(recipe)
    truths = prepare(folder / "in", loaded, seed, files)
    out, again = folder / "out", folder / "again"
    out.mkdir()
    again.mkdir()
    engine = deidentify or Engine(recipe)
    half = len(truths) // 2
    refused = {} if by_command else _released(engine, truths[:half], folder / "in", out)
    # What was done in this process has to be done alike in others that know nothing of it.
    if by_command:
        refused = command.released(recipe, truths, folder, out, workers=2)
        command.released(recipe, truths, folder, again, workers=1)
    elif deidentify is None:
        refused |= _in_a_process(recipe, truths[half:], folder / "in", out)
        _in_a_process(recipe, truths[::3], folder / "in", again)
    else:
        refused |= _released(engine, truths[half:], folder / "in", out)
    judgement = Judgement(recipe, seed, len(truths), refused)
    integrity = Integrity(Promise(loaded))
    for truth in truths:
        _look(truth, folder, judgement, integrity)
    if by_command:
        _look_beside(truths, folder / "out-beside.txt", judgement)
    integrity.finish()
    for truth in truths[::3] if deidentify is None else []:
        one, other = out / truth.name, again / truth.name
        same = one.exists() == other.exists() and (not one.exists() or _hash(one) == _hash(other))
        integrity.check("same bytes again", same, f"{truth.kind} {truth.name} differs in another process")
    if valid and validity.PROGRAM:
        # It reads no deflated files, and gives up where the rules are broken.
        seen = [t for t in truths if not t.breaks_rules and t.transfer_syntax != DEFLATED and (out / t.name).exists()]
        pairs = [(folder / "in" / t.name, out / t.name) for t in seen]
        for truth, new in zip(seen, validity.new_errors_of(pairs), strict=True):
            # Attributes planted at random bring conditions with them that nobody meant.
            new = [line for line in new if "Conditional" not in line]
            integrity.check("no new errors of dciodvfy", not new, f"{truth.kind} {truth.name}: {'; '.join(new[:3])}")
    for name, code in refused.items():
        integrity.check("no crash", not code.startswith("CRASH"), f"{name} {code}")
    judgement.held, judgement.wrong = dict(integrity.held), dict(integrity.wrong)
    return judgement


def _look(truth: Truth, folder: File, judgement: Judgement, integrity: Integrity) -> None:
    """Look at one output, and first at its source: what cannot be found there is no marker."""
    source, target = folder / "in" / truth.name, folder / "out" / truth.name
    before = Output(source.read_bytes())
    planted = [plant for plant, _ in before.leaks(truth)]
    judgement.planted.update(plant.category for plant in planted)
    judgement.planted["burned-in pixels"] += len(truth.inks)
    judgement.invisible += len(truth.plants) - len(planted)
    if not target.exists():
        kept(truth, None, judgement.kept)
        return
    after = Output(target.read_bytes())
    truth.plants[:] = planted
    leaks = list(after.leaks(truth))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        integrity.file(truth, source, target, after.ds)
        if truth.inks:
            for ink, what in integrity.drawn(truth, source, after.ds):
                leaks.append((Plant("burned-in pixels", what, "drawn text"), str(ink.box)))
        kept(truth, after.ds, judgement.kept)
    judgement.leaks += [(truth, plant, token) for plant, token in leaks]
    judgement.clean_files += not leaks


def _look_beside(truths: list[Truth], path: File, judgement: Judgement) -> None:
    """Look for markers in whatever else was written: certificates, names of files, what was printed."""
    beside = Output(path.read_bytes())
    for truth in truths:
        judgement.leaks += [
            (truth, replace(p, where=f"beside the images: {p.where}"), t) for p, t in beside.leaks(truth)
        ]


def _released(engine: Deidentify, truths: list[Truth], source: File, target: File) -> dict[str, str]:
    """De-identify files one by one; return which were refused, with the code."""
    refused = {}
    for truth in truths:
        try:
            engine(source / truth.name, target / truth.name, truth.pseudonym)
        except Refused as error:
            refused[f"{truth.kind} {truth.name}"] = f"{error.code}: {error.sentence}"
        except Exception as error:  # noqa: BLE001  # a crash is a finding like any other
            where = traceback.extract_tb(error.__traceback__)[-1]
            refused[f"{truth.kind} {truth.name}"] = f"CRASH: {error!r:.200} in {where.name}, {where.filename}"
    return refused


def _in_a_process(recipe: str, truths: list[Truth], source: File, target: File) -> dict[str, str]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return dict(pool.apply(_child, (recipe, truths, source, target)))


def _child(recipe: str, truths: list[Truth], source: File, target: File) -> dict[str, str]:
    return _released(Engine(recipe), truths, source, target)


def _hash(path: File) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def codes(judgement: Judgement) -> Counter[str]:
    """Count the refusals by their code."""
    return Counter(text.split(":")[0] for text in judgement.refused.values())
