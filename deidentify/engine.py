"""The de-identifier: a recipe and a key, applied to files and data sets (PS3.15 Annex E).

It puts the parts together in one order: gate, rewrite, identifiers, marks, leak check, output. What each part does is
said in its own module.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread, dcmwrite

from deidentify import compare, leak, output
from deidentify.charset import encode, known_character_set
from deidentify.dictionary import TAGS
from deidentify.elements import Encoding, Piece
from deidentify.errors import Refused
from deidentify.frames import flattened
from deidentify.gate import read_structure, text
from deidentify.identifiers import Identifiers
from deidentify.marks import file_meta, marks
from deidentify.part10 import dataset_walk, read_head
from deidentify.plan import PET, Plan
from deidentify.recipe import Recipe
from deidentify.rewrite import Rewriter
from deidentify.source import Source, opened
from deidentify.uids import UidMap
from deidentify.walk import Limits

_CHARACTER_SET, _SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = (
    TAGS["SpecificCharacterSet"],
    TAGS["SOPClassUID"],
    TAGS["SOPInstanceUID"],
    TAGS["StudyInstanceUID"],
    TAGS["SeriesInstanceUID"],
)
_MEDIA_DIRECTORY = b"1.2.840.10008.1.3.10"
_UID = re.compile(r"[0-9.]{1,64}")
_NO_DICOMDIR = "A DICOMDIR is an index of files and cannot be released."


@dataclass(frozen=True, slots=True)
class Released:
    """An output that may leave.

    Attributes
    ----------
    sop_class_uid, sop_instance_uid, series_instance_uid, study_instance_uid, transfer_syntax_uid : str
        Of the output.
    sha256 : str
        Of the whole file, in hexadecimal.
    size : int
        Of the whole file, in bytes.
    dataset_offset : int
        Where the data set starts in it.
    actions : dict of str to int
        How many elements each rule acted on.
    recipe, recipe_hash, key_id : str
        What it was made with.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    sha256: str
    dataset_offset: int
    size: int
    recipe: str
    recipe_hash: str
    key_id: str
    actions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Release:
    """What is to be written: everything is decided, nothing is on the disk."""

    names: tuple[str, str, str, str]
    transfer_syntax_uid: str
    deflated: bool
    meta: bytes
    parts: list[tuple[int, list[Piece]]]
    source: Source
    actions: dict[str, int]

    def pieces(self) -> Iterator[Piece]:
        return (piece for _, pieces in self.parts for piece in pieces)


