"""Nodes are added, changed and removed here, each with an event in the history.

What a node may look like is said in `main/models/nodes.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from main.history import record
from main.models import Node

ANY = "any"
# What a form or a command sets; the result of the last test is not among them.
COLUMNS = (
    "calling_ae_titles",
    "addresses",
    "tls_subject",
    "may_store",
    "host",
    "port",
    "ae_title",
    "tls",
    "ask_count",
    "quiet",
)
_SAID = {
    "calling_ae_titles": "calling AE titles",
    "addresses": "addresses",
    "tls_subject": "certificate subject",
    "may_store": "right to store",
    "ae_title": "called AE title",
    "tls": "TLS",
    "ask_count": "asking for the number of images",
    "quiet": "seconds of quiet",
}


def several(texts: Iterable[str], what: str) -> list[str]:
    """Return what was written as a list; every one is an empty list, and has to be written as the word ``any``.

    Raises
    ------
    ValueError
        When nothing is written, or ``any`` stands beside something else.
    """
    found = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    words = [text for text in found if text.casefold() == ANY]
    if not found:
        raise ValueError(f"Say which {what}, or write any.")
    if words and len(found) > 1:
        raise ValueError(f"Either any or a list of {what}, not both.")
    return [] if words else found


def save(node: Node, actor: str) -> bool:
    """Add a node or change it; returns whether anything is different from before.

    Raises
    ------
    django.core.exceptions.ValidationError
        When it cannot be like that; nothing was written.
    """
    node.full_clean()
    with transaction.atomic():
        before = Node.objects.select_for_update().filter(pk=node.pk).first() if node.pk else None
        changed = [name for name in ("name", *COLUMNS) if before and getattr(before, name) != getattr(node, name)]
        if before and not changed:
            return False
        if before is None:
            node.save()
            record(
                "node-added", actor=actor, node_id=node.pk, sentence=f"Node {node.name} was added: {described(node)}."
            )
        else:
            node.save(update_fields=changed)
            what = ", ".join(_SAID.get(name, name) for name in changed)
            record(
                "node-changed",
                actor=actor,
                node_id=node.pk,
                sentence=f"Node {before.name} was changed ({what}). Now {node.name}: {described(node)}.",
            )
    return True


def remove(node: Node, actor: str) -> None:
    """Remove a node: it may not send any more from the next association on."""
    with transaction.atomic():
        if Node.objects.filter(pk=node.pk).delete()[0]:
            record("node-removed", actor=actor, node_id=node.pk, sentence=f"Node {node.name} was removed.")


def described(node: Node) -> str:
    """Say in words how a node is recognised and what it may do."""
    titles = f"calls itself {' or '.join(node.calling_ae_titles)}" if node.calling_ae_titles else "any AE title"
    places = f"from {' or '.join(node.addresses)}" if node.addresses else "from any address"
    said = [titles, places]
    if node.tls_subject:
        said.append(f"with the certificate {node.tls_subject}")
    said.append("may store" if node.may_store else "may not store")
    if node.host:
        said.append(f"is called as {node.ae_title} at {node.host}:{node.port}{' by TLS' if node.tls else ''}")
    return ", ".join(said)
