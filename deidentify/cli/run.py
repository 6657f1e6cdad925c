"""A run: look at every file, then de-identify what is due, then write what is beside the outputs.

The way of a file is visible here; what a worker does with one is `deidentify.cli.jobs`, what is remembered `files` and
`ledger`.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from deidentify import validity
from deidentify.certificate import Certificate, signing_key
from deidentify.cli.errors import Unusable
from deidentify.cli.files import QUARANTINED, Due, Files
from deidentify.cli.jobs import Failure, Job, Look, Made, Release, Seen
from deidentify.cli.keys import read_key
from deidentify.cli.ledger import Ledger, Output
from deidentify.cli.places import is_tree, listed
from deidentify.cli.pool import Outcome, Pool
from deidentify.cli.progress import counting
from deidentify.cli.stop import Stop
from deidentify.cli.written import read_mapping, whole, write_mapping, write_report
from deidentify.engine import Deidentifier, Released
from deidentify.errors import Refused
from deidentify.pseudonyms import Pseudonyms
from deidentify.recipe import Recipe

_UNFINISHED = ".unfinished"
_WITHOUT_ID = Failure(
    "no-identifiers", "The object has no PatientID; with --without-id study its study is taken for a patient."
)
_CONFLICT = Failure(
    "conflict", "Another file has the same SOP Instance UID and gives another output; that one is kept."
)


def run(arguments: argparse.Namespace) -> int:
    """De-identify a file or a folder and return the exit code.

    Raises
    ------
    Refused, Unusable
        The recipe or the key, or the other arguments, cannot be used.
    OSError
        The disk is full or fails.
    KeyboardInterrupt
        Somebody stopped it; what is finished is whole.
    """
    recipe = Recipe.load(arguments.recipe).below(arguments.uid_root)
    if not recipe.deidentifies:
        raise Refused(
            "bad-recipe", f"Recipe {recipe.name!r} changes nothing; this command only writes what is changed."
        )
    if arguments.validity and not validity.is_there():
        raise Unusable(f"--validity: {validity.MISSING}, or leave the option out.")
    pseudonyms = Pseudonyms(read_key(arguments.key_file), arguments.project)
    return _Run(arguments, recipe, pseudonyms).go()


class _Run:
    def __init__(self, arguments: argparse.Namespace, recipe: Recipe, pseudonyms: Pseudonyms) -> None:
        self.source, self.target = Path(arguments.source), Path(arguments.target)
        self.mapping, self.report = arguments.mapping, arguments.report
        self.without_id, self.arguments = arguments.without_id, arguments
        self.recipe, self.pseudonyms, self.key = recipe, pseudonyms, pseudonyms.engine_key
        self.engine = Deidentifier(recipe, self.key)
        self.files = Files(by_issuer=arguments.by_issuer)
        self.again = 0
        self.stop = Stop()
        self.due: dict[int, tuple[Due, bytes]] = {}

    def go(self) -> int:
        beside = [path for path in (self.mapping, self.report, self.arguments.key_file) if path]
        self.tree = is_tree(self.source, self.target, beside)
        if self.arguments.validity and not self.tree:
            raise Unusable("--validity is for certificates, and a single file has none: name folders.")
        folder = self.target if self.tree else self.target.parent
        self.ledger = Ledger(folder if self.tree else None, self.engine, self.key)
        if self.mapping:
            self.ledger.start_mapping()
            self.is_mapped = self.ledger.map_id(self.mapping) if self.mapping.exists() else None
            self.files.pair(read_mapping(self.mapping))
        self.unfinished = folder / (_UNFINISHED if self.tree else f"{_UNFINISHED}-{self.target.name}")
        shutil.rmtree(self.unfinished, ignore_errors=True)
        self.unfinished.mkdir()
        complete = False
        with self.stop:
            try:
                self._work()
                complete = True
            finally:
                with self.stop.put_off():
                    self._finish(complete)
        return self._said()

    def _work(self) -> None:
        root = self.source if self.source.is_dir() else self.source.parent
        count = self.files.add(listed(self.source))
        if not count:
            raise Unusable(f"There is no file in {self.source}.")
        limits = self.arguments
        workers = min(limits.workers, count)
        with Pool(
            self.recipe, self.key, workers=workers, memory=limits.memory_limit, seconds=limits.time_limit
        ) as pool:
            looks: Iterator[list[Job]] = ([Look(n, os.fsdecode(root / os.fsdecode(p)))] for n, p in self.files.paths())
            with counting("reading", count) as step:
                for number, outcome in pool.run(looks):
                    if isinstance(outcome, Seen):
                        self.files.seen(number, outcome)
                    elif isinstance(outcome, Failure):
                        self.files.failed(number, outcome)
                    step()
            if self.without_id == "quarantine":
                self.files.without_id(_WITHOUT_ID)
            left = count - sum(self.files.counts().values())
            with counting("de-identifying", left) as step:
                for number, outcome in pool.run(self._jobs(root)):
                    with self.stop.put_off():
                        self._settle(number, outcome)
                    step()

    def _jobs(self, root: Path) -> Iterator[list[Job]]:
        patient, more = 0, tuple[tuple[str, str], ...]()
        for group in self.files.due():
            if group[0].patient != patient:
                patient = group[0].patient
                more = self.files.known(patient)
            yield [self._job(due, root, more) for due in group]

    def _job(self, due: Due, root: Path, more: tuple[tuple[str, str], ...]) -> Release:
        pseudonym = self.pseudonyms.patient(due.key)
        identifiers = {"PatientID": pseudonym, "PatientName": pseudonym}
        if due.accession:
            identifiers["AccessionNumber"] = self.pseudonyms.accession(due.key, due.accession)
        fingerprint = self.ledger.fingerprint(due, identifiers, more)
        self.due[due.number] = due, fingerprint
        target = os.fspath(self.unfinished / str(due.number))
        measured = self.arguments.validity
        job = Release(
            due.number, os.path.join(root, os.fsdecode(due.path)), target, identifiers, more, validity=measured
        )
        before = self.ledger.get(fingerprint)
        if before is None or (self.mapping and before.mapped != self.is_mapped):
            return job
        if measured and before.released.validity is None:
            return job
        return replace(job, existing=os.fspath(self.target / before.output), sha256=before.released.sha256)

    def _settle(self, number: int, outcome: Outcome) -> None:
        """Put what a worker wrote into its place, and note what became of the file."""
        due, fingerprint = self.due.pop(number)
        if isinstance(outcome, Failure):
            (self.unfinished / str(number)).unlink(missing_ok=True)
            self.files.failed(number, outcome)
            return
        if isinstance(outcome, Made):
            made = Output(self._name(due, outcome.released), outcome.released, None)
        else:
            found = self.ledger.get(fingerprint)
            assert found is not None  # or the worker had not been told of it
            made, self.again = found, self.again + 1
        sha256 = made.released.sha256
        if earlier := self.files.made(made.output):
            (self.unfinished / str(number)).unlink(missing_ok=True)
            if earlier == sha256:
                self.files.duplicate(number, made.output)
            else:
                self.files.failed(number, _CONFLICT)
            return
        if isinstance(outcome, Made):
            self._place(self.unfinished / str(number), self.target / made.output)
            self.ledger.add(fingerprint, made.output, made.released)
            self.files.pair(pair for pair in outcome.mapping.items() if pair[0])
        self.files.released(number, made.output, sha256, fingerprint)

    def _name(self, due: Due, released: Released) -> str:
        """Return where an output belongs below OUT: new names only, since those of files may be identities."""
        if not self.tree:
            return ""
        study, series, instance = released.study_instance_uid, released.series_instance_uid, released.sop_instance_uid
        return f"{self.pseudonyms.patient(due.key)}/{study}/{series}/{instance}.dcm"

    def _place(self, written: Path, target: Path) -> None:
        if not self.tree and target.exists() and target.read_bytes() != written.read_bytes():
            raise Unusable(f"{self.target} is there already and holds something else.")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(written, target)

    def _finish(self, complete: bool) -> None:
        shutil.rmtree(self.unfinished, ignore_errors=True)
        if self.mapping:
            write_mapping(self.mapping, self.files.pairs())
            self.ledger.mapped(self.mapping)
        if complete and self.tree:
            self._certify()
        if self.report:
            head = {
                "complete": complete,
                "recipe": self.recipe.name,
                "recipe_sha256": self.recipe.hash,
                "edition": self.recipe.edition,
                "key_id": self.engine.key_id,
                "counts": self.files.counts(),
            }
            write_report(self.report, head, self.files.rows())
        self.ledger.close()

    def _certify(self) -> None:
        """Write a certificate for each study, unless the one that is there says the same."""
        key, now = signing_key(self.key), datetime.now(UTC)
        for fingerprints, missing in self.files.studies():
            outputs = [found for one in fingerprints if (found := self.ledger.get(one))]
            certificate = Certificate.of([one.released for one in outputs], self.recipe, not_released=missing)
            place = (self.target / outputs[0].output).parent.parent
            path = place.with_name(f"{place.name}.json")
            if path.exists() and Certificate.load(path).content == certificate.content:
                continue
            signed = certificate.sign(key, now)
            for suffix, content in (("json", signed.json()), ("html", signed.html())):
                with whole(place.with_name(f"{place.name}.{suffix}"), 0o644) as file:
                    file.write(content)

    def _said(self) -> int:
        counts = self.files.counts()
        total = sum(counts.values())
        again = f" ({self.again:,} of them before)" if self.again else ""
        parts = [f"{counts.get('released', 0):,} released{again}"]
        parts += [f"{count:,} {outcome}" for outcome, count in sorted(counts.items()) if outcome != "released"]
        print(f"{total:,} file{'s' * (total != 1)}: {', '.join(parts)}.")
        for code, sentence, count, numbers in self.files.failures():
            first = f"{', '.join(map(str, numbers))}{', …' if count > len(numbers) else ''}"
            print(f"  {count:,} × {code}: {sentence} (file {first})")
        if QUARANTINED not in counts:
            return 0
        if self.tree:
            where = self.report or "the report: the same command with --report FILE"
            print(f"Which files the numbers stand for is in {where}.")
        return 3
