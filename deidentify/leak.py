"""The leak check: searches the bytes that are about to leave for what is known of the patient (PS3.15 E.1.1).

It knows nothing about rules and trusts none; a hit is reported by the attribute that it is in, never by its value.

How a value is searched:

- UIDs that were replaced, of ten characters or more: anywhere, as a whole UID.
- Anything of six characters or more, names in every order of their parts and each of their longer words: anywhere
  outside of numbers, as whole words. A value of digits only counts in text only.
- Words of four or five characters: as whole words of a text.
- Two or three characters, and places of less than six: as the whole value of a text. One character is not searched.
- Words that are no secret (modalities, body parts, vendors, "test", "anonymous"...) are not searched.

Each is searched without regard to case, in UTF-8, Latin-1, UTF-16 and the object's own character set, and without its accents.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from importlib.resources import files
from itertools import permutations
from typing import NamedTuple

from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

from deidentify.charset import decode, spellings
from deidentify.dictionary import name_of, vr_of
from deidentify.elements import Piece, Stretch
from deidentify.errors import Refused
from deidentify.known import DATE, IDENTIFIER, KNOWN, NAME, PATIENT_NAME, PLACE
from deidentify.source import Source
from deidentify.walk import ELEMENT, FRAGMENTS, Limits, Walk

ANYWHERE, WORD, WHOLE = range(3)
_BLOCK, _OVERLAP = 1 << 20, 1 << 12
_TEXT = CUSTOMIZABLE_CHARSET_VR | {"AE", "UR", "UN", "OB"}

COMMON = frozenset(
    word
    for line in files(__package__).joinpath("common_words.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
    for word in line.split()
)

_SPREAD = {ord("ä"): "ae", ord("ö"): "oe", ord("ü"): "ue", ord("ß"): "ss", ord("ø"): "o", ord("ł"): "l", ord("æ"): "ae"}
_WORDS = re.compile(r"[^\W_]+", re.UNICODE)
_WORD_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789")
_PLACE_PARTS = re.compile(r"[,;^\r\n]+")
_SHORTEST_TELEPHONE = 7
_EAST_ASIAN = 0x2E80
_ASCII_WORD = re.compile(rb"[a-z0-9]+")
_UID = re.compile(rb"[0-9.]{10,}")
_FEW, _MOST_KNOWN = 200, 1000
_UID_BYTES = frozenset(b"0123456789.")


class Needle(NamedTuple):
    """Bytes to look for, in lower case, and where they count.

    ``bounded`` tells that no letter or digit may stand beside them; it does not hold for scripts without spaces.
    """

    value: bytes
    reach: int
    digits: bool
    uid: bool = False
    bounded: bool = True


def check(
    parts: Iterable[tuple[int, list[Piece]]],
    known: frozenset[tuple[int, bytes]],
    originals: AbstractSet[bytes],
    *,
    character_set: bytes,
    supplied: tuple[tuple[str, str], ...],
    implicit: bool,
    little: bool,
    source: Source,
) -> None:
    """Search the elements of an output for known values.

    Parameters
    ----------
    parts : iterable of (int, list of Piece)
        The top-level elements.
    known : frozenset of (int, bytes)
        Tag and raw value from the source.
    originals : set of bytes
        UIDs of the source that were replaced.
    character_set : bytes
        Raw SpecificCharacterSet of the source.
    supplied : tuple of (str, str)
        The identifiers that were put in. Dates among them may equal the original; nothing else may.
    implicit, little : bool
        The encoding of the output.
    source : Source
        What the stretches of the output are read from; those that are pixel data are left out.

    Raises
    ------
    Refused
        ``leak``, with the attribute in the sentence; ``too-many-elements``, when there is too much to look for.
    """
    if len(known) > _MOST_KNOWN:
        raise Refused(
            "too-many-elements", f"The object has more than {_MOST_KNOWN} names, places and numbers to look for."
        )
    prepare = _remembered if len(known) <= _FEW else _needles
    needles = prepare(known, character_set, supplied)
    parts = list(parts)
    text = b"".join(piece for _, pieces in parts for piece in pieces if isinstance(piece, bytes)).lower()
    found = _present(needles, text)
    found += [Needle(uid, ANYWHERE, False, True) for uid in _uids(text) & originals]
    found += [
        Needle(b"\0".join(uid[at : at + 1] for at in range(len(uid))), ANYWHERE, False, True)
        for uid in _uids(text.replace(b"\0", b"")) & originals
    ]
    if found:
        for tag, pieces in parts:
            for needle in found:
                _check_part(tag, pieces, needle, implicit=implicit, little=little)
    for tag, pieces in parts:
        for piece in pieces:
            if isinstance(piece, Stretch) and not piece.pixels:
                _check_stretch(tag, piece, needles, source)


def _uids(text: bytes) -> set[bytes]:
    """Return everything in `text` that looks like a UID."""
    return set(_UID.findall(text))


def _present(needles: Sequence[Needle], text: bytes) -> list[Needle]:
    """Return the needles that are in `text`; when there are many, only those are tried of which a word is."""
    if len(needles) > _FEW:
        words = {*_ASCII_WORD.findall(text), *_ASCII_WORD.findall(text.replace(b"\0", b"")), b""}
        needles = [
            needle
            for needle in needles
            if max(_ASCII_WORD.findall(needle.value.replace(b"\0", b"")), key=len, default=b"") in words
        ]
    return [needle for needle in needles if needle.value in text]


def _check_part(tag: int, pieces: list[Piece], needle: Needle, *, implicit: bool, little: bool) -> None:
    data = b"".join(piece if isinstance(piece, bytes) else b"" for piece in pieces)
    if needle.value not in data.lower():
        return
    if any(isinstance(piece, Stretch) for piece in pieces):
        elements = [(tag, "UN", data)]  # what stands around bulk data is searched as one text
    else:
        elements = _elements(data, implicit=implicit, little=little)
    for element, vr, value in elements:
        if _counts(needle, vr, value.lower()):
            raise Refused("leak", f"A known value of the patient is still in element {name_of(element)} of the output.")


def _elements(data: bytes, *, implicit: bool, little: bool) -> list[tuple[int, str, bytes]]:
    """Return tag, VR and value of every innermost element of an encoded one."""
    walk = Walk(Source.of_bytes(data), 0, len(data), implicit=implicit, little=little, limits=Limits(depth=1 << 10))
    return [
        (tag, vr.decode("ascii") or vr_of(tag), data[value : value + length])
        for kind, tag, vr, _, value, length in walk.events()
        if kind in (ELEMENT, FRAGMENTS)
    ]


def _counts(needle: Needle, vr: str, value: bytes) -> bool:
    plain = value.strip(b"\0 ")
    if needle.reach == WHOLE:
        return vr in _TEXT and needle.value in (part.strip(b" ") for part in plain.split(b"\\"))
    if vr not in _TEXT and (needle.digits or needle.reach == WORD):
        return False
    if plain == needle.value:
        return True
    edge = _UID_BYTES if needle.uid else _WORD_BYTES if needle.bounded else frozenset()
    at = value.find(needle.value)
    while at >= 0:
        after = at + len(needle.value)
        before_is_edge = at == 0 or value[at - 1] not in edge
        if before_is_edge and (after == len(value) or value[after] not in edge):
            return True
        at = value.find(needle.value, at + 1)
    return False


def _check_stretch(tag: int, stretch: Stretch, needles: Iterable[Needle], source: Source) -> None:
    wanted = [needle for needle in needles if needle.reach == ANYWHERE and not needle.digits]
    for offset in range(stretch.offset, stretch.offset + stretch.length, _BLOCK):
        length = min(_BLOCK + _OVERLAP, stretch.offset + stretch.length - offset)
        block = source.read(offset, length).lower()
        for needle in wanted:
            if needle.value in block and _counts(needle, "UN", block):
                raise Refused("leak", f"A known value of the patient is still in element {name_of(tag)} of the output.")


def _needles(
    known: frozenset[tuple[int, bytes]], character_set: bytes, supplied: tuple[tuple[str, str], ...]
) -> tuple[Needle, ...]:
    """Return what to search for."""
    legitimate = {value.lower() for _, value in supplied if value.isdigit() and len(value) == 8}
    wanted: dict[str, int] = {}
    for tag, raw in known:
        for value in decode(raw, character_set).split("\\"):
            for written, reach in _forms(KNOWN[tag], value.strip().lower()):
                for form in (written, _without_marks(written)):
                    if form not in legitimate and form not in COMMON and len(form) > 1:
                        wanted[form] = min(reach, wanted.get(form, WHOLE))
    needles = {
        Needle(spelling, reach, form.isdigit(), bounded=_is_alphabetic(form))
        for form, reach in wanted.items()
        for spelling in spellings(form, character_set)
        if len(spelling) > 1
    }
    return tuple(sorted(needles))


# The images of a series know the same of their patient.
_remembered = lru_cache(maxsize=64)(_needles)


def _without_marks(value: str) -> str:
    """Return `value` as it is written where there are no umlauts and accents."""
    if value.isascii():
        return value
    spread = value.translate(_SPREAD)
    return "".join(char for char in unicodedata.normalize("NFKD", spread) if not unicodedata.combining(char))


def _is_alphabetic(value: str) -> bool:
    """Tell whether words of this script have spaces between them: not so for Chinese, Japanese and Korean."""
    return not any(ord(char) >= _EAST_ASIAN for char in value)


def _reach(value: str) -> int:
    length = len(value) if _is_alphabetic(value) else 3 * len(value)
    if length < 4:
        return WHOLE
    return WORD if length < 6 else ANYWHERE


def _forms(kind: int, value: str) -> Iterable[tuple[str, int]]:
    """Yield the ways in which a value may be written, in lower case, with how far each is searched."""
    if kind == DATE:
        if len(value) >= 8 and value[:8].isdigit():
            year, month, day = value[:4], value[4:6], value[6:8]
            yield value[:8], WORD
            for form in (
                f"{year}-{month}-{day}",
                f"{day}.{month}.{year}",
                f"{month}/{day}/{year}",
                f"{day}/{month}/{year}",
            ):
                yield form, ANYWHERE
    elif kind == IDENTIFIER:
        if set(_WORDS.findall(value)) - COMMON:
            yield value, _reach(value)
        digits = "".join(char for char in value if char.isdigit())
        if len(digits) >= _SHORTEST_TELEPHONE:
            yield digits, ANYWHERE
    elif kind == PLACE:
        for place in {value, *(part.strip() for part in _PLACE_PARTS.split(value))}:
            if set(_WORDS.findall(place)) - COMMON and not (place != value and place.isdigit()):
                yield place, ANYWHERE if _reach(place) == ANYWHERE else WHOLE
    elif kind in (NAME, PATIENT_NAME):
        for group in value.split("="):
            yield from _name_forms(group, patient=kind == PATIENT_NAME)


def _name_forms(group: str, *, patient: bool) -> Iterable[tuple[str, int]]:
    parts = [part.strip() for part in group.split("^")][:3]
    parts = [part for part in parts if part]
    if not any(set(_WORDS.findall(part)) - COMMON for part in parts):
        return
    whole = group.strip("^ ")
    yield whole, _reach(whole)
    for first, second in permutations(parts, 2):
        for between in (" ", ", ", ",", "^", "_", "-", ".", ""):
            joined = first + between + second
            if len(joined) >= 6:
                yield joined, ANYWHERE
    for position, part in enumerate(parts):
        for word in {part, *_WORDS.findall(part)}:
            if word in COMMON or (position and not patient):
                continue
            if len(word) >= (4 if patient else 5) or not _is_alphabetic(word) or (patient and word == whole):
                yield word, _reach(word)
