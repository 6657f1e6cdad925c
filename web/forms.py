"""The form of a node: how it calls us, and how we call it. What is allowed is said in `main/models/nodes.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from main import nodes
from main.models import Node, Refusal


class Several(forms.CharField):
    """A list with one entry a line; every one is written as the word ``any``.

    Parameters
    ----------
    what : str
        What the entries are, for the sentence when there are none.
    between : str
        Pattern of what stands between entries.
    """

    def __init__(self, what: str, between: str = r"\n", **more: Any) -> None:
        super().__init__(
            required=False, widget=forms.Textarea({"rows": 3, "spellcheck": "false", "maxlength": 2000}), **more
        )
        self._what, self._between = what, re.compile(between)

    def prepare_value(self, value: Any) -> Any:
        """Write a list as lines."""
        if not isinstance(value, list):
            return value
        return "\n".join(value) or nodes.ANY

    def clean(self, value: Any) -> Any:
        """Read the lines."""
        try:
            return nodes.several(self._between.split(super().clean(value)), self._what)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class NodeForm(forms.ModelForm):
    """A node as people write it."""

    calling_ae_titles = Several(
        "AE titles",
        label="It calls itself (AE title)",
        help_text="One a line, capitals count; or any.",
    )
    addresses = Several(
        "addresses",
        r"[\s,]+",
        label="It calls from",
        help_text="Host names, IP addresses or networks (10.0.0.0/8); or any.",
    )

    class Meta:
        """Fields in the order of the page."""

        model = Node
        fields = ["name", *nodes.COLUMNS]
        labels = {
            "name": "Name",
            "tls_subject": "Subject of its certificate",
            "may_store": "It may send images here",
            "host": "Host",
            "port": "Port",
            "ae_title": "Its AE title",
            "tls": "By TLS",
            "ask_count": "Ask it by C-FIND how many images a study has",
            "quiet": "Seconds of quiet that end a study",
        }
        help_texts = {
            "name": "What it is called on these pages.",
            "tls_subject": "If given, it must come by TLS with this certificate, written as CN=ct1,O=Hospital.",
            "quiet": "Empty: as DICOM_STUDY_TIMEOUT says.",
        }

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        for name, field in self.fields.items():
            wrong = name in self.errors if self.is_bound else False
            said = [f"id_{name}_help"] * bool(field.help_text) + [f"id_{name}_wrong"] * wrong
            field.widget.attrs.update({"autocomplete": "off", **({"aria-describedby": " ".join(said)} if said else {})})

    def contradictions(self) -> list[str]:
        """What does not go together, once every field can be read."""
        return [] if set(self.errors) - {NON_FIELD_ERRORS} else [str(error) for error in self.non_field_errors()]

    def groups(self) -> Iterator[tuple[str, str, list[forms.BoundField]]]:
        """Yield title, explanation and fields of each part of the page."""
        own = ("name", "may_store", "calling_ae_titles", "addresses", "tls_subject", "quiet")
        yield "How it calls us", "It is recognised when everything fits that is given here.", [self[n] for n in own]
        ours = ("host", "port", "ae_title", "tls", "ask_count")
        why = (
            "Only for tests, for answers to storage commitment and for asking how many images there are. May be empty."
        )
        yield "How we call it", why, [self[name] for name in ours]


def meant_by(refusal: Refusal, node: Node) -> dict[str, Any]:
    """Return what the form begins with, so that the caller who was refused is recognised as `node`."""
    titles, addresses = list(node.calling_ae_titles), list(node.addresses)
    if refusal.calling_ae_title and refusal.calling_ae_title not in titles and (titles or node.pk is None):
        titles.append(refusal.calling_ae_title)
    if refusal.address and (addresses or node.pk is None):
        addresses.append(refusal.address)
    found: dict[str, Any] = {"calling_ae_titles": titles, "addresses": addresses}
    if node.pk is None and not Node.objects.filter(name=refusal.calling_ae_title).exists():
        found["name"] = refusal.calling_ae_title
    return found
