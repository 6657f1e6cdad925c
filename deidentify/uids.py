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


def derived(key: bytes, purpose: str) -> bytes:
    """Return the key for one purpose; knowing it tells nothing about the key itself or the other purposes."""
    return hmac.digest(key, b"sendit/deidentify/" + purpose.encode("ascii"), "sha256")


class UidMap:
    """Replaces UIDs under a key.

    Parameters
    ----------
    key : bytes
        At least 16 bytes, the same wherever images of one project are processed.

    Raises
    ------
    Refused
        ``bad-key``, when the key is too short.
    """

    def __init__(self, key: bytes) -> None:
        if not isinstance(key, bytes) or len(key) < SHORTEST_KEY:
            raise Refused("bad-key", f"The key has to be at least {SHORTEST_KEY} bytes long.")
        self._key = derived(key, "uid")
        self._seen: dict[str, str] = {}
        self._values: dict[bytes, tuple[bytes, frozenset[bytes]]] = {}
        self.key_id = derived(key, "key-id").hex()[:16]

    def replacement(self, original: str) -> str:
        """Return ``2.25.`` and a 128-bit number for `original`; a UID of PS3.6 Annex A stays as it is."""
        found = self._seen.get(original)
        if found is None:
            if original in _WELL_KNOWN:
                return original
            digest = hmac.digest(self._key, original.encode("utf-8", "surrogateescape"), "sha256")
            found = f"2.25.{UUID(bytes=digest[:16], version=4).int}"
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
