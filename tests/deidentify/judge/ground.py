"""One file being prepared: the object, whose it is, and the notes of what is put where.

The places themselves are in the `places_*` modules; this is what they share.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from random import Random

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.sequence import Sequence

from tests.deidentify.judge.people import COMMON_NAMES, Inventor, Person
from tests.deidentify.judge.promise import Promise
from tests.deidentify.judge.truth import Keep, Path, Plant, Truth

_LONGEST = {"SH": 16, "AE": 16, "CS": 16, "AS": 4}


@dataclass
class Ground:
    """What a place needs to plant something."""

    ds: Dataset
    person: Person
    inventor: Inventor
    promise: Promise
    truth: Truth
    character_set: str
    extras: list[tuple[int, str, bytes]] = field(default_factory=list)
    tail: bytes = b""

    @property
    def random(self) -> Random:
        return self.inventor.random

    def note(self, category: str, where: str, shape: str, *tokens: str, digits: tuple[str, ...] = ()) -> None:
        """Remember that these tokens must not come out."""
        self.truth.plants.append(Plant(category, where, shape, tuple(tokens), digits))

    def note_raw(self, category: str, where: str, shape: str, *raw: bytes) -> None:
        """Remember that these bytes must not come out."""
        self.truth.plants.append(Plant(category, where, shape, raw=raw))

    def keep(self, category: str, path: Path, value: str = "", words: tuple[str, ...] = (), creator: str = "") -> None:
        """Remember that this has to come out."""
        self.truth.keeps.append(Keep(category, path, value, words, creator))

    def put(self, ds: Dataset, tag: int, vr: str, value: object) -> None:
        """Set an element, whatever pydicom thinks of its value."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds.add(DataElement(tag, vr, value))

    def plant(self, ds: Dataset, tag: int, vr: str, category: str, where: str = "") -> None:
        """Set an element to a marker of its own."""
        value, shape, tokens, digits = self.marker(vr)
        self.put(ds, tag, vr, value)
        place = f"{where}{keyword_for_tag(tag) or f'{tag:08X}'} ({vr})"
        self.truth.plants.append(Plant(category, place, shape, tokens, digits))

    def marker(self, vr: str) -> tuple[object, str, tuple[str, ...], tuple[str, ...]]:
        """Return a value for a VR, what shape it has, and the words and numbers by which it is found."""
        make, word = self.inventor, self.inventor.word()
        longest = _LONGEST.get(vr, 64)
        if vr == "PN":
            given = make.word()
            return f"{word}^{given}", "name", (word, given), ()
        if vr in ("CS", "AE"):
            return word.upper()[:16], "word", (word[:16],), ()
        if vr == "AS":
            return "093Y", "age", (), ()
        if vr == "UR":
            return f"http://{word.lower()}.example/patients/{make.number(8)}", "address of a page", (word,), ()
        if vr in ("OB", "UN", "OW"):
            return f"{word} {make.word()} ".encode() + b" " * (len(word) % 2), "bytes", (word,), ()
        if longest == 16:
            value, shape, tokens, digits = self.random.choice((self._word, self._number))()
            return value[:16], shape, tokens, digits
        shapes = (self._word, self._number, self._name, self._address, self._telephone, self._mail, self._titled)
        return self.random.choice(shapes)()

    def _word(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        word = self.inventor.word()
        return word, "word", (word,), ()

    def _number(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        number = self.inventor.number(9)
        return number, "number", (), (number,)

    def _name(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        one, two = self.inventor.word(), self.inventor.word()
        return f"{one}, {two}", "name", (one, two), ()

    def _titled(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        name = self.random.choice(COMMON_NAMES)
        word = self.inventor.word()
        return f"Dr. {name} {word}", "titled name", (word,), ()

    def _address(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        street, city = self.inventor.word(), self.inventor.word()
        return f"{street}weg 17, {city}", "address", (street, city), ()

    def _telephone(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        number = self.inventor.number(8)
        return f"Tel. +49 531 {number}", "telephone", (), (number,)

    def _mail(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        word, host = self.inventor.word(), self.inventor.word()
        return f"{word.lower()}@{host.lower()}.example", "mail address", (word, host), ()

    def sequence(self, ds: Dataset, tag: int, *items: Dataset) -> None:
        """Set a sequence."""
        ds.add(DataElement(tag, "SQ", Sequence(items)))
