"""Everything known of one patient: which attributes tell it, and in which spellings the values may come back.

Both the cleaning of texts (`deidentify.text`) and the leak check (`deidentify.leak`) look for what is said here; how
they search is theirs. The pure ways of writing are in `deidentify.spelling`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from importlib.resources import files

from deidentify.charset import decode
from deidentify.dictionary import TAGS, VRS
from deidentify.spelling import WORDS, compact, date_forms, is_alphabetic, name_parts, orders, unmarked
from deidentify.tables import table_e1_1

PATIENT_NAME, NAME, IDENTIFIER, PLACE, REGION, DATE = range(6)

# How far a form is searched in what leaves: everywhere, as a word of a text, or as the whole value of a text.
ANYWHERE, WORD, WHOLE = range(3)

_PATIENT_NAMES = (
    "PatientName",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PersonNamesToUse",
    "NameToUse",
)
_IDENTIFIERS = (
    "PatientID",
    "OtherPatientIDs",
    "AccessionNumber",
    "MedicalRecordLocator",
    "AdmissionID",
    "InsurancePlanIdentification",
    "PatientTelephoneNumbers",
    "PatientTelecomInformation",
    "ReferringPhysicianTelephoneNumbers",
    "PersonTelephoneNumbers",
    "PersonTelecomInformation",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "ScheduledProcedureStepID",
    "PerformedProcedureStepID",
    "ServiceEpisodeID",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "IssuerOfPatientID",
)
_PLACES = (
    "PatientAddress",
    "PatientInstitutionResidence",
    "CurrentPatientLocation",
    "ReferringPhysicianAddress",
    "PersonAddress",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "ResponsibleOrganization",
)
_REGIONS = ("CountryOfResidence", "RegionOfResidence")
_DATES = ("PatientBirthDate", "PatientBirthDateInAlternativeCalendar")

COMMON = frozenset(
    word
    for line in files(__package__).joinpath("common_words.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
    for word in line.split()
)
_PLACE_PARTS = re.compile(r"[,;^\r\n]+")
_DATE_VALUE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_SHORTEST_TELEPHONE = 7
_SHORTEST_NUMBER = 3
_SHORTEST_WITHOUT_ZEROS = 4
_SHORT_DATE = 8
_NO_BIRTH_DATES = frozenset({date(1900, 1, 1), date(1, 1, 1), date(1970, 1, 1)})  # written where nothing is known


def _known() -> dict[int, int]:
    kinds = {int(row.tag, 16): NAME for row in table_e1_1().rows if row.vr == "PN"}
    kinds.update({tag: NAME for tag, vr in VRS.items() if vr == "PN"})
    for keywords, kind in (
        (_PATIENT_NAMES, PATIENT_NAME),
        (_IDENTIFIERS, IDENTIFIER),
        (_PLACES, PLACE),
        (_REGIONS, REGION),
        (_DATES, DATE),
    ):
        kinds.update({TAGS[keyword]: kind for keyword in keywords if keyword in TAGS})
    return kinds


KNOWN = _known()


class Known:
    """What is known of one patient, in every spelling; equal values give the same object.

    Attributes
    ----------
    character_set : bytes
        Raw SpecificCharacterSet that the values were read by.
    count : int
        How many values there were.
    forms : dict of str to int
        What the leak check looks for, in lower case, and how far.
    births : frozenset of date
        Dates of birth.
    dates : frozenset of str
        The forms among `forms` in which those are written.
    words : frozenset of str
        Words and numbers that never stay in a text, compared by `spelling.bare`.
    runs : frozenset of str
        Letters and digits of whole values: neighbouring words that make up one never stay either.
    """

    def __init__(self, values: Iterable[tuple[int, str]], character_set: bytes) -> None:
        self.character_set = character_set
        self.count = 0
        self.forms: dict[str, int] = {}
        words: set[str] = set()
        runs: set[str] = set()
        births: set[date] = set()
        for kind, text in values:
            self.count += 1
            for value in text.split("\\"):
                lower = value.strip().lower()
                if kind == DATE:
                    births.update(_dates(lower))
                    continue
                for form, reach in _forms(kind, lower):
                    self._add(form, reach)
                words.update(spelled for word in _words(kind, lower) for spelled in unmarked(word))
                runs.update(compact(spelled) for run in _runs(kind, lower) for spelled in unmarked(run))
        self.births = frozenset(births)
        self.dates = frozenset(form for birth in births for form in date_forms(birth))
        for form in self.dates:
            self._add(form, WORD if len(form) <= _SHORT_DATE else ANYWHERE)
        self.words = frozenset(words)
        self.runs = frozenset(run for run in runs if len(run) >= _SHORTEST_NUMBER)
        self.longest = max(map(len, self.runs), default=0)

    @classmethod
    def of(
        cls, values: Iterable[tuple[int, bytes]], character_set: bytes, more: Iterable[tuple[str, str]] = ()
    ) -> Known:
        """Return what is known by raw values, and by others.

        Parameters
        ----------
        values : iterable of (int, bytes)
            Tag (one of `KNOWN`) and raw value, from every depth of an object.
        character_set : bytes
            Raw SpecificCharacterSet of the object.
        more : iterable of (str, str)
            Keyword and value known from elsewhere, such as the other objects of the study.
        """
        return _remembered(frozenset(values), character_set, frozenset(more))

    def _add(self, form: str, reach: int) -> None:
        for written in {form, *unmarked(form)}:
            if len(written) > 1 and written not in COMMON:
                self.forms[written] = min(reach, self.forms.get(written, WHOLE))


# The images of a series know the same of their patient.
@lru_cache(maxsize=256)
def _remembered(values: frozenset[tuple[int, bytes]], character_set: bytes, more: frozenset[tuple[str, str]]) -> Known:
    decoded = {(KNOWN[tag], decode(raw, character_set)) for tag, raw in values}
    decoded.update((KNOWN.get(TAGS.get(keyword, 0), IDENTIFIER), text) for keyword, text in more)
    return Known(sorted(decoded), character_set)


def _dates(value: str) -> Iterator[date]:
    found = _DATE_VALUE.match(value)
    if found:
        try:
            birth = date(int(found[1]), int(found[2]), int(found[3]))
        except ValueError:
            return
        if birth not in _NO_BIRTH_DATES:
            yield birth


def _is_ordinary(value: str) -> bool:
    return not set(WORDS.findall(value)) - COMMON


def reach_of(value: str) -> int:
    """Return how far a value of this length may be searched without finding what only looks like it."""
    length = len(value) if is_alphabetic(value) else 3 * len(value)
    if length < 4:
        return WHOLE
    return WORD if length < 6 else ANYWHERE


def _forms(kind: int, value: str) -> Iterator[tuple[str, int]]:
    """Yield the ways in which a value may be written, in lower case, with how far each is searched."""
    if kind == IDENTIFIER:
        if not _is_ordinary(value):
            yield value, reach_of(value)
        digits = "".join(char for char in value if char.isdecimal())
        if len(digits) >= _SHORTEST_TELEPHONE:
            yield digits, ANYWHERE
    elif kind in (PLACE, REGION):
        for place in {value, *(part.strip() for part in _PLACE_PARTS.split(value))}:
            if not _is_ordinary(place) and not (place != value and place.isdecimal()):
                yield place, ANYWHERE if kind == PLACE and reach_of(place) == ANYWHERE else WHOLE
    else:
        for group in value.split("="):
            yield from _name_forms(group, patient=kind == PATIENT_NAME)


def _name_forms(group: str, *, patient: bool) -> Iterator[tuple[str, int]]:
    parts = name_parts(group)
    if all(map(_is_ordinary, parts)):
        return
    whole = group.strip("^ ")
    yield whole, reach_of(whole)
    yield from ((joined, ANYWHERE) for joined in orders(parts) if len(joined) >= 6)
    for position, part in enumerate(parts):
        for word in {part, *WORDS.findall(part)}:
            if word in COMMON or (position and not patient):
                continue
            if len(word) >= (4 if patient else 5) or not is_alphabetic(word) or (patient and word == whole):
                yield word, reach_of(word)


def _words(kind: int, value: str) -> Iterator[str]:
    """Yield the single words of a value that may not stay in a text, not even where they are ordinary words."""
    if kind == PATIENT_NAME:
        yield from (word for word in WORDS.findall(value) if len(word) > 1)
    elif kind == NAME:
        # Operators are called "CT TECH" too: what has only ordinary words is no name.
        if not _is_ordinary(value):
            yield from (word for word in WORDS.findall(value) if len(word) > 2)
    elif kind == IDENTIFIER:
        for word in WORDS.findall(value):
            if len(word) >= _SHORTEST_NUMBER and any(char.isdecimal() for char in word):
                yield word
                if len(word.lstrip("0")) >= _SHORTEST_NUMBER:
                    yield word.lstrip("0")
    elif kind == PLACE:
        yield from (word for word in WORDS.findall(value) if word.isdecimal() and len(word) > _SHORTEST_NUMBER)


def _runs(kind: int, value: str) -> Iterator[str]:
    """Yield what may stand in a text as neighbouring words, split by anything."""
    if kind in (PATIENT_NAME, IDENTIFIER) or not _is_ordinary(value) or (kind == PLACE and " " in value):
        yield value
    if kind == PATIENT_NAME or (kind == NAME and not _is_ordinary(value)):
        for group in value.split("="):
            parts = name_parts(group)
            yield from parts
            yield from orders(parts)
            yield from (word for word in WORDS.findall(group) if kind == PATIENT_NAME)
    elif kind == IDENTIFIER:
        digits = "".join(char for char in value if char.isdecimal())
        yield digits
        if len(digits.lstrip("0")) >= _SHORTEST_WITHOUT_ZEROS:
            yield digits.lstrip("0")
        if len(digits) > _SHORTEST_TELEPHONE:  # without the codes of country and area
            yield digits[-_SHORTEST_TELEPHONE:]
    elif kind == PLACE:
        yield from (part for part in _PLACE_PARTS.split(value) if not _is_ordinary(part))
