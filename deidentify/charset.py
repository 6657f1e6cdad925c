"""Character sets (PS3.5 6.1): bytes to text without ever failing, and the names that may stay in an output.

Decoding is for showing and comparing; values that no rule touches are passed on as bytes.
"""

from __future__ import annotations

import re
import warnings
from contextlib import suppress

from pydicom.charset import convert_encodings, decode_bytes, encode_string, python_encoding

from deidentify.errors import Refused

TEXT_DELIMITERS = {ord(char) for char in "\\^=\r\n\t\f"}
FALLBACK = "ISO_IR 100"

_ESCAPE = re.compile(rb"\x1b[\x20-\x2f]+[\x30-\x7e]")
_LAST_ESCAPE = re.compile(rb"\x1b[\x20-\x2f]+[\x30-\x7e]$")
_SHORTEST_BARE = 6
_SEVERAL_BYTES = frozenset(
    ("ISO_IR 192", "GB18030", "GBK", *(f"ISO 2022 IR {number}" for number in (58, 87, 149, 159)))
)


def _terms(raw: bytes) -> list[str]:
    return [term.strip() for term in raw.strip(b"\0 ").decode("ascii", "replace").split("\\")]


def decode(value: bytes, character_set: bytes = b"") -> str:
    """Decode `value` by the raw SpecificCharacterSet `character_set`; whatever it says, text comes back.

    Plain ASCII needs no tables. UTF-8 is read as such whatever is said, unless the character set has several bytes for a
    letter itself, because letters of others do not look like it. What does not fit is read as Latin-1.
    """
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii").strip(" \0")
    terms = [term for term in _terms(character_set) if term in python_encoding]
    if any(terms) and not (_SEVERAL_BYTES.isdisjoint(terms) and b"\x1b" not in value and _is_utf_8(value)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                return decode_bytes(value, convert_encodings(terms), TEXT_DELIMITERS).strip(" \0")
            except (UnicodeError, LookupError, ValueError, Warning):
                pass
    try:
        return value.decode("utf-8").strip(" \0")
    except UnicodeDecodeError:
        return value.decode("latin-1").strip(" \0")


def _is_utf_8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def known_character_set(raw: bytes) -> bytes:
    """Return `raw` when it names only defined terms (PS3.3 C.12.1.1.2), else one in which every byte is a character."""
    if all(term in python_encoding for term in _terms(raw)):
        return raw
    return FALLBACK.encode()


def encode(value: str, character_set: bytes) -> bytes:
    """Encode an inserted value by the raw SpecificCharacterSet of the object that it goes into.

    Raises
    ------
    Refused
        ``bad-identifier``, when the character set cannot express it.
    """
    if value.isascii():
        return value.encode("ascii")
    terms = [term for term in _terms(character_set) if term in python_encoding and term != "ISO_IR 6"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            # Without a term the character set is ASCII, which pydicom takes for Latin-1.
            encoded = encode_string(value, convert_encodings(terms)) if any(terms) else value.encode("ascii")
        except (UnicodeError, LookupError, ValueError, Warning):
            raise Refused(
                "bad-identifier",
                "A supplied identifier has characters that the object's character set cannot express.",
            ) from None
    return encoded


def spellings(value: str, character_set: bytes) -> set[bytes]:
    """Return `value` in UTF-8, Latin-1, UTF-16 and the object's own character set, as `bytes.lower` makes it.

    Letters with marks keep their case there, so these come as they are, in capitals and with capitals in front.

    The UTF-16 form lacks its outer zero byte, so that it is found in both byte orders. What is written with code
    extensions (ISO 2022) comes without its last escape sequence, and bare when it is long enough to be told from
    other text, because where the escape sequences stand depends on the neighbours.
    """
    forms: set[bytes] = set()
    for written in {value} if value.isascii() else {value, value.upper(), value.title()}:
        forms |= {written.encode("utf-8", "replace"), written.encode("utf-16-le", "replace").strip(b"\0")}
        with suppress(UnicodeError):
            forms.add(written.encode("latin-1"))
        with suppress(Refused):
            encoded = encode(written, character_set)
            if b"\x1b" in encoded:
                forms.add(_LAST_ESCAPE.sub(b"", encoded))
                forms.update(run for run in _ESCAPE.split(encoded) if len(run) >= _SHORTEST_BARE)
            else:
                forms.add(encoded)
    return {form.lower() for form in forms}
