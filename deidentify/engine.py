"""The de-identifier: a recipe and a key, applied to files, streams and data sets (PS3.15 Annex E).

It opens and writes; what may leave of an object is decided in `deidentify.release`.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from pydicom import Dataset, dcmread, dcmwrite
from pydicom.filereader import read_dataset

from deidentify import compare, output
from deidentify.dictionary import TAGS
from deidentify.errors import Refused
from deidentify.facts import PIXELS
from deidentify.gate import read_structure, text
from deidentify.identifiers import Identifiers
from deidentify.recipe import Recipe
from deidentify.release import NO_DICOMDIR, Maker, Release
from deidentify.source import Source, opened
from deidentify.validity import Validity
from deidentify.walk import Limits
from deidentify.way_back import WayBack

_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = (
    TAGS["SOPClassUID"],
    TAGS["SOPInstanceUID"],
    TAGS["StudyInstanceUID"],
    TAGS["SeriesInstanceUID"],
)


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
    recipe, recipe_hash, key_id : str
        What it was made with.
    actions : dict of str to int
        How many elements each rule acted on.
    pixels : str
        What was done about text that is burned in: ``none`` (no pixel data), ``kept`` or ``cleaned``.
    methods : list of str
        The profile and the options that the output claims, because they were really carried out on it.
    source_transfer_syntax_uid : str
        Of the source; it differs when pixels were cleaned that could not be written back as they were.
    way_back : WayBack or None
        What leads back to the source, if it was asked for. It holds original values.
    validity : dict, optional
        What `deidentify.validity.difference` found, where it was asked; the engine does not ask.
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
    pixels: str = "kept"
    methods: list[str] = field(default_factory=list)
    source_transfer_syntax_uid: str = ""
    way_back: WayBack | None = field(default=None, repr=False)
    validity: Validity | None = None


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
        self._maker = Maker(recipe, key, self.limits)

    @property
    def key_id(self) -> str:
        """Sixteen hexadecimal digits that name the key and tell nothing about it."""
        return self._maker.uids.key_id

    def uid(self, original: str) -> str:
        """Return the replacement of a UID; well-known ones of PS3.6 Annex A stay."""
        stay = not self.recipe.deidentifies or "retain-uids" in self.recipe.options
        return original if stay else self._maker.uids.replacement(original.strip("\0 "))

    def file(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        identifiers: Identifiers,
        *,
        more: Iterable[tuple[str, str]] = (),
        mapping: MutableMapping[str, str] | None = None,
        way_back: bool = False,
    ) -> Released:
        """De-identify one file.

        The target is created exclusively and not synced; when this raises there is none. Pixel data that stays is
        copied without being loaded, in the transfer syntax of the source.

        Parameters
        ----------
        source, target : path-like
            An object as a file, and the path of a file that is not there yet.
        identifiers : Identifiers
            What to put in; ``PatientID`` has to be among them.
        more : iterable of (str, str), optional
            Keyword and value of what else is known of the patient, such as the other objects of the study tell: it is
            searched in texts and in the output like what this object tells.
        mapping : dict, optional
            Is given the new UID for each original one that was replaced, and the new PatientID for the original.
        way_back : bool, optional
            Whether to gather what leads back to the source; a recipe that passes files on as they are has none.

        Raises
        ------
        Refused
            With any of the codes of `deidentify.errors.CODES`; ``excluded`` and ``quarantined-by-recipe`` come with the
            name of the filter of the recipe.
        OSError
            When the disk is full or fails, or the target is there already.
        """
        if not self.recipe.deidentifies:
            return self._passed_on(source, Path(target))
        with (
            opened(source, self.limits.size) as file,
            self._maker.release(file, identifiers, more, way_back=way_back) as release,
            output.created(Path(target)) as sink,
        ):
            return self._written(release, sink, mapping)

    def stream(
        self,
        source: BinaryIO,
        target: output.Sink,
        identifiers: Identifiers,
        *,
        more: Iterable[tuple[str, str]] = (),
        mapping: MutableMapping[str, str] | None = None,
    ) -> Released:
        """De-identify what can be read from `source` into `target`, as `file` does.

        Nothing is written before everything was decided. A source that is no file on a disk is put into a nameless
        temporary file first, because it is read more than once.

        Parameters
        ----------
        source : file object
            Open for reading in binary mode, at its start.
        target : object with ``write``
            Takes bytes.
        identifiers, more, mapping
            As for `file`.

        Raises
        ------
        Refused, OSError
            As `file`.
        """
        with _seekable(source, self.limits.size) as file:
            sink = output.Hashed(target)
            if not self.recipe.deidentifies:
                raise Refused(
                    "bad-recipe", "This recipe passes files on unchanged; there is nothing to do to a stream."
                )
            with self._maker.release(file, identifiers, more) as release:
                return self._written(release, sink, mapping)

    def dataset(self, ds: Dataset, identifiers: Identifiers, *, more: Iterable[tuple[str, str]] = ()) -> Dataset:
        """De-identify a data set in memory, by the same engine as a file.

        Parameters
        ----------
        ds : Dataset
            Is not changed.
        identifiers, more
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
        with self._maker.release(Source.of_bytes(buffer.getvalue()), identifiers, more) as release:
            sink = io.BytesIO()
            self._written(release, output.Hashed(sink), None)
            sink.seek(0)
            return dcmread(sink)

    def answer(
        self, ds: Dataset, identifiers: Identifiers, *, more: Iterable[tuple[str, str]] = (), patient: str = ""
    ) -> Dataset:
        """De-identify an answer to a query, or the metadata of an object (PS3.4 C.4.1, PS3.18 10.4): no whole object.

        Nothing is added: identifiers take the place of what is there, and there are no marks. Pixel data is left out.

        Parameters
        ----------
        ds : Dataset
            Is not changed.
        identifiers : Identifiers
            Also without a PatientID.
        more : iterable of (str, str), optional
            As for `file`.
        patient : str, optional
            The original PatientID where the answer has none: by it dates are shifted like those of the objects.

        Returns
        -------
        Dataset
            Without file meta information.

        Raises
        ------
        Refused
            As for `file`, except that nothing has to be there.
        """
        plain = Dataset({tag: element for tag, element in ds.items() if tag not in PIXELS and tag >> 16 > 2})
        if not self.recipe.deidentifies:
            return plain
        buffer = io.BytesIO()
        dcmwrite(buffer, plain, implicit_vr=False, little_endian=True)
        data = self._maker.answer(buffer.getvalue(), identifiers, more, patient)
        return read_dataset(io.BytesIO(data), is_implicit_VR=False, is_little_endian=True)

    def compare(self, source: str | os.PathLike[str], target: str | os.PathLike[str]) -> list[compare.Change]:
        """Return what became of each element, for a table of before and after.

        It holds original values: show it only to those who may see them.
        """
        with opened(source, self.limits.size) as file:
            plan = self._maker.plan(file)
        return compare.changes(source, target, plan, self.limits)

    def _written(self, release: Release, sink: output.Hashed, mapping: MutableMapping[str, str] | None) -> Released:
        output.write(sink, release.meta, release.pieces(), release.source, deflated=release.head.deflated)
        if mapping is not None:
            mapping.update(release.mapping)
        names = release.names
        return Released(
            names.sop_class,
            names.sop_instance,
            names.series,
            names.study,
            release.picture.transfer_syntax_uid,
            sink.sha256,
            len(release.meta),
            sink.size,
            self.recipe.name,
            self.recipe.hash,
            self.key_id,
            release.actions,
            release.picture.outcome,
            list(release.methods),
            release.head.transfer_syntax_uid,
            release.way_back,
        )

    def _passed_on(self, source: str | os.PathLike[str], target: Path) -> Released:
        """Copy an object as it is, after the gate (recipe ``none``)."""
        structure = read_structure(source, (_STUDY, _SERIES), self.limits)
        if structure.is_dicomdir:
            raise Refused("dicomdir", NO_DICOMDIR)
        with opened(source, self.limits.size) as file, output.created(target) as sink:
            output.copy(sink, file)
        return Released(
            text(structure, _SOP_CLASS),
            text(structure, _SOP_INSTANCE),
            text(structure, _SERIES),
            text(structure, _STUDY),
            structure.transfer_syntax_uid,
            sink.sha256,
            structure.dataset_offset,
            sink.size,
            self.recipe.name,
            self.recipe.hash,
            self.key_id,
            source_transfer_syntax_uid=structure.transfer_syntax_uid,
        )


@contextmanager
def _seekable(stream: BinaryIO, largest: int) -> Iterator[Source]:
    """Give a source over a stream: over its own file when it is one, else over a copy."""
    try:
        fd, start = stream.fileno(), stream.tell()
    except (OSError, AttributeError):
        fd, start = -1, 0
    if fd >= 0 and start == 0 and stat.S_ISREG((status := os.fstat(fd)).st_mode):
        yield _sized(fd, status.st_size, largest)
        return
    with TemporaryFile() as spool:
        while block := stream.read(1 << 20):
            spool.write(block)
            if spool.tell() > largest:
                break
        spool.flush()
        yield _sized(spool.fileno(), spool.tell(), largest)


def _sized(fd: int, size: int, largest: int) -> Source:
    if size == 0:
        raise Refused("empty", "The file has no bytes.")
    if size > largest:
        raise Refused("too-large", f"The file is larger than the limit of {largest} bytes.")
    return Source(fd, size)
