"""What may leave of one object: everything is decided here in one order, and nothing is on the disk yet.

Facts, filters, pixels, rewriting, identifiers, marks, leak check. What each does is said in its own module; files are
opened and written in `deidentify.engine` and `deidentify.output`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from struct import pack

from deidentify import leak
from deidentify.actions import CLEAN, KEEP
from deidentify.charset import encode, known_character_set
from deidentify.dates import Shift, keyed_shift
from deidentify.dictionary import TAGS
from deidentify.documents import LARGEST as LARGEST_DOCUMENT
from deidentify.documents import cleaned_document
from deidentify.elements import Encoding, Piece
from deidentify.errors import Refused
from deidentify.facts import DOCUMENT, PIXELS, Events, Facts
from deidentify.frames import Part, flattened
from deidentify.identifiers import Identifiers
from deidentify.known import Known
from deidentify.marks import EQUIPMENT, Done, file_meta, marks
from deidentify.memory import Memory
from deidentify.part10 import Head, dataset_walk, read_head
from deidentify.picture import NEEDED, Picture
from deidentify.plan import Kind, Plan
from deidentify.recipe import Recipe
from deidentify.rewrite import Rewriter
from deidentify.source import Source
from deidentify.steps import Steps
from deidentify.text import TextCleaner
from deidentify.uids import UidMap
from deidentify.values import Values
from deidentify.walk import ELEMENT, Limits, Walk
from deidentify.way_back import WayBack
from deidentify.way_back import way_back as way_of

MEDIA_DIRECTORY = b"1.2.840.10008.1.3.10"
NO_DICOMDIR = "A DICOMDIR is an index of files and cannot be released."
_CHARACTER_SET, _PATIENT, _SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES, _MIME, _DOCUMENT_LENGTH = (
    TAGS[keyword]
    for keyword in (
        "SpecificCharacterSet",
        "PatientID",
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "MIMETypeOfEncapsulatedDocument",
        "EncapsulatedDocumentLength",
    )
)
_ALWAYS = frozenset((_CHARACTER_SET, _PATIENT, _SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES, _MIME))
_UID = re.compile(r"[0-9.]{1,64}")
_Patient = tuple[frozenset[tuple[int, bytes]], bytes, frozenset[tuple[str, str]], str, int | None, Kind]
_MOST_KINDS, _MOST_PATIENTS, _MOST_MEMORIES = 64, 64, 8


@dataclass(frozen=True, slots=True)
class Names:
    """SOP class, and the replaced UIDs of instance, series and study."""

    sop_class: str
    sop_instance: str
    series: str
    study: str


@dataclass(frozen=True, slots=True)
class Release:
    """What is to be written.

    Attributes
    ----------
    names : Names
        Of the output.
    picture : Picture
        What became of the pixel data, and with it the transfer syntax.
    head : Head
        Of the source.
    meta : bytes
        What stands before the data set.
    parts : list of (int, list of Piece)
        The elements of the top level.
    source : Source
        What the stretches among the pieces are read from.
    actions : dict of str to int
        How many elements each rule acted on.
    mapping : dict of str to str
        Original and new UIDs, and the original and new PatientID.
    methods : tuple of str
        The profile and the options that the marks claim.
    way_back : WayBack or None
        What leads back to the source, if asked for.
    """

    names: Names
    picture: Picture
    head: Head
    meta: bytes
    parts: list[tuple[int, list[Piece]]]
    source: Source
    actions: dict[str, int]
    mapping: dict[str, str]
    methods: tuple[str, ...]
    way_back: WayBack | None

    def pieces(self) -> Iterator[Piece]:
        """Yield what the data set is made of."""
        return (piece for _, pieces in self.parts for piece in pieces)


class Maker:
    """Makes releases under one recipe and one key; usable from several threads.

    Parameters
    ----------
    recipe : Recipe
        What is done.
    key : bytes
        At least 16 secret bytes.
    limits : Limits
        When to refuse an object.

    Raises
    ------
    Refused
        ``bad-key``.
    """

    def __init__(self, recipe: Recipe, key: bytes, limits: Limits) -> None:
        self.uids = UidMap(key, recipe.uid_root)
        self._recipe, self._key, self._limits = recipe, key, limits
        self._cleaner = TextCleaner(recipe.text)
        self._wanted = _ALWAYS | recipe.asked | NEEDED
        self._steps: dict[Kind, Steps] = {}
        self._values: dict[_Patient, Values] = {}
        self._memories: dict[tuple[Values, bool, bool, bool], Memory] = {}
        self._made_marks: dict[tuple[object, ...], Mapping[int, Part]] = {}

    @contextmanager
    def release(
        self, file: Source, identifiers: Identifiers, more: Iterable[tuple[str, str]], *, way_back: bool = False
    ) -> Iterator[Release]:
        """Give what is to be written of an object, after everything that could refuse it.

        Parameters
        ----------
        file : Source
            A whole file.
        identifiers : Identifiers
            What to put in.
        more : iterable of (str, str)
            Keyword and value of what else is known of the patient.
        way_back : bool
            Whether to gather what leads back.
        """
        if not identifiers.values.get("PatientID", "").strip():
            raise Refused("no-identifiers", "No PatientID was supplied for this object, so it cannot be released.")
        head = read_head(file)
        with dataset_walk(file, head, self._limits) as walk:
            events = Events(walk)
            facts = Facts.of(events, self._wanted)
            if facts.is_dicomdir or head.meta.get(0x00020002, b"").rstrip(b"\0 ") == MEDIA_DIRECTORY:
                raise Refused("dicomdir", NO_DICOMDIR)
            self._recipe.admit(facts.values, little=head.little)
            picture = Picture.of(facts, head, self._recipe.pixels)
            steps = self._steps_for(facts, little=head.little)
            values = self._values_for(
                facts, steps.plan, more, facts.text(_PATIENT) or facts.text(_STUDY), identifiers.date_shift_days
            )
            rewriter = self._rewriter(steps, values, walk, inner_pixels=picture.stays)
            elements = dict(rewriter.dataset(events, facts.values.get(_CHARACTER_SET, b"")))
            rewritten = dict(elements)
            names = self._names(facts, steps.plan, elements)
            encoding = Encoding(implicit=head.implicit, little=head.little)
            of_picture = picture.put_into(elements, walk.source, encoding)
            if facts.document:
                self._put_document(facts, walk, steps, values, elements, encoding)
            self._put_identifiers(identifiers.elements(), facts, elements, encoding)
            rewriter.actions["identifier"] += len(identifiers.values)
            supplied = [keyword for keyword, value in identifiers.values.items() if value]
            done = Done(steps.plan, supplied, pixels_cleaned=picture.is_clean)
            elements.update(self._marks(done, encoding, _pieces(elements.get(EQUIPMENT, []))))
            parts = list(flattened(sorted(elements.items())))
            if head.transfer_syntax_uid.encode() in rewriter.originals:
                raise Refused("leak", "The Transfer Syntax UID of the file is a UID of one of its objects.")
            self._check(parts, values, rewriter, identifiers, encoding, walk.source)
            meta = file_meta(names.sop_class, names.sop_instance, picture.transfer_syntax_uid)
            mapping = self._mapping(rewriter)
            if facts.text(_PATIENT):
                mapping[facts.text(_PATIENT)] = identifiers.values["PatientID"]
            actions = dict(rewriter.actions)
            way = None
            if way_back:
                way = way_of(file, head, walk, rewriter, rewritten, elements, of_picture, picture.transfer_syntax_uid)
            yield Release(names, picture, head, meta, parts, walk.source, actions, mapping, done.methods, way)

    def answer(self, data: bytes, identifiers: Identifiers, more: Iterable[tuple[str, str]], patient: str) -> bytes:
        """Return a data set without pixel data, such as an answer to a query, both in explicit VR little endian.

        Parameters
        ----------
        data : bytes
            It may lack whatever was not asked for.
        identifiers : Identifiers
            Of these only what stands in the data set is put in.
        more : iterable of (str, str)
            Keyword and value of what else is known of the patient.
        patient : str
            The original PatientID, where the data set has none. Without both, dates that would be shifted do not stay.
        """
        source = Source.of_bytes(data)
        walk = Walk(source, 0, len(data), implicit=False, little=True, limits=self._limits)
        events = Events(walk)
        put_in = {tag: (tag, vr, value) for tag, vr, value in identifiers.elements()}
        facts = Facts.of(events, self._wanted.union(put_in))
        if facts.is_dicomdir:
            raise Refused("dicomdir", NO_DICOMDIR)
        steps = self._steps_for(facts, little=True)
        values = self._values_for(
            facts, steps.plan, more, facts.text(_PATIENT) or patient.strip(), identifiers.date_shift_days
        )
        rewriter = self._rewriter(steps, values, walk, inner_pixels=False)
        elements = dict(rewriter.dataset(events, facts.values.get(_CHARACTER_SET, b"")))
        for tag in PIXELS:
            elements.pop(tag, None)
        encoding = Encoding(implicit=False, little=True)
        asked = [put_in[tag] for tag in put_in.keys() & facts.values.keys()]
        self._put_identifiers(asked, facts, elements, encoding)
        parts = list(flattened(sorted(elements.items())))
        self._check(parts, values, rewriter, identifiers, encoding, source)
        return b"".join(piece for _, pieces in parts for piece in pieces if isinstance(piece, bytes))

    def plan(self, source: Source) -> Plan:
        """Return the plan by which an object is rewritten.

        Raises
        ------
        Refused
            When it is no whole object.
        """
        head = read_head(source)
        with dataset_walk(source, head, self._limits) as walk:
            facts = Facts.of(Events(walk), self._wanted)
        return self._steps_for(facts, little=head.little).plan

    def _steps_for(self, facts: Facts, *, little: bool) -> Steps:
        """Return the compiled plan for objects of this kind."""
        conditions = tuple(one.matches(facts.values, little=little) for one in self._recipe.conditions)
        kind = Kind(facts.text(_SOP_CLASS), conditions)
        found = self._steps.get(kind)
        if found is None:
            if len(self._steps) >= _MOST_KINDS:
                self._steps.clear()
            found = self._steps[kind] = Steps(Plan(self._recipe, kind))
        return found

    def _values_for(
        self, facts: Facts, plan: Plan, more: Iterable[tuple[str, str]], patient: str, days: int | None
    ) -> Values:
        """Return what cleans and moves the values of this patient; the images of a series share it.

        What the recipe retains is no secret, so it is not among what is known.
        """
        key = (facts.known, facts.values.get(_CHARACTER_SET, b""), frozenset(more), patient, days, plan.kind)
        found = self._values.get(key)
        if found is None:
            known = Known.of(
                [(tag, raw) for tag, raw in facts.known if plan[tag].action != KEEP],
                known_character_set(key[1]),
                [(keyword, text) for keyword, text in key[2] if plan[TAGS.get(keyword, 0)].action != KEEP],
            )
            shift = None
            if self._recipe.dates.mode == "shift" and days is not None:
                shift = Shift(days, 0)
            elif self._recipe.dates.mode == "shift" and patient:
                shift = keyed_shift(self._key, patient, self._recipe.dates)
            if len(self._values) >= _MOST_PATIENTS:
                self._values.clear()
            found = self._values[key] = Values(self._cleaner, known, shift)
        return found

    def _rewriter(self, steps: Steps, values: Values, walk: Walk, *, inner_pixels: bool) -> Rewriter:
        key = (values, walk.implicit, walk.little, inner_pixels)
        memory = self._memories.get(key)
        if memory is None:
            if len(self._memories) >= _MOST_MEMORIES:
                self._memories.clear()
            memory = self._memories[key] = Memory()
        return Rewriter(
            steps,
            self.uids,
            values,
            memory=memory,
            little=walk.little,
            limits=self._limits,
            inner_pixels=inner_pixels,
        )

    def _names(self, facts: Facts, plan: Plan, elements: Collection[int]) -> Names:
        """Return SOP class, and the UIDs of instance, series and study in the output.

        Raises
        ------
        Refused
            ``no-sop-class``, ``no-sop-instance``, ``no-study``, ``no-series``.
        """
        for tag, code, what in (
            (_SOP_CLASS, "no-sop-class", "SOP Class UID"),
            (_SOP_INSTANCE, "no-sop-instance", "SOP Instance UID"),
            (_STUDY, "no-study", "Study Instance UID"),
            (_SERIES, "no-series", "Series Instance UID"),
        ):
            if not facts.text(tag) or tag not in elements:
                raise Refused(code, f"The object has no {what}.")
        if not _UID.fullmatch(facts.text(_SOP_CLASS)):
            raise Refused("no-sop-class", "The object's SOP Class UID is no UID.")
        instance, series, study = (
            facts.text(tag) if plan[tag].action == KEEP else self.uids.replacement(facts.text(tag))
            for tag in (_SOP_INSTANCE, _SERIES, _STUDY)
        )
        return Names(facts.text(_SOP_CLASS), instance, series, study)

    def _put_identifiers(
        self, identifiers: Iterable[tuple[int, str, str]], facts: Facts, elements: dict[int, Part], encoding: Encoding
    ) -> None:
        character_set = known_character_set(facts.values.get(_CHARACTER_SET, b""))
        for tag, vr, value in identifiers:
            elements[tag] = encoding.element(tag, vr.encode(), encode(value, character_set))

    def _put_document(
        self,
        facts: Facts,
        walk: Walk,
        steps: Steps,
        values: Values,
        elements: dict[int, Part],
        encoding: Encoding,
    ) -> None:
        """Put the cleaned document into its place, where the recipe cleans documents (PS3.3 C.24.2)."""
        assert facts.document is not None
        kind, _, _, _, value, length = facts.document
        if self._recipe.documents.mode == "quarantine" or (kind != ELEMENT or length > LARGEST_DOCUMENT):
            raise Refused("document-undecided", "The object holds a document that a person has to look at.")
        if steps.plan[DOCUMENT].action != CLEAN:
            return
        document = cleaned_document(
            walk.source.read(value, length), facts.text(_MIME), self._cleaner, values.known, values.shift
        )
        elements[DOCUMENT] = encoding.element(DOCUMENT, b"OB", document)
        if _DOCUMENT_LENGTH in elements:
            size = pack("<L" if encoding.little else ">L", len(document))
            elements[_DOCUMENT_LENGTH] = encoding.element(_DOCUMENT_LENGTH, b"UL", size)

    def _marks(self, done: Done, encoding: Encoding, equipment: list[Piece]) -> Mapping[int, Part]:
        """Return the marks of an object; they are the same for the next one of its kind."""
        if equipment:
            return marks(done, encoding, equipment)
        key = (done.plan.kind, *done.supplied, done.pixels_cleaned, encoding.implicit, encoding.little)
        found = self._made_marks.get(key)
        if found is None:
            if len(self._made_marks) >= _MOST_KINDS:
                self._made_marks.clear()
            found = self._made_marks[key] = marks(done, encoding)
        return found

    def _check(
        self,
        parts: list[tuple[int, list[Piece]]],
        values: Values,
        rewriter: Rewriter,
        identifiers: Identifiers,
        encoding: Encoding,
        source: Source,
    ) -> None:
        leak.check(
            parts,
            values.known,
            rewriter.originals,
            supplied=identifiers.key,
            implicit=encoding.implicit,
            little=encoding.little,
            source=source,
        )

    def _mapping(self, rewriter: Rewriter) -> dict[str, str]:
        originals = (uid.decode("latin-1") for uid in rewriter.originals)
        return {uid: self.uids.replacement(uid) for uid in originals}


def _pieces(part: Part) -> list[Piece]:
    return part if isinstance(part, list) else [part]