class Deidentifier:
    """De-identifies objects under one recipe and one key; usable from several threads.

    The same object, recipe, key and identifiers give the same bytes, in every process and at every time.

    Parameters
    ----------
    recipe : Recipe
        What is done.
    key : bytes
        At least 16 secret bytes. Whoever has it can tell which replacement belongs to a UID that he knows.
    limits : Limits, optional
        When to refuse an object.

    Raises
    ------
    Refused
        ``bad-key``.
    """

    def __init__(self, recipe: Recipe, key: bytes, limits: Limits | None = None) -> None:
        self.recipe = recipe
        self.limits = limits or Limits()
        self._uids = UidMap(key)
        self._plan, self._pet_plan = Plan(recipe), Plan(recipe, pet=True)
        self._recipe_hash = recipe.hash

    @property
    def key_id(self) -> str:
        """Sixteen hexadecimal digits that name the key and tell nothing about it."""
        return self._uids.key_id

    def uid(self, original: str) -> str:
        """Return the replacement of a UID; well-known ones of PS3.6 Annex A stay."""
        return self._uids.replacement(original.strip("\0 ")) if self.recipe.deidentifies else original

    def file(
        self, source: str | os.PathLike[str], target: str | os.PathLike[str], identifiers: Identifiers
    ) -> Released:
        """De-identify one file.

        The target is created exclusively and not synced; when this raises there is none. Its transfer syntax is that
        of the source, and its pixel data is copied without being loaded.

        Parameters
        ----------
        source, target : path-like
            An object as a file, and the path of a file that is not there yet.
        identifiers : Identifiers
            What to put in; ``PatientID`` has to be among them.

        Raises
        ------
        Refused
            With any of the codes of `deidentify.errors.CODES`.
        OSError
            When the disk is full or fails, or the target is there already.
        """
        if not self.recipe.deidentifies:
            return self._passed_on(source, Path(target))
        with opened(source, self.limits.size) as file, self._release(file, identifiers) as release:
            written = output.write(
                Path(target), release.meta, release.pieces(), release.source, deflated=release.deflated
            )
        return Released(
            *release.names,
            release.transfer_syntax_uid,
            written.sha256,
            len(release.meta),
            written.size,
            self.recipe.name,
            self._recipe_hash,
            self.key_id,
            release.actions,
        )

    def dataset(self, ds: Dataset, identifiers: Identifiers) -> Dataset:
        """De-identify a data set in memory, by the same engine as a file.

        Parameters
        ----------
        ds : Dataset
            Is not changed.
        identifiers : Identifiers
            As for `file`.

        Returns
        -------
        Dataset
            With file meta information.

        Raises
        ------
        Refused
            As for `file`.
        """
        buffer = io.BytesIO()
        implicit, little = ds.original_encoding
        dcmwrite(buffer, ds, implicit_vr=bool(implicit), little_endian=little is not False)
        if not self.recipe.deidentifies:
            return dcmread(buffer)
        with self._release(Source.of_bytes(buffer.getvalue()), identifiers) as release:
            sink = io.BytesIO()
            output.write_to(sink, release.meta, release.pieces(), release.source, deflated=release.deflated)
            sink.seek(0)
            return dcmread(sink)

    @contextmanager
    def _release(self, file: Source, identifiers: Identifiers) -> Iterator[_Release]:
        """Give what is to be written, after everything that could refuse it."""
        if not identifiers.values.get("PatientID", "").strip():
            raise Refused("no-identifiers", "No PatientID was supplied for this object, so it cannot be released.")
        head = read_head(file)
        with dataset_walk(file, head, self.limits) as walk:
            sop_class = head.meta.get(0x00020002, b"").rstrip(b"\0 ")
            plan = self._pet_plan if sop_class == PET else self._plan
            rewriter = Rewriter(plan, self._uids, little=head.little, limits=self.limits)
            elements = dict(rewriter.dataset(walk))
            if rewriter.is_dicomdir or sop_class == _MEDIA_DIRECTORY:
                raise Refused("dicomdir", _NO_DICOMDIR)
            names = self._names(rewriter.top, elements)

            encoding = Encoding(implicit=head.implicit, little=head.little)
            character_set = known_character_set(rewriter.top.get(_CHARACTER_SET, b""))
            for tag, vr, value in identifiers.elements():
                elements[tag] = encoding.element(tag, vr.encode(), encode(value, character_set))
                rewriter.actions["identifier"] += 1
            elements.update(marks(self.recipe, identifiers, encoding))
            parts = list(flattened(sorted(elements.items())))

            if head.transfer_syntax_uid.encode() in rewriter.originals:
                raise Refused("leak", "The Transfer Syntax UID of the file is a UID of one of its objects.")
            leak.check(
                parts,
                frozenset(rewriter.known),
                rewriter.originals,
                character_set=character_set,
                supplied=identifiers.key,
                implicit=head.implicit,
                little=head.little,
                source=walk.source,
            )
            meta = file_meta(names[0], names[1], head.transfer_syntax_uid)
            yield _Release(
                names, head.transfer_syntax_uid, head.deflated, meta, parts, walk.source, dict(rewriter.actions)
            )

    def compare(self, source: str | os.PathLike[str], target: str | os.PathLike[str]) -> list[compare.Change]:
        """Return what became of each element, for a table of before and after.

        It holds original values: show it only to those who may see them.
        """
        return compare.changes(source, target, self._plan, self.limits)

    def _names(self, top: dict[int, bytes], elements: Collection[int]) -> tuple[str, str, str, str]:
        """Return SOP class and the replaced instance, series and study UIDs.

        Raises
        ------
        Refused
            ``no-sop-class``, ``no-sop-instance``, ``no-study``, ``no-series``.
        """
        names = {tag: value.strip(b"\0 ").decode("latin-1") for tag, value in top.items()}
        for tag, code, what in (
            (_SOP_CLASS, "no-sop-class", "SOP Class UID"),
            (_SOP_INSTANCE, "no-sop-instance", "SOP Instance UID"),
            (_STUDY, "no-study", "Study Instance UID"),
            (_SERIES, "no-series", "Series Instance UID"),
        ):
            if not names.get(tag) or tag not in elements:
                raise Refused(code, f"The object has no {what}.")
        if not _UID.fullmatch(names[_SOP_CLASS]):
            raise Refused("no-sop-class", "The object's SOP Class UID is no UID.")
        replaced = (self._uids.replacement(names[tag]) for tag in (_SOP_INSTANCE, _SERIES, _STUDY))
        return (names[_SOP_CLASS], *replaced)  # type: ignore[return-value]  # a generator of exactly three

    def _passed_on(self, source: str | os.PathLike[str], target: Path) -> Released:
        """Copy an object as it is, after the gate (recipe ``none``)."""
        structure = read_structure(source, (_STUDY, _SERIES), self.limits)
        if structure.is_dicomdir:
            raise Refused("dicomdir", _NO_DICOMDIR)
        with opened(source, self.limits.size) as file:
            written = output.copy(target, file)
        return Released(
            text(structure, _SOP_CLASS),
            text(structure, _SOP_INSTANCE),
            text(structure, _SERIES),
            text(structure, _STUDY),
            structure.transfer_syntax_uid,
            written.sha256,
            structure.dataset_offset,
            written.size,
            self.recipe.name,
            self._recipe_hash,
            self.key_id,
        )
