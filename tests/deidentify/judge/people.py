"""Invented people, places and numbers: every call makes a word that was not there before.

The words are made of syllables, so no vocabulary knows them and no list of names has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

_ONSETS = (
    "b",
    "br",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "kl",
    "kr",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "r",
    "s",
    "sch",
)
_ONSETS += ("st", "t", "tr", "v", "w", "z", "zw")
_VOWELS = ("a", "e", "i", "o", "u", "ei", "au", "ie", "o", "a", "e")
_CODAS = ["", "", "l", "n", "r", "s", "k", "ck", "tz", "m", "rn", "lt"]
_ENDINGS = ["owski", "inger", "ansky", "eroth", "ulani", "ovitz", "aleko", "umsen", "yrski"]
# Names that are words of radiology or of every day as well.
WORD_NAMES = (
    "Hand",
    "Stern",
    "Brown",
    "Long",
    "White",
    "May",
    "Field",
    "Bell",
    "Head",
    "Young",
    "Small",
    "Rose",
    "Banks",
)
COMMON_NAMES = ("Schmidt", "Johnson", "Nguyen", "Kowalski", "Hernandez", "Okafor", "Fischer", "Rossi", "Andersson")
_HAN = "佐藤山田鈴木高橋渡辺伊中村小林加吉松井太郎花子健一美咲翔陽菜蓮結衣"
_SIMPLIFIED = "李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁伟芳娜敏静丽强磊军洋"
_HANGUL = "김이박최정강조윤장임한오서신권황안송류전홍길동민수지영현우"
_CYRILLIC = "бвгдзклмнпрст", "аеиоу"
_GREEK = "βγδζκλμνπρστ", "αειου"


class Inventor:
    """Makes things up from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self._used: set[str] = set()
        self._number = 0

    def word(self) -> str:
        """Return a capitalised word of at least eight letters."""
        pick = self.random.choice
        while True:
            word = pick(_ONSETS) + pick(_VOWELS) + pick(_CODAS) + pick(_ONSETS) + pick(_ENDINGS)
            if len(word) >= 8 and word not in self._used:
                self._used.add(word)
                return word.capitalize()

    def number(self, digits: int) -> str:
        """Return a number that does not look like a date or another one of this run."""
        while True:
            number = str(self.random.randrange(3 * 10 ** (digits - 1), 10**digits))
            if number not in self._used:
                self._used.add(number)
                return number

    def date(self) -> date:
        """Return a day of the last hundred years that was not there before."""
        while True:
            day = date(1925, 1, 2) + timedelta(days=self.random.randrange(36_000))
            if str(day) not in self._used and day.day > 12:
                self._used.add(str(day))
                return day

    def time(self) -> str:
        """Return a time with six digits of a second."""
        r = self.random
        return f"{r.randrange(24):02}{r.randrange(60):02}{r.randrange(60):02}.{r.randrange(100_001, 1_000_000):06}"

    def uid(self) -> str:
        """Return a UID of a root that nobody has."""
        self._number += 1
        return f"1.3.6.1.4.1.{self.random.randrange(70_000, 99_999)}.{self.number(9)}.{self._number}"

    def foreign(self, character_set: str) -> str:
        """Return a word in the letters of a character set."""
        pick = self.random.choice
        while True:
            if character_set in ("GB18030", "GBK"):
                word = "".join(pick(_SIMPLIFIED) for _ in range(4))
            elif character_set == "ISO 2022 IR 149":
                word = "".join(pick(_HANGUL) for _ in range(4))
            elif character_set == "ISO 2022 IR 87":
                word = "".join(pick(_HAN) for _ in range(4))
            elif character_set == "ISO_IR 144":
                word = "".join(pick(_CYRILLIC[i % 2]) for i in range(8)).capitalize()
            elif character_set == "ISO_IR 126":
                word = "".join(pick(_GREEK[i % 2]) for i in range(8)).capitalize()
            elif character_set == "ISO_IR 192":
                word = self.word() + pick(("ß", "ø", "ñ", "ž")) + "".join(pick(_HAN) for _ in range(3))
            else:
                word = self.word() + pick(("ß", "ø", "ñ", "ü"))
            if word not in self._used:
                self._used.add(word)
                return word


@dataclass(frozen=True, slots=True)
class Person:
    """A patient: what is known of one, the same in all his objects."""

    family: str
    given: str
    middle: str
    id: str
    born: date
    street: str
    city: str
    phone: str
    accession: str
    referring: str
    hospital: str
    pseudonym: str

    @classmethod
    def invented(cls, inventor: Inventor, number: int, word_name: bool = False) -> Person:
        """Return somebody; with `word_name` the family's name is a word that also stands in descriptors."""
        make = inventor
        return cls(
            family=make.random.choice(WORD_NAMES) if word_name else make.word(),
            given=make.word(),
            middle=make.word(),
            id=f"{make.random.choice(('', 'MR', 'KH-', 'P'))}{make.number(8)}",
            born=make.date(),
            street=f"{make.word()}strasse",
            city=make.word(),
            phone=f"+49 {make.number(3)} {make.number(7)}",
            accession=f"A{make.number(9)}",
            referring=make.word(),
            hospital=make.word(),
            pseudonym=f"ANON-{number:04}",
        )

    @property
    def name(self) -> str:
        """The name as a PN value."""
        return f"{self.family}^{self.given}^{self.middle}"
