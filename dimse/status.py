"""The status codes that a peer answers with, and what each means for trying again: tables, no logic beyond the look-up.

PS3.4 Table B.2-1 (storage), PS3.4 Table C.4-1 (find), PS3.7 Annex C (general), PS3.3 C.14.1.1 (storage commitment).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["accepted", "warning", "transient", "permanent", "unknown"]

SUCCESS = 0x0000
PENDING = (0xFF00, 0xFF01)


@dataclass(frozen=True)
class StatusMeaning:
    """What the codes from `first` to `last` mean."""

    first: int
    last: int
    outcome: Outcome
    meaning: str


GENERAL = (
    StatusMeaning(0x0000, 0x0000, "accepted", "success"),
    StatusMeaning(0x0105, 0x0105, "permanent", "no such attribute"),
    StatusMeaning(0x0106, 0x0106, "permanent", "invalid attribute value"),
    StatusMeaning(0x0107, 0x0107, "warning", "attribute list error"),
    StatusMeaning(0x0110, 0x0110, "transient", "processing failure"),
    StatusMeaning(0x0111, 0x0111, "warning", "it already has an instance with this SOP Instance UID"),
    StatusMeaning(0x0112, 0x0112, "permanent", "no such SOP instance"),
    StatusMeaning(0x0113, 0x0113, "permanent", "no such event type"),
    StatusMeaning(0x0114, 0x0114, "permanent", "no such argument"),
    StatusMeaning(0x0115, 0x0115, "permanent", "invalid argument value"),
    StatusMeaning(0x0116, 0x0116, "warning", "attribute value out of range"),
    StatusMeaning(0x0117, 0x0117, "permanent", "invalid SOP instance"),
    StatusMeaning(0x0118, 0x0118, "permanent", "no such SOP class"),
    StatusMeaning(0x0119, 0x0119, "permanent", "class and instance do not match"),
    StatusMeaning(0x0120, 0x0120, "permanent", "missing attribute"),
    StatusMeaning(0x0121, 0x0121, "permanent", "missing attribute value"),
    StatusMeaning(0x0122, 0x0122, "permanent", "SOP class not supported"),
    StatusMeaning(0x0123, 0x0123, "permanent", "no such action type"),
    StatusMeaning(0x0124, 0x0124, "permanent", "not authorised"),
    StatusMeaning(0x0131, 0x0131, "transient", "the storage commitment transaction is not known there"),
    StatusMeaning(0x0210, 0x0210, "transient", "duplicate invocation"),
    StatusMeaning(0x0211, 0x0211, "permanent", "unrecognised operation"),
    StatusMeaning(0x0212, 0x0212, "permanent", "mistyped argument"),
    StatusMeaning(0x0213, 0x0213, "transient", "resource limitation"),
    StatusMeaning(0xFE00, 0xFE00, "transient", "cancelled by the peer"),
)

STORAGE = (
    *GENERAL,
    StatusMeaning(0x0001, 0x0001, "warning", "requested optional attributes are not supported"),
    StatusMeaning(0xA700, 0xA7FF, "transient", "out of resources"),
    StatusMeaning(0xA900, 0xA9FF, "permanent", "the data set does not match its SOP class"),
    StatusMeaning(0xB000, 0xB000, "warning", "data elements were coerced"),
    StatusMeaning(0xB006, 0xB006, "warning", "elements were discarded"),
    StatusMeaning(0xB007, 0xB007, "warning", "the data set does not match its SOP class"),
    StatusMeaning(0xB001, 0xBFFF, "warning", "a warning of the peer's own"),
    StatusMeaning(0xC000, 0xCFFF, "permanent", "the peer cannot understand the data set"),
)

FIND = (
    *GENERAL,
    StatusMeaning(0xA700, 0xA7FF, "transient", "out of resources"),
    StatusMeaning(0xA900, 0xA9FF, "permanent", "the identifier does not match its SOP class"),
    StatusMeaning(0xC000, 0xCFFF, "permanent", "unable to process"),
)

COMMITMENT_FAILURES = {
    0x0110: "processing failure",
    0x0112: "no such object instance",
    0x0119: "class and instance do not match",
    0x0122: "SOP class not supported",
    0x0131: "duplicate transaction UID",
    0x0213: "resource limitation",
}


def meaning_of(status: int, table: tuple[StatusMeaning, ...]) -> StatusMeaning:
    """Return what `status` means; a code that no table knows is a permanent failure (a person must look)."""
    for entry in table:
        if entry.first <= status <= entry.last:
            return entry
    return StatusMeaning(status, status, "permanent", "a status that the standard does not know")
