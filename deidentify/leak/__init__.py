"""The leak check: searches the bytes that are about to leave for what is known of the patient (PS3.15 E.1.1).

It knows nothing about rules and trusts none; a hit is reported by the attribute that it is in, never by its value.

How a value is searched (`deidentify.known` says in which spellings):

- UIDs that were replaced, of ten characters or more: anywhere, as a whole UID.
- Anything of six characters or more, names in every order of their parts and each of their longer words: anywhere
  outside of numbers, as whole words. A value of digits only counts in text only.
- Words of four or five characters, and birth dates: as whole words of a text.
- Two or three characters, regions, and places of less than six: as the whole value of a text. One character is not
  searched.
- Names that are ordinary words of descriptors ("white", "young"): as the whole value of a free text. The cleaning of
  texts removes them everywhere else.
- Words that are no secret (modalities, body parts, vendors, "test", "anonymous"...) are not searched.

Each is searched without regard to case, in UTF-8, Latin-1, UTF-16 and the object's own character set, without its
accents, and again in what base64, zlib, gzip, zip, deflate and PDF streams inside of values hold.

Dates. A date that was moved may equal the original date of birth by chance (for a child under five once in some 1,800
dates), and a date that is retained may be the day of birth. So a DA or DT counts in the attributes of the birth date
only; in any other attribute it says nothing about birth. In texts a date of birth always counts: the cleaner moves no
date onto one.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from deidentify.elements import Piece
from deidentify.errors import Refused
from deidentify.known import Known
from deidentify.leak.needles import needles_of
from deidentify.leak.search import Search
from deidentify.source import Source

__all__ = ["check"]

_MOST_KNOWN = 1000
_DATE = 8


def check(
    parts: Iterable[tuple[int, list[Piece]]],
    known: Known,
    originals: AbstractSet[bytes],
    *,
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
    known : Known
        Of the patient. What the recipe means to retain must not be among it.
    originals : set of bytes
        UIDs of the source that were replaced.
    supplied : tuple of (str, str)
        The identifiers that were put in. Dates among them may equal the original; nothing else may.
    implicit, little : bool
        The encoding of the output.
    source : Source
        What the stretches of the output are read from; those that are pixel data are left out.

    Raises
    ------
    Refused
        ``leak``, with the path of the attribute in the sentence; ``too-many-elements`` or ``too-large``, when there is
        too much to look for or to look through.
    """
    if known.count > _MOST_KNOWN:
        raise Refused(
            "too-many-elements", f"The object has more than {_MOST_KNOWN} names, places and numbers to look for."
        )
    legitimate = frozenset(value for _, value in supplied if value.isdecimal() and len(value) == _DATE)
    Search(needles_of(known, legitimate), originals, implicit, little, source).run(parts)
