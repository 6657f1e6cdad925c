"""UIDs: the keyed map from original to replacement, the same in every process and for ever (PS3.15 E.3.9, PS3.5 B.2).

Nothing is stored: a replacement is computed from the key, and cannot be computed or guessed without it.
"""

from __future__ import annotations

import hmac
import re
from uuid import UUID

from pydicom._uid_dict import UID_dictionary

from deidentify.errors import Refused

SHORTEST_KEY = 16
_REMEMBERED, _LONGEST_REMEMBERED = 1 << 16, 1 << 8
_UIDS = re.compile(rb"[0-9.]{1,64}(\\[0-9.]{1,64})*[\0 ]?|")
_WELL_KNOWN = frozenset(UID_dictionary)

UUIDS = "2.25"
_LONGEST_UID, _FEWEST_DIGITS, _MOST_DIGITS = 64, 25, 39
LONGEST_ROOT = _LONGEST_UID - 1 - _FEWEST_DIGITS
_ROOT = re.compile(r"(?:[01]\.[1-3]?[0-9]|2\.(?:0|[1-9][0-9]*))(?:\.(?:0|[1-9][0-9]*))*")
_OF_DICOM = "1.2.840.10008"


def derived(key: bytes, purpose: str) -> bytes:
    """Return the key for one purpose; knowing it tells nothing about the key itself or the other purposes."""
    return hmac.digest(key, b"sendit/deidentify/" + purpose.encode("ascii"), "sha256")


def wrong_root(root: str) -> str:
    """Return why replacements cannot stand below `root`, as the end of a sentence; empty if they can (PS3.5 9.1).

    25 decimal digits have to fit behind it, which are 83 bits: so many that no two originals meet.
    """
    if not _ROOT.fullmatch(root) or re.match(r"[01]\.0[0-9]", root):
        return "is no UID: numbers with dots between them, none with a leading zero, the first 0, 1 or 2 (PS3.5 9.1)"
    if len(root) > LONGEST_ROOT:
        return f"has {len(root)} characters; with more than {LONGEST_ROOT} too few digits fit behind it"
    if f"{root}.".startswith(f"{_OF_DICOM}."):
        return "belongs to the DICOM standard; take a root of your own"
    return ""


class UidMap:
    """Replaces UIDs under a key.

    Parameters
    ----------
    key : bytes
        At least 16 bytes, the same wherever images of one project are processed.
    root : str, optional
        What replacements start with: ``2.25``, so that they are UUIDs (PS3.5 B.2), or a root of one's own.

    Raises
    ------
    Refused
        ``bad-key``, when the key is too short; ``bad-recipe``, when the root is none (`wrong_root`).
    """

    def __init__(self, key: bytes, root: str = UUIDS) -> None:
        if wrong := wrong_root(root):
            raise Refused("bad-recipe", f"The root of UIDs {wrong}.")
        self._root = root
        self._room = 10 ** min(_MOST_DIGITS, _LONGEST_UID - 1 - len(root))
        if not isinstance(key, bytes) or len(key) < SHORTEST_KEY:
            raise Refused("bad-key", f"The key has to be at least {SHORTEST_KEY} bytes long.")
        self._key = derived(key, "uid")
        self._seen: dict[str, str] = {}
        self._values: dict[bytes, tuple[bytes, frozenset[bytes]]] = {}
        self.key_id = derived(key, "key-id").hex()[:16]

    def replacement(self, original: str) -> str:
        """Return the root and a keyed number for `original`; a UID of PS3.6 Annex A stays as it is.

        Below ``2.25`` the number is a UUID of 128 bits, below another root as many digits as fit, 39 at most.
        """
        found = self._seen.get(original)
        if found is None:
            if original in _WELL_KNOWN:
                return original
            digest = hmac.digest(self._key, original.encode("utf-8", "surrogateescape"), "sha256")
            if self._root == UUIDS:
                number = UUID(bytes=digest[:16], version=4).int
            else:
                number = int.from_bytes(digest) % self._room
            found = f"{self._root}.{number}"
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[original] = found
        return found

    def kind(self, raw: bytes, originals: set[bytes]) -> bytes:
        """Return a raw UI value that names a kind of thing: kept when it is made of UIDs, and else replaced."""
        if _UIDS.fullmatch(raw):
            return raw
        return self.replaced(raw, originals)

    def replaced(self, raw: bytes, originals: set[bytes]) -> bytes:
        """Return a raw UI value with each of its UIDs replaced, padded; those replaced are added to `originals`."""
        found = self._values.get(raw)
        if found is None:
            found = self._replaced(raw)
            if len(self._values) >= _REMEMBERED:
                self._values.clear()
            if len(raw) <= _LONGEST_REMEMBERED:
                self._values[raw] = found
        originals.update(found[1])
        return found[0]

    def _replaced(self, raw: bytes) -> tuple[bytes, frozenset[bytes]]:
        uids, originals = [], set()
        for part in raw.split(b"\\"):
            original = part.strip(b"\0 \t\r\n")
            if not original:
                uids.append("")
                continue
            new = self.replacement(original.decode("latin-1"))
            if new.encode() != original:
                originals.add(original)
            uids.append(new)
        value = "\\".join(uids).encode()
        return value + b"\0" * (len(value) % 2), frozenset(originals)
