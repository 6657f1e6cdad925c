"""Callers that were refused: counted by day, caller and reason, in a bounded number of rows, and told in words.

What a caller says of itself is foreign text: it is cut, made printable, and stands in no log.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from main.host_names import parsed
from main.models import Node, Refusal
from main.models.nodes import network

MOST_A_DAY, MOST_AT_ONCE, KEPT_DAYS = 300, 50, 7
OTHERS = "others"

# What each reason means, and what to do.
REASONS = {
    "unknown": ("Not one of the nodes.", "Register it if it may send here."),
    "called-ae-title": (
        "It called another AE title than ours.",
        "Enter our AE title at the sender, or set DICOM_AE_TITLE.",
    ),
    "too-many": ("All associations were taken.", "It tries again; if it happens often, raise DICOM_MAX_ASSOCIATIONS."),
    "connections": ("Too many connections at once.", "Look what opens them: a sender opens one or a few."),
    "address": ("Its address is not in DICOM_ALLOWED_NETWORKS.", "Add its network there if it may connect."),
    "tls": (
        "The TLS handshake failed.",
        "A sender without TLS belongs on the plain port; else compare certificates and CA at both ends.",
    ),
    "no-room": ("The disk was nearly full.", "Make room; it is let in again by itself."),
    "protocol": ("It did not speak DICOM.", "A port scanner or a monitor, or TLS on the plain port."),
    "timeout": ("It connected and said nothing.", "A port scanner or a monitor; else look at the network between."),
    "closed": (
        "It went away before it asked for an association.",
        "A monitor that only looks whether the port answers.",
    ),
    "aborted": ("It aborted before it was let in.", "Look at the sender's log."),
    OTHERS: ("More callers than are listed one by one.", "Somebody tries many names; see DICOM_ALLOWED_NETWORKS."),
}

NOTHING_TO_DO = "Nothing: it is let in when it comes again."

_UNPRINTABLE = re.compile(r"[^ -~]")


class Refused(NamedTuple):
    """Who was refused, and why."""

    address: str
    calling_ae_title: str
    called_ae_title: str
    reason: str


@dataclass(frozen=True)
class Listed:
    """A caller that was refused, for showing; `node` is the number of the one that it may be meant to be."""

    id: int
    address: str
    calling_ae_title: str
    called_ae_title: str
    reason: str
    count: int
    first_at: datetime
    last_at: datetime
    why: str
    do: str
    node: int | None = None
    node_name: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether it would be let in now."""
        return self.do == NOTHING_TO_DO


class Refusals:
    """Takes refusals from any thread and writes them when it is told to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: Counter[Refused] = Counter()

    def add(self, address: str, calling: str, called: str, why: str) -> None:
        """Count a refusal; never waits for the database."""
        refused = Refused(printable(address, 64), printable(calling, 16), printable(called, 16), why[:24])
        with self._lock:
            known = refused in self._pending or len(self._pending) < MOST_AT_ONCE
            self._pending[refused if known else _OTHERS] += 1

    def write(self) -> None:
        """Bring what was counted into the database; what cannot be written is kept for the next time."""
        with self._lock:
            pending, self._pending = self._pending, Counter()
        if not pending:
            return
        try:
            _write(pending, timezone.localdate())
        except BaseException:
            with self._lock:
                self._pending += pending
            raise


_OTHERS = Refused("", "", "", OTHERS)


def today() -> list[Listed]:
    """Return who was refused today, the last one first."""
    nodes = list(Node.objects.defer("last_test").order_by("name"))
    return [_listed(one, nodes) for one in Refusal.objects.filter(day=timezone.localdate()).order_by("-last_at", "-pk")]


def _listed(one: Refusal, nodes: Sequence[Node]) -> Listed:
    why, do = REASONS.get(one.reason, ("Refused.", "See the log of the receiver."))
    node: Node | None = None
    if one.reason == "unknown":
        node, why, do = _meant(one, nodes) or (None, why, do)
    return Listed(
        one.pk,
        one.address,
        one.calling_ae_title,
        one.called_ae_title,
        one.reason,
        one.count,
        one.first_at,
        one.last_at,
        why,
        do,
        node.pk if node else None,
        node.name if node else "",
    )


def _meant(one: Refusal, nodes: Sequence[Node]) -> tuple[Node, str, str] | None:
    """Return the node that has the caller's AE title or address, with what does not fit and what to do."""
    for node in nodes:
        if one.calling_ae_title in node.calling_ae_titles:
            there = _has(node, one.address)
            if there and not node.may_store:
                return node, f"{node.name} may not store.", "Let it store if it may."
            if there and node.tls_subject:
                return node, f"{node.name} has to come by TLS, with its certificate.", "Look at the sender's settings."
            if there:
                return _now_known(node)
            return node, f"{node.name} has this AE title, and another address.", "Add the address if that is right."
    for node in nodes:
        if node.addresses and _has(node, one.address):
            if node.may_store and not node.calling_ae_titles and not node.tls_subject:
                return _now_known(node)
            return node, f"{node.name} has this address, and another AE title.", "Add the title if that is right."
    return None


def _now_known(node: Node) -> tuple[Node, str, str]:
    return node, f"{node.name} was registered since.", NOTHING_TO_DO


def _has(node: Node, text: str) -> bool:
    address = parsed(text)
    networks = [found for found in map(network, node.addresses) if found]
    return address is not None and (not node.addresses or any(address in one for one in networks))


def _write(pending: Counter[Refused], day: date) -> None:
    with transaction.atomic():
        others = 0
        for refused, number in sorted(pending.items()):
            if not _count(day, refused, number):
                others += number
        if others:
            _count(day, _OTHERS, others)
        Refusal.objects.filter(day__lt=day - timedelta(days=KEPT_DAYS)).delete()


def _count(day: date, refused: Refused, number: int) -> bool:
    """Count in the row of this caller, which is added while there is room; False when there is none."""
    now = timezone.now()
    today = Refusal.objects.filter(day=day)
    row = today.filter(**refused._asdict())
    if row.update(count=F("count") + number, last_at=now):
        return True
    if refused != _OTHERS and today.count() >= MOST_A_DAY:
        return False
    # Another process may add the same row at this moment: whoever comes second only counts.
    empty = Refusal(day=day, first_at=now, last_at=now, **refused._asdict())
    Refusal.objects.bulk_create([empty], ignore_conflicts=True)
    row.update(count=F("count") + number, last_at=now)
    return True


def printable(text: str, longest: int) -> str:
    """Return foreign text in ASCII without control characters, cut."""
    return _UNPRINTABLE.sub("?", text)[:longest]
